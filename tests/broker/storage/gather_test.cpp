#include "broker/storage/gather.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

namespace mallbots::test {
namespace {

using broker::AlignedBuffer;
using broker::Gather;
using broker::kIoAlign;

std::vector<std::byte> join(const Gather& gather) {
  std::vector<std::byte> all;
  for (const iovec& piece : gather.pieces()) {
    const auto* raw = static_cast<const std::byte*>(piece.iov_base);
    all.insert(all.end(), raw, raw + piece.iov_len);
  }
  return all;
}

RC_GTEST_PROP(Gather, GivesTheSameBytesInAlignedPieces, ()) {
  AlignedBuffer source{16 * kIoAlign};
  for (std::size_t i = 0; i < source.size(); ++i) source.data()[i] = std::byte(i * 31 % 251);
  const auto prefix = *rc::gen::inRange<std::size_t>(0, kIoAlign / 16) * 16;
  Gather gather;
  gather.begin(7 * kIoAlign, source.span().first(prefix));
  std::vector<std::byte> expected(source.data(), source.data() + prefix);
  const auto steps = *rc::gen::inRange(0, 6);
  for (int i = 0; i < steps; ++i) {
    const auto from = *rc::gen::inRange<std::size_t>(0, 8 * kIoAlign / 16) * 16;
    const auto size = *rc::gen::inRange<std::size_t>(0, 4 * kIoAlign / 16) * 16;
    const auto part = source.span().subspan(from, size);
    switch (*rc::gen::inRange(0, 3)) {
      case 0:
        gather.direct(part);
        expected.insert(expected.end(), part.begin(), part.end());
        break;
      case 1:
        gather.copy(part);
        expected.insert(expected.end(), part.begin(), part.end());
        break;
      default:
        gather.zeros(size);
        expected.resize(expected.size() + size);
    }
  }
  RC_ASSERT(gather.file_byte() == 7 * kIoAlign + expected.size());
  const auto tail = gather.finish();
  RC_ASSERT(tail.size() == expected.size() % kIoAlign);
  RC_ASSERT(std::equal(tail.begin(), tail.end(), expected.end() - static_cast<long>(tail.size())));
  expected.resize((expected.size() + kIoAlign - 1) / kIoAlign * kIoAlign);
  RC_ASSERT(join(gather) == expected);
  for (const iovec& piece : gather.pieces()) {
    RC_ASSERT(reinterpret_cast<std::uintptr_t>(piece.iov_base) % kIoAlign == 0U);
    RC_ASSERT(piece.iov_len % kIoAlign == 0U);
  }
}

TEST(Gather, WholeBlocksAtTheSameDistanceAreNotCopied) {
  AlignedBuffer slot{8 * kIoAlign};
  Gather gather;
  gather.begin(0, slot.span().first(512));
  gather.direct(slot.span().subspan(512, 6 * kIoAlign));
  (void)gather.finish();
  EXPECT_EQ(gather.copied_bytes(), kIoAlign + 512);
}

}  // namespace
}  // namespace mallbots::test
