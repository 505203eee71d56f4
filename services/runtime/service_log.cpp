#include "services/runtime/service_log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>

#include "services/runtime/text.h"

namespace mallbots {
namespace {

constexpr std::string_view kToken = "tok_";
constexpr std::size_t kFewestDigits = 7;  // of a phone number (text.h)

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_of_token(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

/// How many of the first characters satisfy it.
template <class Predicate>
std::size_t run_of(std::string_view text, Predicate is_one) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_one) - text.begin());
}

}  // namespace

std::string redacted(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    std::size_t taken = 1;
    if (text.starts_with(kToken)) {
      taken = run_of(text, is_of_token);
      clean.append(kToken).append("***");
    } else if (const std::size_t digits = run_of(text.substr(1), is_digit);
               text.front() == '+' && digits >= kFewestDigits) {
      taken = digits + 1;
      clean.append(masked_phone(text.substr(0, taken)));
    } else {
      clean.push_back(text.front());
    }
    text.remove_prefix(taken);
  }
  return clean;
}

Result<toolkit::Log> service_log(const std::string& process, const std::string& file) {
  spdlog::sink_ptr sink;
  try {
    if (file.empty())
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
  } catch (const spdlog::spdlog_ex& refused) {
    return fail(ErrorCode::kIo, "log file '" + file + "': " + refused.what());
  }
  auto logger = std::make_shared<spdlog::logger>(process, std::move(sink));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %n %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::info);
  return [logger](const toolkit::LogLine& line) {
    const auto level = line.severity == toolkit::Severity::kError     ? spdlog::level::err
                       : line.severity == toolkit::Severity::kWarning ? spdlog::level::warn
                                                                      : spdlog::level::info;
    logger->log(level, redacted(toolkit::as_text(line)));
  };
}

}  // namespace mallbots
