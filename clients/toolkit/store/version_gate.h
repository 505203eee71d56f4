// VersionGate: which version of an entity has been applied, for messages that carry one and may
// come in any order (several topics, no key). Within one topic and key the bus keeps the order by
// itself, and no gate is needed.
//
//   const auto entry = gate.enter(transaction, event.id, event.version);
//   if (entry == Entry::kGap) return try_again("Gap", "version 2 is missing");   // comes again
//   if (entry == Entry::kStale) return {};                                       // done before
//
// Versions count from 1. The entry is part of the transaction. Any thread; errors of Database.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "clients/toolkit/store/database.h"

namespace mallbots::toolkit {

enum class Entry : std::uint8_t {
  kNext,   ///< apply it; the gate has moved on
  kStale,  ///< this version or a later one was applied
  kGap,    ///< versions before it are missing; the gate stays
};

class VersionGate {
 public:
  /// Makes its table if it is not there. `consumer`: whose versions they are.
  [[nodiscard]] static Result<std::unique_ptr<VersionGate>> open(Database& database,
                                                                 std::string consumer);
  [[nodiscard]] Result<Entry> enter(Transaction& transaction, std::string_view entity,
                                    std::int64_t version);

 private:
  explicit VersionGate(std::string consumer) noexcept : consumer_(std::move(consumer)) {}
  std::string consumer_;
};

}  // namespace mallbots::toolkit
