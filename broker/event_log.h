// The daemon's log: one line per event on stderr, `key=value` behind the sentence, so that people
// read it and machines split it (logfmt). spdlog writes; keeper and broker share the format.
//
//   2026-01-31T09:05:00.250Z info  broker pid=12 session opened session=3 uid=1000 name="robot 7"
//
// Any thread. Never fails: what cannot be written is dropped.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "shm/base/clock.h"
#include "shm/base/error.h"

namespace mallbots::broker {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError, kCritical };

/// One key=value. Strings are quoted when they need it; control bytes become \xHH, so that a name
/// that a client chose cannot forge a line.
struct LogField {
  std::string_view key;
  std::string value;

  LogField(std::string_view name, std::string_view text);
  LogField(std::string_view name, const char* text) : LogField(name, std::string_view{text}) {}
  LogField(std::string_view name, const std::string& text)
      : LogField(name, std::string_view{text}) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view name, T number) : key(name), value(fmt::format("{}", number)) {}
};

/// Once per process: `role` ("keeper", "broker") stands in each line.
void start_event_log(Level least, std::string_view role);
void log_event(Level level, std::string_view sentence, std::initializer_list<LogField> fields);
/// The error's sentence and its catalogue name.
void log_error(Level level, std::string_view sentence, const Error& error);

/// `debug`, `info`, `warning`, `error`; nothing if it is none of them.
[[nodiscard]] bool parse_level(std::string_view text, Level& level);

/// Lets through at most `burst` lines at once and `burst` per second after that: what a hostile
/// client causes must not fill a disk. One thread.
class LogBrake {
 public:
  explicit LogBrake(std::uint32_t burst) : burst_(burst), tokens_(burst) {}
  /// True: write the line. `dropped` is how many were not written before it.
  [[nodiscard]] bool pass(BootNanos now, std::uint64_t& dropped);

 private:
  std::uint32_t burst_;
  double tokens_;
  BootNanos last_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace mallbots::broker
