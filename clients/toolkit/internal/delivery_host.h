// DeliveryHost: what a Delivery tells its outcome to.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "clients/toolkit/bus.h"

namespace mallbots::toolkit {

enum class Outcome : std::uint8_t { kAck, kNack, kDefer, kReject };

struct Settlement {
  Outcome outcome = Outcome::kAck;
  Failure failure{};
  std::optional<std::int64_t> delay_ms{};  ///< of a nack; nothing: as the group's Redelivery says
};

class DeliveryHost {
 public:
  virtual ~DeliveryHost() = default;
  /// Any thread; once per ticket.
  [[nodiscard]] virtual Result<void> settle(std::uint64_t ticket, const Settlement& settlement) = 0;
  /// All of them are done. Fenced: some were taken away; the others are done.
  [[nodiscard]] virtual Result<void> settle_done(std::span<const std::uint64_t> tickets) = 0;
};

}  // namespace mallbots::toolkit
