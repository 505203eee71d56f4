// ColdReader: reads records of one partition from a segment file that the broker handed over, one
// window of bytes at a time, every record checked (header check and body hash).
//
// From its consumer's thread. Views point into the window and are valid until fill(). The file is
// immutable up to `end_byte`; what lies behind is never read. After a crash of anybody there is
// nothing to repair: it only reads.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "shm/base/result.h"
#include "shm/layout/control.h"
#include "shm/region/fd.h"
#include "shm/segment/walker.h"

namespace mallbots::client {

class ColdReader {
 public:
  /// `wanted`: the first offset to give. `place` names the partition in error texts.
  ColdReader(shm::UniqueFd file, const shm::FindSegmentReply& where, Offset wanted,
             std::size_t buffer_bytes);

  struct Step {
    enum Kind : std::uint8_t {
      kRecord,    ///< `view`
      kDamage,    ///< the offsets [first, end) do not check out
      kNeedFill,  ///< the window is used up: fill() ends the views and reads on
      kEnd,       ///< all that this file is to give was given; next_offset() goes on elsewhere
    };
    Kind kind = kEnd;
    shm::RecordView view{};
    Offset first = 0;
    Offset end = 0;
  };
  [[nodiscard]] Step next();
  /// Reads the next window. Errors: Io.
  [[nodiscard]] Result<void> fill();
  [[nodiscard]] Offset next_offset() const noexcept { return next_; }
  /// Makes the window at least as large.
  void use_buffer(std::size_t bytes);

 private:
  [[nodiscard]] Step lose(Offset end);
  [[nodiscard]] std::span<const std::byte> rest() const noexcept;
  [[nodiscard]] bool window_is_last() const noexcept {
    return window_byte_ + window_bytes_ >= where_.end_byte;
  }
  [[nodiscard]] bool find_start();

  shm::UniqueFd file_;
  shm::FindSegmentReply where_;
  std::uint64_t seed_;
  Offset next_;  ///< first offset not given yet
  std::optional<shm::RecordWalker> walker_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_;
  std::uint64_t window_byte_;  ///< where in the file the window begins
  std::size_t window_bytes_ = 0;
};

}  // namespace mallbots::client
