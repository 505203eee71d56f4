#include "broker/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <sstream>
#include <vector>

#include "broker/folders.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;
constexpr std::int64_t kDayMs = 86'400'000;

struct Row {
  std::string_view key;
  std::string_view takes;
  bool quoted;
  bool (*set)(Config&, std::string_view);
  std::string (*get)(const Config&);
};

bool take_path(std::string& field, std::string_view text) {
  field = text;
  return !text.empty();
}

/// Part of a path and of a unit's name.
bool take_instance(std::string& field, std::string_view text) {
  const bool clean = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
  if (!clean || text.empty() || text.size() > 64) return false;
  field = text;
  return true;
}

bool take_size(std::uint64_t& field, std::string_view text) {
  const auto value = parse_size(text);
  if (value) field = *value;
  return value.has_value();
}

bool take_ms(std::int64_t& field, std::string_view text, std::int64_t low,
             std::int64_t high = kDayMs) {
  const auto value = parse_duration_ms(text);
  if (!value || *value < low || *value > high) return false;
  field = *value;
  return true;
}

bool take_long_ms(std::int64_t& field, std::string_view text) {
  const auto value = parse_duration_ms(text);
  if (!value || *value < 1000 || *value > 36'500 * kDayMs) return false;
  field = *value;
  return true;
}

bool take_count(std::uint32_t& field, std::string_view text, std::uint32_t low,
                std::uint32_t high) {
  const auto value = parse_number(text);
  if (!value || *value < low || *value > high) return false;
  field = static_cast<std::uint32_t>(*value);
  return true;
}

template <class T, std::size_t N>
bool take_word(T& field, std::string_view text, const std::array<std::string_view, N>& words) {
  const auto* found = std::ranges::find(words, text);
  if (found == words.end()) return false;
  field = static_cast<T>(found - words.begin());
  return true;
}

constexpr std::array<std::string_view, 3> kEngines = {"auto", "io_uring", "pwrite"};
constexpr std::array<std::string_view, 3> kFlushes = {"measure", "dsync", "fdatasync"};
constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 2> kBools = {"false", "true"};

template <class T, std::size_t N>
std::string word(T value, const std::array<std::string_view, N>& words) {
  return std::string{words[static_cast<std::size_t>(value)]};
}

using C = Config;
using V = std::string_view;
constexpr V kSize = "a SIZE, e.g. 64MiB";
constexpr V kDuration = "a DURATION up to 1d, e.g. 500ms or 30s";

constexpr std::array kRows = {
    Row{"instance", "1 to 64 of a-z A-Z 0-9 - _", true,
        [](C& c, V v) { return take_instance(c.instance, v); },
        [](const C& c) { return c.instance; }},
    Row{"data-dir", "a path", true, [](C& c, V v) { return take_path(c.data_dir, v); },
        [](const C& c) { return c.data_dir; }},
    Row{"runtime-dir", "a path", true, [](C& c, V v) { return take_path(c.runtime_dir, v); },
        [](const C& c) { return c.runtime_dir; }},
    Row{"memory.max", kSize, true, [](C& c, V v) { return take_size(c.memory_max_bytes, v); },
        [](const C& c) { return format_size(c.memory_max_bytes); }},
    Row{"disk.max", kSize, true, [](C& c, V v) { return take_size(c.disk_max_bytes, v); },
        [](const C& c) { return format_size(c.disk_max_bytes); }},
    Row{"orphan.max", kSize, true, [](C& c, V v) { return take_size(c.orphan_max_bytes, v); },
        [](const C& c) { return format_size(c.orphan_max_bytes); }},
    Row{"sessions.per.user", "1 to 4096", false,
        [](C& c, V v) { return take_count(c.sessions_per_user, v, 1, 4096); },
        [](const C& c) { return std::to_string(c.sessions_per_user); }},
    Row{"session.reattach", kDuration, true,
        [](C& c, V v) { return take_ms(c.session_reattach_ms, v, 100); },
        [](const C& c) { return format_duration_ms(c.session_reattach_ms); }},
    Row{"ingest.rate", kSize, true,
        [](C& c, V v) { return take_size(c.ingest_rate_bytes, v) && c.ingest_rate_bytes >= kMiB; },
        [](const C& c) { return format_size(c.ingest_rate_bytes); }},
    Row{"group.static.grace", kDuration, true,
        [](C& c, V v) { return take_ms(c.group_static_grace_ms, v, 0); },
        [](const C& c) { return format_duration_ms(c.group_static_grace_ms); }},
    Row{"delay.max", "a DURATION from 1s to 36500d", true,
        [](C& c, V v) { return take_long_ms(c.delay_max_ms, v); },
        [](const C& c) { return format_duration_ms(c.delay_max_ms); }},
    Row{"delay.pending.max", "10 to 100000000", false,
        [](C& c, V v) { return take_count(c.delay_pending_max, v, 10, 100'000'000); },
        [](const C& c) { return std::to_string(c.delay_pending_max); }},
    Row{"producer.keep", "a DURATION from 1s to 3650d", true,
        [](C& c, V v) { return take_ms(c.producer_keep_ms, v, 1000, 3650 * kDayMs); },
        [](const C& c) { return format_duration_ms(c.producer_keep_ms); }},
    Row{"stop.limit", kDuration, true, [](C& c, V v) { return take_ms(c.stop_limit_ms, v, 100); },
        [](const C& c) { return format_duration_ms(c.stop_limit_ms); }},
    Row{"restart.deaths", "1 to 1000", false,
        [](C& c, V v) { return take_count(c.restart_deaths, v, 1, 1000); },
        [](const C& c) { return std::to_string(c.restart_deaths); }},
    Row{"restart.window", kDuration, true,
        [](C& c, V v) { return take_ms(c.restart_window_ms, v, 1); },
        [](const C& c) { return format_duration_ms(c.restart_window_ms); }},
    Row{"metrics.listen", "ADDRESS:PORT on loopback, unix:PATH, or nothing", true,
        [](C& c, V v) {
          c.metrics_listen = v;
          return true;
        },
        [](const C& c) { return c.metrics_listen; }},
    Row{"log.level", "debug, info, warning or error", true,
        [](C& c, V v) { return take_word(c.log_level, v, kLevels); },
        [](const C& c) { return word(c.log_level, kLevels); }},
    Row{"io.engine", "auto, io_uring or pwrite", true,
        [](C& c, V v) { return take_word(c.io_engine, v, kEngines); },
        [](const C& c) { return word(c.io_engine, kEngines); }},
    Row{"io.flush", "measure, dsync or fdatasync", true,
        [](C& c, V v) { return take_word(c.io_flush, v, kFlushes); },
        [](const C& c) { return word(c.io_flush, kFlushes); }},
    Row{"io.direct", "true or false", false,
        [](C& c, V v) { return take_word(c.io_direct, v, kBools); },
        [](const C& c) { return word(c.io_direct, kBools); }},
};

std::string known_keys() {
  std::string all;
  for (const Row& row : kRows) all.append(all.empty() ? "" : ", ").append(row.key);
  return all;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::unexpected<Error> wrong_line(const std::string& name, std::size_t number,
                                  const std::string& reason) {
  return fail(ErrorCode::kBadConfig, fmt::format("{} line {}: {}", name, number, reason));
}

/// One `key = value` under the section line that is in force. CLI11 reads TOML but does not say
/// where a value stood; line by line it need not.
Result<void> read_line(Config& config, const std::string& section, std::string_view line) {
  if (line.find('=') == std::string_view::npos)
    return fail(ErrorCode::kBadConfig, fmt::format("'{}' is not `key = value`", line));
  std::vector<CLI::ConfigItem> items;
  try {
    std::istringstream stream{section + "\n" + std::string{line} + "\n"};
    items = CLI::ConfigTOML{}.from_config(stream);
  } catch (const std::exception& refused) {
    return fail(ErrorCode::kBadConfig, fmt::format("'{}' is not TOML: {}", line, refused.what()));
  }
  std::erase_if(items, [](const CLI::ConfigItem& item) {
    return item.name == "++" || item.name == "--";  // CLI11's marks of a section's borders
  });
  if (items.size() != 1)
    return fail(ErrorCode::kBadConfig, fmt::format("'{}' is not one `key = value`", line));
  const std::string key = items.front().fullname();
  if (items.front().inputs.size() > 1)
    return fail(ErrorCode::kBadConfig, fmt::format("{}: one value, not a list", key));
  return set_config(config, key, items.front().inputs.empty() ? "" : items.front().inputs.front());
}

}  // namespace

Result<void> set_config(Config& config, std::string_view key, std::string_view value) {
  const auto* row = std::ranges::find(kRows, key, &Row::key);
  if (row == kRows.end())
    return fail(ErrorCode::kBadConfig,
                fmt::format("unknown key '{}'; the keys are {}", key, known_keys()));
  if (!row->set(config, value))
    return fail(ErrorCode::kBadConfig,
                fmt::format("{} = '{}': it takes {}", key, value, row->takes));
  return {};
}

Result<void> read_config(Config& config, const std::string& text, const std::string& name) {
  std::istringstream lines{text};
  std::string section;
  std::size_t number = 0;
  for (std::string raw; std::getline(lines, raw);) {
    ++number;
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      if (line.back() != ']' || line.size() < 3)
        return wrong_line(name, number, fmt::format("'{}' is not a [section]", line));
      section = line;
      continue;
    }
    if (auto read = read_line(config, section, line); !read)
      return wrong_line(name, number, read.error().detail);
  }
  return {};
}

Result<void> read_config_file(Config& config, const std::string& path) {
  auto text = read_text_file(path, kMaxConfigBytes);
  if (!text) return fail(ErrorCode::kBadConfig, text.error().detail);
  return read_config(config, *text, path);
}

Result<void> complete_config(Config& config) {
  if (config.memory_max_bytes == 0)
    config.memory_max_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                              static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 4;
  const bool root = geteuid() == 0;
  if (config.runtime_dir.empty()) {
    const std::string base = root ? "/run" : environment("XDG_RUNTIME_DIR");
    if (base.empty())
      return fail(ErrorCode::kBadConfig, "XDG_RUNTIME_DIR is not set: name a --runtime-dir");
    config.runtime_dir = base + "/mallbots/" + config.instance;
  }
  if (config.data_dir.empty()) {
    std::string base = root ? "/var/lib" : environment("XDG_STATE_HOME");
    if (base.empty() && !environment("HOME").empty()) base = environment("HOME") + "/.local/state";
    if (base.empty())
      return fail(ErrorCode::kBadConfig,
                  "neither XDG_STATE_HOME nor HOME is set: name a --data-dir");
    config.data_dir = base + "/mallbots/" + config.instance;
  }
  return {};
}

std::string write_config(const Config& config) {
  std::string text;
  for (const Row& row : kRows) {
    const std::string value = row.get(config);
    text += row.quoted ? fmt::format("{} = \"{}\"\n", row.key, value)
                       : fmt::format("{} = {}\n", row.key, value);
  }
  return text;
}

}  // namespace mallbots::broker
