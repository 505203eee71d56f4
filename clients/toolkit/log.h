// Log: where a service's lines go. A line is a sentence and named values, so that any logger can
// print it its way; log_to_stderr() is for programs that have none.
//
// Who calls: any thread, several at once; a Log must stand that.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mallbots::toolkit {

enum class Severity : std::uint8_t { kInfo, kWarning, kError };

struct LogLine {
  Severity severity = Severity::kInfo;
  std::string text;
  std::vector<std::pair<std::string_view, std::string>> values{};
};

using Log = std::function<void(const LogLine&)>;

/// `severity text name=value ...`
[[nodiscard]] std::string as_text(const LogLine& line);
[[nodiscard]] Log log_to_stderr();

}  // namespace mallbots::toolkit
