// Transcripts: a file of commands and what they must say, run against a daemon of its own.
//
//   # a comment
//   $ mallbots topic create orders -p 2
//   created orders: 2 partitions, [..]
//   $ mallbots topic create orders
//   mallbots: a topic of that name exists already: [..]
//   ? 1
//
// A line after "$ " is given to sh; the lines below it are its output, stdout and stderr together.
// [..] stands for anything within a line, a line of ... for any lines. "? N" is the exit code, 0 if
// not said. All commands of a file share one daemon and one folder, which is the working directory.
// The same in a document stands between fences of kind `console`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mallbots::test {

struct Step {
  std::size_t line = 0;  ///< in the file, from 1
  std::string command;
  std::vector<std::string> expected;
  int exit_code = 0;
};

[[nodiscard]] std::vector<Step> parse_transcript(std::string_view text);

/// A piece of a document between ``` fences.
struct Block {
  std::size_t line = 0;  ///< of its first line, from 1
  std::string kind;      ///< what stands behind the fence
  std::string text;
};

[[nodiscard]] std::vector<Block> blocks_of(std::string_view document);

/// The steps of its blocks of kind `console`.
[[nodiscard]] std::vector<Step> parse_document(std::string_view document);

/// True if `line` is what `pattern` with its [..] says.
[[nodiscard]] bool line_matches(std::string_view pattern, std::string_view line);

/// True if the lines of `output` are what the patterns say.
[[nodiscard]] bool output_matches(const std::vector<std::string>& patterns,
                                  std::string_view output);

}  // namespace mallbots::test
