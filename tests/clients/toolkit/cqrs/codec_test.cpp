// Typed messages out and in again, JSON.
#include "clients/toolkit/cqrs/codec.h"

#include <gtest/gtest.h>

#include "tests/clients/toolkit/cqrs/messages.h"

namespace mallbots::test {
namespace {

using toolkit::Draft;
using toolkit::Message;

/// The message as it would be read from a topic.
class Read {
 public:
  explicit Read(const Draft& draft)
      : logged_(client::as_message(toolkit::DraftRecord{draft}.record(), {.topic = "t"}).value()) {}
  [[nodiscard]] Message message() const { return Message{logged_.view()}; }

 private:
  client::OwnedMessage logged_;
};

Draft json(const std::string& name, const std::string& payload) {
  return {.payload = payload, .name = name, .headers = {{"content-type", "application/json"}}};
}

TEST(Codec, WhatIsWrittenIsReadBackEqual) {
  // M3.1, M3.2, M3.4
  const OrderPlaced placed{.order_id = "o \"1\"\n",
                           .total = "12.30",
                           .lines = {{"a", 2}, {"b", -1}},
                           .note = "€",
                           .flags = {{"gift", true}, {"rush", false}}};
  const Read read{toolkit::encode(placed)};
  EXPECT_EQ(read.message().name(), "OrderPlaced_v2");
  EXPECT_EQ(read.message().version(), 2U);
  EXPECT_EQ(read.message().key(), placed.order_id);
  const auto decoded = toolkit::decode<OrderPlaced>(read.message());
  ASSERT_TRUE(decoded) << decoded.error().sentence();
  EXPECT_EQ(*decoded, placed);
}

TEST(Codec, AnUnknownMemberIsPassedOverAndAMissingOneKeepsItsDefault) {
  // M3.5, M6.4
  const Read read{json("OrderPlaced_v2", R"({"order_id":"o","color":{"deep":[1,2]},"note":null})")};
  const auto decoded = toolkit::decode<OrderPlaced>(read.message());
  ASSERT_TRUE(decoded) << decoded.error().sentence();
  EXPECT_EQ(decoded->order_id, "o");
  EXPECT_EQ(decoded->currency, "USD");
  EXPECT_FALSE(decoded->note);
}

TEST(Codec, OlderVersionsAreBroughtUpStepByStep) {
  // M13.1, M18.1
  const Read oldest{json("OrderPlaced_v0", R"({"id":"o","euros":7})")};
  const auto decoded = toolkit::decode<OrderPlaced>(oldest.message());
  ASSERT_TRUE(decoded) << decoded.error().sentence();
  EXPECT_EQ(decoded->order_id, "o");
  EXPECT_EQ(decoded->total, "7.00");
  EXPECT_TRUE(toolkit::accepts<OrderPlaced>("OrderPlaced_v1"));
  EXPECT_FALSE(toolkit::accepts<OrderPlaced>("OrderPlaced_v3"));
  EXPECT_FALSE(toolkit::accepts<OrderPlacedV0>("OrderPlaced_v1"));
}

struct Bad {
  const char* name;
  const char* payload;
  const char* said;
};

TEST(Codec, WhatDoesNotReadSaysWhatAndWhere) {
  const Bad cases[] = {
      {"OrderPlaced_v2", "{", "no JSON at byte"},
      {"OrderPlaced_v2", "[]", "'it' is no object"},
      {"OrderPlaced_v2", R"({"order_id":7})", "'order_id' is no text"},
      {"OrderPlaced_v2", R"({"lines":[{"count":"2"}]})", "'lines[].count' is no integer"},
      {"OrderPlaced_v2", R"({"lines":[{"count":18446744073709551615}]})", "more than 63 bits"},
      {"OrderPlaced_v2", R"({"lines":{}})", "'lines' is no array"},
      {"OrderPlaced_v2", R"({"flags":{"a":1}})", "'flags{}' is no bool"},
      {"OrderPlaced_v3", "{}", "it has another name"},
      {"", "{}", "it has another name"},
  };
  for (const Bad& one : cases) {
    const Read read{json(one.name, one.payload)};
    const auto decoded = toolkit::decode<OrderPlaced>(read.message());
    ASSERT_FALSE(decoded) << one.payload;
    EXPECT_EQ(decoded.error().code, ErrorCode::kUndecodable);
    EXPECT_NE(decoded.error().detail.find(one.said), std::string::npos) << decoded.error().detail;
  }
  using namespace std::string_literals;
  for (const std::string& cut : {"{}\0"s, "{}\0{\"order_id\":7}"s, "{\0}"s}) {
    const Read read{json("OrderPlaced_v2", cut)};
    const auto decoded = toolkit::decode<OrderPlaced>(read.message());
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().detail.find("no JSON at byte"), std::string::npos);
  }
  const Read deep{json("OrderPlaced_v2", std::string(1000, '['))};
  EXPECT_NE(toolkit::decode<OrderPlaced>(deep.message()).error().detail.find("too deep"),
            std::string::npos);
}

TEST(Codec, AnotherContentTypeIsNamedAndNotGuessed) {
  // M8.4
  Draft draft = toolkit::encode(OrderPlaced{.order_id = "o"});
  draft.headers = {{"content-type", "application/protobuf"}};
  const auto decoded = toolkit::decode<OrderPlaced>(Read{draft}.message());
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().detail.find("it is application/protobuf"), std::string::npos);
}

TEST(TopicNames, AreMadeOfKindServiceAndName) {
  // M8.1, M11.2, M13.2
  const toolkit::TopicNames names{.service = "orders"};
  EXPECT_EQ(names.topic_of(OrderPlaced::kMessage), "events.OrderPlaced");
  EXPECT_EQ(names.topic_of(StockCounted::kMessage), "internal-events.orders.StockCounted");
  EXPECT_EQ(names.topic_of(ShipOrder::kMessage), "commands.ShipOrder");
  EXPECT_EQ(names.topic_of(Shipped::kMessage), "replies.orders");
  const toolkit::TopicNames one{.service = "orders",
                                .event_topic = [](const auto&) { return "events"; }};
  EXPECT_EQ(one.topic_of(OrderPlaced::kMessage), "events");
  EXPECT_EQ(one.topic_of(StockCounted::kMessage), "internal-events.orders.StockCounted");
}

}  // namespace
}  // namespace mallbots::test
