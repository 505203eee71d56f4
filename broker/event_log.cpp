#include "broker/event_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace mallbots::broker {
namespace {

constexpr std::array kLevelNames = {std::string_view{"debug"}, std::string_view{"info"},
                                    std::string_view{"warning"}, std::string_view{"error"}};

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kCritical:
      return spdlog::level::critical;
  }
  return spdlog::level::info;
}

bool needs_quotes(std::string_view text) {
  return text.empty() || std::ranges::any_of(text, [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte <= ' ' || byte == '"' || byte == '=' || byte == '\\' || byte == 0x7F;
         });
}

}  // namespace

LogField::LogField(std::string_view name, std::string_view text) : key(name) {
  if (!needs_quotes(text)) {
    value = text;
    return;
  }
  value = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      value.append(1, '\\').append(1, c);
    } else if (byte < ' ' || byte == 0x7F) {
      value += fmt::format("\\x{:02x}", byte);
    } else {
      value.append(1, c);
    }
  }
  value.append(1, '"');
}

void start_event_log(Level least, std::string_view role) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("mallbotsd", std::move(sink));
  logger->set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%eZ %-8l {} pid={} %v", role, getpid()),
                      spdlog::pattern_time_type::utc);
  logger->set_level(spdlog_level(least));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void log_event(Level level, std::string_view sentence, std::initializer_list<LogField> fields) {
  const auto wanted = spdlog_level(level);
  if (!spdlog::should_log(wanted)) return;
  std::string line{sentence};
  for (const LogField& field : fields)
    line.append(1, ' ').append(field.key).append(1, '=').append(field.value);
  spdlog::log(wanted, "{}", line);
}

void log_error(Level level, std::string_view sentence, const Error& error) {
  log_event(level, sentence,
            {{"error", error_entry(error.code).name}, {"reason", error.sentence()}});
}

bool parse_level(std::string_view text, Level& level) {
  const auto* found = std::ranges::find(kLevelNames, text);
  if (found == kLevelNames.end()) return false;
  level = static_cast<Level>(found - kLevelNames.begin());
  return true;
}

bool LogBrake::pass(BootNanos now, std::uint64_t& dropped) {
  const double elapsed_s = last_ == 0 ? 0 : static_cast<double>(now - last_) / kSecond;
  tokens_ = std::min<double>(burst_, tokens_ + elapsed_s * burst_);
  last_ = now;
  if (tokens_ < 1) {
    ++dropped_;
    return false;
  }
  tokens_ -= 1;
  dropped = std::exchange(dropped_, 0);
  return true;
}

}  // namespace mallbots::broker
