// LakeCursor: what a lake holds, by time, topic, type and key, in the order of time; of one
// partition in its order. It sees the files that were closed when it was opened.
//
// Who calls: one thread. Errors: Io; Corrupt (a file, after what could be read before it).
// Nothing is decoded: types that nobody knows are found like all others. Folders of days outside
// the time asked for are not read; one file of each partition is open.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "clients/toolkit/lake/lake_folder.h"

namespace mallbots::toolkit {

/// All that is given must fit; of a list, one. Empty lists fit everything.
struct LakeFilter {
  std::vector<std::string> topics{};  ///< patterns: `*` stands for any text
  std::vector<std::string> types{};   ///< names of messages
  std::vector<std::string> keys{};    ///< entities
  UnixMillis from_ms = std::numeric_limits<UnixMillis>::min();
  UnixMillis to_ms = std::numeric_limits<UnixMillis>::max();  ///< exclusive
  std::optional<PartitionIndex> partition{};
  Offset first = 0;  ///< position to begin at, in each partition

  [[nodiscard]] bool has_files_of(const LakeFile& file) const;
  [[nodiscard]] bool fits(const client::Message& message) const;
};

class LakeCursor {
 public:
  [[nodiscard]] static Result<LakeCursor> open(const std::string& folder, LakeFilter filter = {});

  /// The next record, valid until the next call; null at the end.
  [[nodiscard]] Result<const client::Message*> next();

 private:
  struct Lane {
    LakeStream stream;
    const client::Message* head = nullptr;
  };
  explicit LakeCursor(LakeFilter filter) : filter_(std::move(filter)) {}
  [[nodiscard]] Result<void> advance(Lane& lane) const;
  /// True if the lane at `left` comes after that at `right`.
  [[nodiscard]] bool is_later(std::size_t left, std::size_t right) const;

  LakeFilter filter_;
  std::vector<Lane> lanes_;
  std::vector<std::size_t> heap_;     ///< lanes with a head, the earliest in front
  std::optional<std::size_t> given_;  ///< lane of what the last call gave
};

}  // namespace mallbots::toolkit
