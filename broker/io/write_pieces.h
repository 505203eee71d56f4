// WritePieces: what is left of a gathered write after a part of it was written. A plain value.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mallbots::broker {

class WritePieces {
 public:
  void assign(std::span<const iovec> pieces, std::uint64_t offset) {
    pieces_.assign(pieces.begin(), pieces.end());
    first_ = 0;
    offset_ = offset;
  }
  /// As much of the rest as the kernel takes in one call: it refuses more pieces with EINVAL.
  [[nodiscard]] std::span<const iovec> rest() const noexcept {
    return std::span(pieces_).subspan(first_,
                                      std::min<std::size_t>(pieces_.size() - first_, IOV_MAX));
  }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

  /// `bytes` more were written; true if that was all.
  bool advance(std::size_t bytes) noexcept {
    offset_ += bytes;
    while (first_ < pieces_.size() && bytes >= pieces_[first_].iov_len) {
      bytes -= pieces_[first_].iov_len;
      ++first_;
    }
    if (first_ == pieces_.size()) return true;
    pieces_[first_].iov_base = static_cast<std::byte*>(pieces_[first_].iov_base) + bytes;
    pieces_[first_].iov_len -= bytes;
    return false;
  }

 private:
  std::vector<iovec> pieces_;
  std::size_t first_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace mallbots::broker
