// Lines of a file descriptor, read in large pieces, without waiting longer than asked: `produce`
// looks after its acknowledgements while the next line is not there yet. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::client::cli {

class LineReader {
 public:
  /// Lines longer than `limit_bytes` are TooLarge.
  LineReader(int fd, std::size_t limit_bytes) : fd_(fd), limit_bytes_(limit_bytes) {}

  enum class Outcome : std::uint8_t { kLine, kNotYet, kEnd };

  /// The next line, without its '\n', into `line`; valid until the next call. `may_wait` false:
  /// kNotYet instead of waiting for input. Errors: TooLarge (names the line), Io.
  [[nodiscard]] Result<Outcome> next(std::string_view& line, bool may_wait);

  /// Number of the line given last, from 1.
  [[nodiscard]] std::uint64_t line_number() const noexcept { return line_number_; }

 private:
  [[nodiscard]] Result<bool> read_more();

  int fd_;
  std::size_t limit_bytes_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    ///< of what was not given yet
  std::size_t end_ = 0;      ///< of what was read
  std::size_t scanned_ = 0;  ///< no line end between begin_ and here
  bool at_end_ = false;
  std::uint64_t line_number_ = 0;
};

}  // namespace mallbots::client::cli
