// SegmentMaker: whole segment files of a few records, made with the writers of shm/segment, for
// the tests of `dump` and `verify`. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shm/segment/footer.h"

namespace mallbots::test {

class SegmentMaker {
 public:
  explicit SegmentMaker(shm::SegmentNumber number = 1, Offset base_offset = 0);

  /// Appends a data record of its own batch; gives the byte where it begins.
  std::uint64_t add(const std::string& key, const std::string& payload);
  [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }
  [[nodiscard]] shm::SegmentHeader& header() noexcept { return header_; }
  [[nodiscard]] shm::SegmentTrailer& trailer() noexcept { return footer_.trailer; }
  [[nodiscard]] std::vector<shm::IndexEntry>& index() noexcept { return footer_.index; }

  /// Header and records, without footer.
  [[nodiscard]] std::vector<std::byte> open() const;
  /// With footer.
  [[nodiscard]] std::vector<std::byte> closed() const;

 private:
  shm::SegmentHeader header_{};
  shm::SegmentFooter footer_;
  std::vector<std::byte> bytes_;  ///< from the header block's end on
  Offset next_;
};

void write_file(const std::string& path, const std::vector<std::byte>& bytes);

}  // namespace mallbots::test
