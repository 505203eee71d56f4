// Protobuf messages beside those with fields(): same names, same checks.
#include <gtest/gtest.h>
#include <shop.pb.h>

#include "clients/toolkit/cqrs/message_set.h"

namespace shop {
std::string partition_key_of(const OrderPlaced& event) { return event.order_id(); }
}  // namespace shop

namespace mallbots::toolkit {
template <>
inline constexpr MessageType kMessageType<shop::OrderPlaced> = event("OrderPlaced", 3);
}  // namespace mallbots::toolkit

namespace mallbots::test {
namespace {

TEST(ProtobufMessages, WhatIsWrittenIsReadBack) {
  shop::OrderPlaced placed;
  placed.set_order_id("o-1");
  placed.add_lines()->set_sku("a");
  const toolkit::Draft draft = toolkit::encode(placed);
  EXPECT_EQ(draft.name, "OrderPlaced_v3");
  EXPECT_EQ(draft.key, "o-1");
  const auto logged = client::as_message(toolkit::DraftRecord{draft}.record(), {}).value();
  const auto read = toolkit::decode<shop::OrderPlaced>(toolkit::Message{logged.view()});
  ASSERT_TRUE(read) << read.error().sentence();
  EXPECT_EQ(read->lines(0).sku(), "a");
}

TEST(ProtobufMessages, APayloadThatDoesNotParseIsUndecodable) {
  toolkit::Draft draft = toolkit::encode(shop::OrderPlaced{});
  draft.payload = "\xff\xff\xff";
  const auto logged = client::as_message(toolkit::DraftRecord{draft}.record(), {}).value();
  const auto read = toolkit::decode<shop::OrderPlaced>(toolkit::Message{logged.view()});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kUndecodable);
}

TEST(ProtobufMessages, FieldsAreComparedByNumberNameAndType) {
  // M13.4
  const auto set = toolkit::MessageSet{}.add<shop::OrderPlaced>();
  EXPECT_EQ(set.text(),
            "event OrderPlaced_v3 application/protobuf\n"
            "  1:order_id string\n"
            "  2:lines[].1:sku string\n"
            "  2:lines[].2:count int64\n");
  EXPECT_TRUE(set.check_against(set.text()));
  EXPECT_FALSE(
      set.check_against("event OrderPlaced_v3 application/protobuf\n  3:order_id string\n"));
}

}  // namespace
}  // namespace mallbots::test
