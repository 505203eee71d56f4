#include "broker/storage/segment_info.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using broker::kSegmentSuffix;
using broker::kSideSuffix;
using broker::segment_number_of;

TEST(SegmentNames, ComeBackAsNumbers) {
  EXPECT_EQ(broker::segment_file_name(7), "0000000007.seg");
  EXPECT_EQ(broker::side_file_name(7), "0000000007.side");
  for (const shm::SegmentNumber number : {1ULL, 99ULL, 12345678901234ULL}) {
    EXPECT_EQ(segment_number_of(broker::segment_file_name(number), kSegmentSuffix), number);
    EXPECT_EQ(segment_number_of(broker::side_file_name(number), kSideSuffix), number);
  }
}

TEST(SegmentNames, NothingElseIsASegment) {
  for (const char* name :
       {"", ".seg", "7.seg", "0000000007.side", "0000000007.seg.tmp", "000000000x.seg",
        "-000000007.seg", "99999999999999999999999.seg", "0000000007.side.tmp", "lost+found"}) {
    EXPECT_EQ(segment_number_of(name, kSegmentSuffix), shm::kNoSegment) << name;
  }
}

}  // namespace
}  // namespace mallbots::test
