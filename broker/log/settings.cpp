#include "broker/log/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "shm/layout/board.h"
#include "shm/layout/knock.h"
#include "shm/layout/slot.h"

namespace mallbots::broker {
namespace {

constexpr std::uint64_t kSmallestSlotBytes = 64 * kKiB;
constexpr std::uint64_t kLargestSlotBytes = kGiB;
constexpr std::uint64_t kSmallestRecordMax = 64;
constexpr std::uint64_t kLargestSegmentBytes = 4 * kGiB;
constexpr std::string_view kNone = "none";

/// One setting: how it is shown, read and written.
struct Row {
  std::string_view key;
  std::string_view value;
  std::string_view range;
  std::string_view standard;
  bool may_alter;
  std::string_view meaning;
  /// False: the value is not of that form or out of range. Relations between settings are checked
  /// when all are read.
  bool (*set)(TopicSettings&, std::string_view);
  std::string (*get)(const TopicSettings&);
};

template <class T>
bool take(T& field, std::optional<std::uint64_t> value, std::uint64_t low, std::uint64_t high) {
  if (!value || *value < low || *value > high) return false;
  field = static_cast<T>(*value);
  return true;
}

bool take_ms(std::int64_t& field, std::string_view text, std::int64_t low, std::int64_t high) {
  const auto value = parse_duration_ms(text);
  if (!value || *value < low || *value > high) return false;
  field = *value;
  return true;
}

/// A flag with two spellings.
bool take_word(bool& field, std::string_view text, std::string_view off, std::string_view on) {
  field = text == on;
  return text == on || text == off;
}

template <class T, class Parse>
bool take_limit(std::optional<T>& field, std::string_view text, T low, Parse parse) {
  if (text == kNone) {
    field.reset();
    return true;
  }
  const auto value = parse(text);
  if (!value || static_cast<T>(*value) < low) return false;
  field = static_cast<T>(*value);
  return true;
}

bool take_users(std::string& field, std::string_view text) {
  const bool clean = std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == ':' || c == '/' || c == 0x7F;
  });
  const bool gaps =
      text.starts_with(',') || text.ends_with(',') || text.find(",,") != std::string_view::npos;
  if (!clean || gaps) return false;
  field = text;
  return true;
}

using S = TopicSettings;

constexpr std::array kRows = {
    Row{"partitions", "number", "1 to 4096", "1", false, "also `-p`",
        [](S& s, std::string_view v) {
          return take(s.partitions, parse_number(v), 1, shm::kMaxPartitions);
        },
        [](const S& s) { return std::to_string(s.partitions); }},
    Row{"type", "`log`, `events`", "", "`log`", false, "`events` implies `ingest=sequenced`",
        [](S& s, std::string_view v) { return take_word(s.events, v, "log", "events"); },
        [](const S& s) { return std::string{s.events ? "events" : "log"}; }},
    Row{"class", "`normal`, `small`", "", "`normal`", false,
        "`small` is 4 slots of 128 KiB, 1 partition",
        [](S& s, std::string_view v) { return take_word(s.small, v, "normal", "small"); },
        [](const S& s) { return std::string{s.small ? "small" : "normal"}; }},
    Row{"storage", "`disk`, `memory`", "", "`disk`", false,
        "`memory`: the ring only, oldest slots re-used",
        [](S& s, std::string_view v) { return take_word(s.memory_only, v, "disk", "memory"); },
        [](const S& s) { return std::string{s.memory_only ? "memory" : "disk"}; }},
    Row{"slots", "number", "2 to 64", "4", false, "slots in memory per partition",
        [](S& s, std::string_view v) { return take(s.slots, parse_number(v), 2, shm::kMaxSlots); },
        [](const S& s) { return std::to_string(s.slots); }},
    Row{"slot.bytes", "SIZE", "64 KiB to 1 GiB, whole 4 KiB", "2 MiB", false, "",
        [](S& s, std::string_view v) {
          return take(s.slot_bytes, parse_size(v), kSmallestSlotBytes, kLargestSlotBytes) &&
                 s.slot_bytes % shm::kPageBytes == 0;
        },
        [](const S& s) { return format_size(s.slot_bytes); }},
    Row{"record.max", "SIZE", "64 B to half a slot", "half a slot", false,
        "a record or a whole batch, headers included",
        [](S& s, std::string_view v) {
          return take(s.record_max_bytes, parse_size(v), kSmallestRecordMax, kLargestSlotBytes / 2);
        },
        [](const S& s) { return format_size(s.record_max_bytes); }},
    Row{"segment.bytes", "SIZE", "one slot to 4 GiB", "64 MiB", true, "from the next segment on",
        [](S& s, std::string_view v) {
          return take(s.segment_bytes, parse_size(v), kSmallestSlotBytes, kLargestSegmentBytes);
        },
        [](const S& s) { return format_size(s.segment_bytes); }},
    Row{"checksum", "`full`, `header`", "", "`full`", false, "`header`: payloads are not checked",
        [](S& s, std::string_view v) { return take_word(s.header_checksum, v, "full", "header"); },
        [](const S& s) { return std::string{s.header_checksum ? "header" : "full"}; }},
    Row{"ingest", "`direct`, `sequenced`", "", "`direct`", false,
        "`sequenced`: producers hand records in, the broker appends them",
        [](S& s, std::string_view v) { return take_word(s.sequenced, v, "direct", "sequenced"); },
        [](const S& s) { return std::string{s.sequenced ? "sequenced" : "direct"}; }},
    Row{"producers", "`shared`, `exclusive`", "", "`shared`", false, "",
        [](S& s, std::string_view v) { return take_word(s.exclusive, v, "shared", "exclusive"); },
        [](const S& s) { return std::string{s.exclusive ? "exclusive" : "shared"}; }},
    Row{"stall.limit", "DURATION", "10 ms to 1 h", "1 s", true,
        "a silent owner of a partition is fenced after it",
        [](S& s, std::string_view v) { return take_ms(s.stall_limit_ms, v, 10, 3'600'000); },
        [](const S& s) { return format_duration_ms(s.stall_limit_ms); }},
    Row{"flush.interval", "DURATION", "0 to 1 min", "5 ms", true,
        "records nobody waits for are on disk by then",
        [](S& s, std::string_view v) { return take_ms(s.flush_interval_ms, v, 0, 60'000); },
        [](const S& s) { return format_duration_ms(s.flush_interval_ms); }},
    Row{"retention.ms", "DURATION or ms", "1 s and more, or `none`", "`none`", true,
        "closed segments older than this are deleted",
        [](S& s, std::string_view v) {
          return take_limit<std::int64_t>(s.retention_ms, v, 1000, parse_duration_ms);
        },
        [](const S& s) {
          return s.retention_ms ? format_duration_ms(*s.retention_ms) : std::string{kNone};
        }},
    Row{"retention.bytes", "SIZE", "1 segment and more, or `none`", "`none`", true, "per partition",
        [](S& s, std::string_view v) {
          return take_limit<std::uint64_t>(s.retention_bytes, v, kSmallestSlotBytes, parse_size);
        },
        [](const S& s) {
          return s.retention_bytes ? format_size(*s.retention_bytes) : std::string{kNone};
        }},
    Row{"retention.records", "number", "1 and more, or `none`", "`none`", true, "per partition",
        [](S& s, std::string_view v) {
          return take_limit<std::uint64_t>(s.retention_records, v, 1, parse_number);
        },
        [](const S& s) {
          return s.retention_records ? std::to_string(*s.retention_records) : std::string{kNone};
        }},
    Row{"retention", "`limits`, `consumed`", "", "`limits`", true,
        "`consumed`: what every group is done with goes, and only that, see "
        "[below](#retentionconsumed)",
        [](S& s, std::string_view v) {
          return take_word(s.retention_consumed, v, "limits", "consumed");
        },
        [](const S& s) { return std::string{s.retention_consumed ? "consumed" : "limits"}; }},
    Row{"reset", "`start`, `end`, `fail`", "", "`start`", true,
        "where a group without position begins",
        [](S& s, std::string_view v) {
          s.reset = v == "end" ? Reset::kEnd : v == "fail" ? Reset::kFail : Reset::kStart;
          return v == "start" || v == "end" || v == "fail";
        },
        [](const S& s) {
          return std::string{s.reset == Reset::kEnd    ? "end"
                             : s.reset == Reset::kFail ? "fail"
                                                       : "start"};
        }},
    Row{"produce.allow", "users", "names or ids, with commas", "the broker's user", true,
        "who may produce", [](S& s, std::string_view v) { return take_users(s.produce_allow, v); },
        [](const S& s) { return s.produce_allow; }},
    Row{"consume.allow", "users", "names or ids, with commas", "the broker's user", true,
        "who may consume", [](S& s, std::string_view v) { return take_users(s.consume_allow, v); },
        [](const S& s) { return s.consume_allow; }},
};

const Row* row_of(std::string_view key) {
  const auto* row = std::ranges::find(kRows, key, &Row::key);
  return row == kRows.end() ? nullptr : row;
}

Result<void> apply(TopicSettings& settings, const shm::Setting& setting) {
  const Row* row = row_of(setting.key);
  if (row == nullptr) return fail(ErrorCode::kUnknownSetting, "'" + setting.key + "'");
  if (!row->set(settings, setting.value))
    return fail(ErrorCode::kBadSetting,
                fmt::format("{}={}: it takes {}{}{}", setting.key, setting.value, row->value,
                            row->range.empty() ? "" : ", ", row->range));
  if (std::ranges::find(settings.given, setting.key) == settings.given.end())
    settings.given.push_back(setting.key);
  return {};
}

bool has(const TopicSettings& settings, std::string_view key) {
  return std::ranges::find(settings.given, key) != settings.given.end();
}

std::unexpected<Error> clash(std::string detail) {
  return fail(ErrorCode::kBadSetting, std::move(detail));
}

Result<void> check_relations(const TopicSettings& s) {
  if (s.record_max_bytes > s.slot_bytes / 2)
    return clash(fmt::format("record.max={}: at most half a slot, which is {}",
                             format_size(s.record_max_bytes), format_size(s.slot_bytes / 2)));
  if (s.segment_bytes < s.slot_bytes)
    return clash(fmt::format("segment.bytes={}: at least one slot, which is {}",
                             format_size(s.segment_bytes), format_size(s.slot_bytes)));
  if (s.retention_bytes && *s.retention_bytes < s.segment_bytes)
    return clash(fmt::format("retention.bytes={}: at least one segment, which is {}",
                             format_size(*s.retention_bytes), format_size(s.segment_bytes)));
  const bool keeps =
      s.retention_ms || s.retention_bytes || s.retention_records || s.retention_consumed;
  if (s.memory_only && keeps)
    return clash("storage=memory keeps what its slots hold; leave retention settings out");
  if (s.sequenced && s.exclusive)
    return clash("producers=exclusive writes slots itself; ingest=sequenced lets only the broker");
  if (s.events && !s.sequenced)
    return clash("type=events needs ingest=sequenced: the broker decides over each append");
  if (s.events && s.memory_only) return clash("type=events needs storage=disk: streams are kept");
  if (s.small && s.partitions != 1)
    return clash(fmt::format("class=small has 1 partition, not {}", s.partitions));
  return {};
}

/// Defaults that follow from other settings.
void derive(TopicSettings& settings) {
  if (settings.events && !has(settings, "ingest")) settings.sequenced = true;
  if (!has(settings, "record.max")) settings.record_max_bytes = settings.slot_bytes / 2;
  if (!has(settings, "segment.bytes"))
    settings.segment_bytes = std::max(64 * kMiB, settings.slot_bytes);
}

}  // namespace

Result<TopicSettings> new_settings(std::uint32_t partitions,
                                   std::span<const shm::Setting> settings) {
  TopicSettings made;
  if (partitions != 0)
    MALLBOTS_TRY(apply(made, {.key = "partitions", .value = std::to_string(partitions)}));
  for (const shm::Setting& setting : settings) {
    const std::uint32_t before = made.partitions;
    if (setting.key == "class" && setting.value == "small" && !has(made, "slot.bytes"))
      made.slot_bytes = 128 * kKiB;
    MALLBOTS_TRY(apply(made, setting));
    if (setting.key == "partitions" && partitions != 0 && made.partitions != before)
      return clash(fmt::format("partitions={}, but -p says {}", setting.value, partitions));
  }
  derive(made);
  MALLBOTS_TRY(check_relations(made));
  return made;
}

Result<TopicSettings> altered_settings(const TopicSettings& before,
                                       std::span<const shm::Setting> settings) {
  TopicSettings after = before;
  for (const shm::Setting& setting : settings) {
    const Row* row = row_of(setting.key);
    if (row != nullptr && !row->may_alter)
      return fail(ErrorCode::kFixedSetting, setting.key + "=" + setting.value);
    MALLBOTS_TRY(apply(after, setting));
  }
  MALLBOTS_TRY(check_relations(after));
  return after;
}

std::vector<shm::Setting> describe_settings(const TopicSettings& settings) {
  std::vector<shm::Setting> all;
  all.reserve(std::size(kRows));
  for (const Row& row : kRows)
    all.push_back({.key = std::string{row.key},
                   .value = row.get(settings),
                   .is_default = !has(settings, row.key)});
  return all;
}

std::string settings_table() {
  std::string text =
      "| setting | value | range | default | alter | meaning |\n|---|---|---|---|---|---|\n";
  const auto cell = [](std::string_view words) {
    return words.empty() ? std::string{" |"} : fmt::format(" {} |", words);
  };
  for (const Row& row : kRows)
    text += fmt::format("| `{}` |{}{}{}{}{}\n", row.key, cell(row.value), cell(row.range),
                        cell(row.standard), cell(row.may_alter ? "yes" : "no"), cell(row.meaning));
  return text;
}

std::uint64_t memory_cost_bytes(const TopicSettings& settings) {
  const std::uint64_t slot = sizeof(shm::SlotHeader) + settings.slot_bytes;
  return settings.partitions * settings.slots * slot + shm::board_bytes(settings.partitions) +
         shm::knock_bytes(settings.partitions);
}

std::optional<std::uint64_t> disk_cost_bytes(const TopicSettings& settings) {
  if (settings.memory_only) return 0;
  if (!settings.retention_bytes) return std::nullopt;
  // Only closed segments are deleted, so one more is open beside what retention keeps.
  return settings.partitions * (*settings.retention_bytes + settings.segment_bytes);
}

}  // namespace mallbots::broker
