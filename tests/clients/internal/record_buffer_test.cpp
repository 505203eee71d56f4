#include "clients/internal/record_buffer.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using client::as_bytes;
using client::Header;
using client::Record;
using client::RecordBuffer;

TEST(RecordBufferTest, EachRecordOfABatchHasItsOwnHeaders) {
  RecordBuffer buffer;
  const std::string large(2'000, 'v');
  const Header first[] = {{"a", large}};
  const Header third[] = {{"b", "2"}};
  const std::vector<Record> records{{.payload = as_bytes("1"), .headers = first},
                                    {.payload = as_bytes("2")},
                                    {.payload = as_bytes("3"), .headers = third}};
  const auto inputs = buffer.encode(records);
  ASSERT_TRUE(inputs.has_value());
  ASSERT_EQ(inputs->size(), 3U);
  const client::Message one{.attributes = (*inputs)[0].attributes};
  const client::Message three{.attributes = (*inputs)[2].attributes};
  EXPECT_EQ(one.header("a"), large);
  EXPECT_TRUE((*inputs)[1].attributes.empty());
  EXPECT_EQ(three.header("b"), "2");
  const auto again = buffer.encode({records.data() + 1, 1});
  EXPECT_TRUE((*again)[0].attributes.empty());
}

TEST(RecordBufferTest, WithoutAllocationThereIsRoomForOneKibibyte) {
  RecordBuffer buffer;
  const std::string fits(1'000, 'v');
  const std::string more(1'100, 'v');
  const Header small[] = {{"n", fits}};
  const Header large[] = {{"n", more}};
  EXPECT_NE(buffer.try_encode({.headers = small}), nullptr);
  EXPECT_EQ(buffer.try_encode({.headers = large}), nullptr);
  EXPECT_EQ(buffer.try_encode({.is_tombstone = true})->type, shm::RecordType::kTombstone);
  const std::string huge(70'000, 'v');
  const Header too_large[] = {{"n", huge}};
  const Record record{.headers = too_large};
  const auto refused = buffer.encode({&record, 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace mallbots::test
