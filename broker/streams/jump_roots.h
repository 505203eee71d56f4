// JumpRoots: the offsets of the roots of a stream's trees (shm/layout/stream.h), the newest event's
// first: all that appending the next event must know of the ones before. At most 32 for 2^32
// events.
//
// A plain value, of which only the roots that there are get copied; any thread. A root may be
// unknown (kNoOffset): after a rebuild from a log whose oldest segments are gone. Jumps to it are
// then kNoOffset, and readers go step by step.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "shm/base/check.h"
#include "shm/layout/stream.h"

namespace mallbots::broker {

class JumpRoots {
 public:
  static constexpr std::size_t kMost = 32;

  JumpRoots() noexcept {}  // NOLINT(modernize-use-equals-default): it would clear all 32
  JumpRoots(const JumpRoots& other) noexcept : count_(other.count_) {
    std::copy_n(other.roots_.begin(), count_, roots_.begin());
  }
  JumpRoots& operator=(const JumpRoots& other) noexcept {
    count_ = other.count_;
    std::copy_n(other.roots_.begin(), count_, roots_.begin());
    return *this;
  }
  ~JumpRoots() = default;

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// 0: the newest event. kNoOffset beyond the last.
  [[nodiscard]] Offset at(std::size_t place) const noexcept {
    return place < count_ ? roots_[count_ - 1 - place] : kNoOffset;
  }
  [[nodiscard]] Offset newest() const noexcept { return at(0); }

  /// What event `version`, the next one of this stream, has to carry.
  [[nodiscard]] shm::EventLinks links_of(shm::StreamVersion version) const noexcept {
    const bool joins = shm::jump_version(version) + 1 != version;
    return {version, newest(), joins ? at(2) : newest()};
  }

  /// Event `version` stands at `offset`; the one before it is the newest here.
  void push(shm::StreamVersion version, Offset offset) noexcept {
    if (shm::jump_version(version) + 1 != version) {
      CHECK(count_ >= 2);
      count_ -= 2;
    }
    put_front(offset);
  }

  /// The newest event is `links.version` at `offset`; of the others only what it carries is known.
  [[nodiscard]] static JumpRoots known_from(const shm::EventLinks& links, Offset offset) noexcept {
    JumpRoots roots;
    for (std::size_t left = shm::tree_count(links.version); left > 2; --left)
      roots.put_front(kNoOffset);
    if (shm::jump_version(links.version) != 0) roots.put_front(links.jump);
    roots.put_front(offset);
    return roots;
  }
  /// For whoever reads them from a table: the oldest first.
  void put_front(Offset offset) noexcept {
    CHECK(count_ < kMost);
    roots_[count_++] = offset;
  }

 private:
  std::array<Offset, kMost> roots_;  ///< the oldest first
  std::uint8_t count_ = 0;
};

}  // namespace mallbots::broker
