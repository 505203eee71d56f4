#include "tests/scripts/transcript.h"

#include <charconv>
#include <sstream>

namespace mallbots::test {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

bool matches_from(const std::vector<std::string>& patterns, std::size_t p,
                  const std::vector<std::string>& lines, std::size_t l) {
  if (p == patterns.size()) return l == lines.size();
  if (patterns[p] == "...") {
    for (std::size_t next = l; next <= lines.size(); ++next)
      if (matches_from(patterns, p + 1, lines, next)) return true;
    return false;
  }
  return l < lines.size() && line_matches(patterns[p], lines[l]) &&
         matches_from(patterns, p + 1, lines, l + 1);
}

}  // namespace

std::vector<Step> parse_transcript(std::string_view text) {
  std::vector<Step> steps;
  std::size_t number = 0;
  for (const std::string& line : lines_of(text)) {
    ++number;
    if (line.starts_with("$ ")) {
      steps.push_back({number, line.substr(2), {}, 0});
    } else if (steps.empty() || line.starts_with("#")) {
      continue;
    } else if (line.starts_with("? ")) {
      std::from_chars(line.data() + 2, line.data() + line.size(), steps.back().exit_code);
    } else {
      steps.back().expected.push_back(line);
    }
  }
  // Blank lines between steps are for the eye.
  for (Step& step : steps)
    while (!step.expected.empty() && step.expected.back().empty()) step.expected.pop_back();
  return steps;
}

std::vector<Block> blocks_of(std::string_view document) {
  std::vector<Block> blocks;
  std::size_t number = 0;
  bool is_inside = false;
  for (const std::string& line : lines_of(document)) {
    ++number;
    if (line.starts_with("```")) {
      is_inside = !is_inside;
      if (is_inside) blocks.push_back({number + 1, line.substr(3), {}});
    } else if (is_inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

std::vector<Step> parse_document(std::string_view document) {
  std::vector<Step> steps;
  for (const Block& block : blocks_of(document)) {
    if (block.kind != "console") continue;
    for (Step& step : parse_transcript(block.text)) {
      step.line += block.line - 1;
      steps.push_back(std::move(step));
    }
  }
  return steps;
}

bool line_matches(std::string_view pattern, std::string_view line) {
  const auto any = pattern.find("[..]");
  if (any == std::string_view::npos) return pattern == line;
  if (!line.starts_with(pattern.substr(0, any))) return false;
  const std::string_view rest = pattern.substr(any + 4);
  for (std::size_t at = any; at <= line.size(); ++at)
    if (line_matches(rest, line.substr(at))) return true;
  return false;
}

bool output_matches(const std::vector<std::string>& patterns, std::string_view output) {
  std::vector<std::string> lines = lines_of(output);
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return matches_from(patterns, 0, lines, 0);
}

}  // namespace mallbots::test
