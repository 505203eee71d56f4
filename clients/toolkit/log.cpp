#include "clients/toolkit/log.h"

#include <cstdio>

namespace mallbots::toolkit {

std::string as_text(const LogLine& line) {
  std::string text = line.severity == Severity::kInfo      ? "info "
                     : line.severity == Severity::kWarning ? "warning "
                                                           : "error ";
  text.append(line.text);
  for (const auto& [name, value] : line.values) {
    text.append(" ").append(name).append("=");
    const bool is_word = !value.empty() && value.find_first_of(" \"\n\t=") == std::string::npos;
    if (is_word) {
      text.append(value);
      continue;
    }
    text.push_back('"');
    for (const char letter : value) {
      if (letter == '"' || letter == '\\') text.push_back('\\');
      if (letter == '\n')
        text.append("\\n");
      else
        text.push_back(letter);
    }
    text.push_back('"');
  }
  return text;
}

Log log_to_stderr() {
  // One write a line, so that lines of several threads do not mix.
  return [](const LogLine& line) { std::fputs(as_text(line).append("\n").c_str(), stderr); };
}

}  // namespace mallbots::toolkit
