// FlushPlan: how one request is made durable, and what that tells of its file's size. Made at
// submit() and kept to the end: parts of one write that were flushed in different ways would not be
// flushed as a whole. A plain value, on the thread of the data path.
//
// O_DSYNC is only for writes inside the durable size. ext4 before commit 91562895f803 (Linux 6.7,
// stable kernels of the end of 2023) notes the new size of a direct write after the sync of
// O_DSYNC: a power cut then takes back the end of a file that was called durable.
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/io/disk.h"
#include "broker/io/flush_probe.h"

namespace mallbots::broker {

class FlushPlan {
 public:
  FlushPlan() = default;
  FlushPlan(const IoRequest& request, FlushStyle style) noexcept {
    std::uint64_t end = request.offset;
    for (const iovec& piece : request.pieces) end += piece.iov_len;
    const File::Size& size = request.file->size();
    dsync_ =
        request.kind == IoKind::kWriteFlush && style == FlushStyle::kDsync && end <= size.durable;
    flushes_ = request.kind != IoKind::kWrite && !dsync_;
    // Writes that are still in flight may be missed by the flush: zeros ahead beside a round.
    size_ = std::max(size.written, end);
  }

  /// The write itself flushes.
  [[nodiscard]] bool dsync() const noexcept { return dsync_; }
  /// A flush follows, or is all there is.
  [[nodiscard]] bool flushes() const noexcept { return flushes_; }

  /// The request is done, without an error.
  void done(const File& file) const noexcept {
    File::Size& size = file.size();
    size.written = std::max(size.written, size_);
    if (flushes_) size.durable = std::max(size.durable, size_);
  }

 private:
  bool dsync_ = false;
  bool flushes_ = false;
  std::uint64_t size_ = 0;
};

}  // namespace mallbots::broker
