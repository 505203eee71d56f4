// M13.4: an incompatible change of a message is found before it is released.
#include "clients/toolkit/cqrs/message_set.h"

#include <gtest/gtest.h>

#include "tests/clients/toolkit/cqrs/messages.h"

namespace mallbots::test {
namespace {

using toolkit::MessageSet;

MessageSet now() { return MessageSet{}.add<OrderPlaced>().add<ShipOrder>().add<StockCounted>(); }

TEST(MessageSet, IsATextWithOneLinePerField) {
  EXPECT_EQ(now().text(),
            "event OrderPlaced_v2 application/json\n"
            "  currency text\n"
            "  flags{} bool\n"
            "  lines[].count integer\n"
            "  lines[].sku text\n"
            "  note text\n"
            "  order_id text\n"
            "  total text\n"
            "command ShipOrder_v1 application/json\n"
            "  order_id text\n"
            "internal-event StockCounted_v1 application/json\n"
            "  sku text\n");
}

TEST(MessageSet, NewMessagesAndNewFieldsAreCompatible) {
  EXPECT_TRUE(now().check_against(now().text()));
  EXPECT_TRUE(now().check_against(""));
  EXPECT_TRUE(now().check_against("event OrderPlaced_v2 application/json\n  order_id text\n"));
}

struct Change {
  const char* released;
  const char* said;
};

TEST(MessageSet, WhatReadersRelyOnMayNotChange) {
  const Change cases[] = {
      {"event OrderShipped_v1 application/json\n", "OrderShipped_v1 is gone"},
      {"event OrderPlaced_v2 application/json\n  color text\n", "OrderPlaced_v2 has no color"},
      {"event OrderPlaced_v2 application/json\n  total integer\n",
       "OrderPlaced_v2.total was integer, is text"},
      {"command OrderPlaced_v2 application/json\n", "was command application/json, is event"},
      {"event OrderPlaced_v2 application/protobuf\n", "is event application/json"},
      {"event StockCounted_v1 application/json\n", "is internal-event application/json"},
      {"event OrderPlaced_v2", "does not read"},
  };
  for (const Change& one : cases) {
    const auto kept = now().check_against(one.released);
    ASSERT_FALSE(kept) << one.released;
    EXPECT_EQ(kept.error().code, ErrorCode::kIncompatible);
    EXPECT_NE(kept.error().detail.find(one.said), std::string::npos) << kept.error().detail;
  }
}

}  // namespace
}  // namespace mallbots::test
