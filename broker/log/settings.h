// The settings of a topic: names, units, ranges and defaults in one table, which is also the table
// of docs/CLI.md ("Topic settings"; a test compares them).
//
// Control thread only in the broker; pure functions. Errors: UnknownSetting, BadSetting,
// FixedSetting, Unsupported, each naming setting, value and range.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/units.h"
#include "shm/base/result.h"
#include "shm/layout/control.h"

namespace mallbots::broker {

enum class Reset : std::uint8_t { kStart, kEnd, kFail };

struct TopicSettings {
  // Behaviour.
  std::uint32_t partitions = 1;
  bool memory_only = false;      ///< storage=memory
  bool header_checksum = false;  ///< checksum=header: payloads are not hashed
  bool exclusive = false;        ///< producers=exclusive
  bool events = false;           ///< type=events: streams; implies sequenced
  bool sequenced = false;        ///< ingest=sequenced: records are handed in, the broker appends
  bool small = false;            ///< class=small; only chooses other defaults
  bool retention_consumed = false;
  Reset reset = Reset::kStart;
  std::optional<std::int64_t> retention_ms;
  std::optional<std::uint64_t> retention_bytes;    ///< per partition
  std::optional<std::uint64_t> retention_records;  ///< per partition
  std::string produce_allow;  ///< users, comma separated; empty: the broker's user
  std::string consume_allow;
  // Performance.
  std::uint32_t slots = 4;
  std::uint64_t slot_bytes = 2 * kMiB;  ///< data area of one slot
  std::uint64_t record_max_bytes = kMiB;
  std::uint64_t segment_bytes = 64 * kMiB;
  std::int64_t stall_limit_ms = 1000;
  std::int64_t flush_interval_ms = 5;

  /// Keys that were given; the others are defaults.
  std::vector<std::string> given;

  friend bool operator==(const TopicSettings&, const TopicSettings&) = default;
};

/// For a new topic. `partitions` 0: as the settings or the default say.
[[nodiscard]] Result<TopicSettings> new_settings(std::uint32_t partitions,
                                                 std::span<const shm::Setting> settings);
/// `before` with changes; FixedSetting if one of them is not to change.
[[nodiscard]] Result<TopicSettings> altered_settings(const TopicSettings& before,
                                                     std::span<const shm::Setting> settings);
/// Every setting in the order of the table. Feeding those with is_default == false to
/// new_settings gives the same settings again: the form in which they are stored.
[[nodiscard]] std::vector<shm::Setting> describe_settings(const TopicSettings& settings);
/// The table of docs/CLI.md, Markdown, from its title line on.
[[nodiscard]] std::string settings_table();

/// Most memory the topic can take: every slot in use, board and knock page.
[[nodiscard]] std::uint64_t memory_cost_bytes(const TopicSettings& settings);
/// Most disk it can take; nothing if no retention bounds it.
[[nodiscard]] std::optional<std::uint64_t> disk_cost_bytes(const TopicSettings& settings);

}  // namespace mallbots::broker
