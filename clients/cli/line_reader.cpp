#include "clients/cli/line_reader.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mallbots::client::cli {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

bool is_ready(int fd) {
  pollfd wait{fd, POLLIN, 0};
  // An error or a hang-up is something to read: read() says what.
  return poll(&wait, 1, 0) > 0;
}

}  // namespace

Result<LineReader::Outcome> LineReader::next(std::string_view& line, bool may_wait) {
  while (true) {
    const char* start = buffer_.data() + scanned_;
    const void* found = end_ == scanned_ ? nullptr : std::memchr(start, '\n', end_ - scanned_);
    if (found == nullptr) scanned_ = end_;
    const std::size_t line_end =
        found == nullptr
            ? end_
            : static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
    if (line_end - begin_ > limit_bytes_)
      return fail(ErrorCode::kTooLarge,
                  fmt::format("line {} has more than {} bytes", line_number_ + 1, limit_bytes_));
    if (found != nullptr || (at_end_ && begin_ < end_)) {
      line = {buffer_.data() + begin_, line_end - begin_};
      begin_ = scanned_ = std::min(line_end + 1, end_);
      ++line_number_;
      return Outcome::kLine;
    }
    if (at_end_) return Outcome::kEnd;
    if (!may_wait && !is_ready(fd_)) return Outcome::kNotYet;
    const auto more = read_more();
    if (!more) return std::unexpected(more.error());
    at_end_ = !*more;
  }
}

Result<bool> LineReader::read_more() {
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < kPieceBytes) buffer_.resize(std::max(2 * end_, end_ + kPieceBytes));
  while (true) {
    const ssize_t got = read(fd_, buffer_.data() + end_, buffer_.size() - end_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::kIo, fmt::format("stdin: {}", std::strerror(errno)));
    end_ += static_cast<std::size_t>(got);
    return got > 0;
  }
}

}  // namespace mallbots::client::cli
