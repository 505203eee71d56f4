#include "clients/toolkit/dead_letter.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace mallbots::test {
namespace {

TEST(DeadLetter, OneThatDiedBeforeCarriesTheNewHeadersOnly) {
  const client::Header headers[] = {{"kind", "order"}, {toolkit::kDeadGroup, "before"}};
  const auto died = client::as_message({.headers = headers}, {.topic = "t", .offset = 7});
  ASSERT_TRUE(died);
  const toolkit::DeadLetter letter{died->view(), {.group = "now", .attempts = 2}};
  const auto again = client::as_message(letter.record(), {});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->view().header("kind"), "order");
  EXPECT_EQ(again->view().header(toolkit::kDeadGroup), "now");
  EXPECT_EQ(std::ranges::count(letter.record().headers, toolkit::kDeadGroup, &client::Header::name),
            1);
}

TEST(DeadLetter, LongTextsAreCut) {
  const client::OwnedMessage message{client::Message{.topic = "t"}};
  const toolkit::DeadLetter letter{message.view(),
                                   {.last = {.type = "T", .text = std::string(100'000, 'x')}}};
  const auto record = client::as_message(letter.record(), {});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->view().header(toolkit::kDeadText)->size(), 1024U);
}

}  // namespace
}  // namespace mallbots::test
