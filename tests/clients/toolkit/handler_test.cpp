// What a context gives its handler.
#include "clients/toolkit/handler.h"

#include <gtest/gtest.h>

#include <thread>

#include "clients/toolkit/in_process_bus.h"

namespace mallbots::test {
namespace {

using toolkit::Again;
using toolkit::Context;
using toolkit::Handled;
using toolkit::Message;

class HandlerTest : public testing::Test {
 protected:
  HandlerTest() {
    const toolkit::Draft draft{.id = "id-1", .correlation_id = "request-1"};
    const toolkit::DraftRecord record{draft};
    logged_ = client::as_message(record.record(), {.topic = "t"}).value();
  }
  toolkit::InProcessBus bus_{{.keep_all = true}};
  toolkit::HandlerInfo info_{.name = "h", .group = "g", .topics = {"t"}};
  std::stop_source stop_;
  Context::Surroundings around_{&info_, &bus_, &toolkit::system_clock(), stop_.get_token()};
  client::OwnedMessage logged_;
  Message message_{logged_.view()};
};

TEST_F(HandlerTest, WhatIsPublishedCarriesTheIdsAndWaitsForTheEnd) {
  Context context{around_, message_};
  context.publish("out", {.payload = "x"});
  const auto outputs = context.take_outputs();
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_EQ(outputs[0].topic, "out");
  EXPECT_EQ(outputs[0].draft.correlation_id, "request-1");
  EXPECT_EQ(outputs[0].draft.causation_id, "id-1");
  EXPECT_TRUE(context.take_outputs().empty());
}

TEST_F(HandlerTest, PublishNowIsOutAtOnceWithTheSameIds) {
  Context context{around_, message_};
  context.set_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  ASSERT_TRUE(context.publish_now("out", {.payload = "x"}));
  const auto reader = bus_.subscribe({.topics = {"out"}, .group = "r"});
  auto delivery = (*reader)->receive(Deadline::passed());
  ASSERT_TRUE(delivery && *delivery);
  const Message out{(*delivery)->message()};
  EXPECT_EQ(out.correlation_id(), "request-1");
  EXPECT_EQ(out.causation_id(), "id-1");
  EXPECT_EQ(out.trace(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_TRUE((*delivery)->ack());
}

TEST_F(HandlerTest, WaitingEndsWithTheCancellation) {
  Context context{around_, message_};
  EXPECT_TRUE(context.wait_ms(1));
  std::jthread canceller{[this] { stop_.request_stop(); }};
  EXPECT_FALSE(context.wait_ms(3'600'000));
  EXPECT_TRUE(context.is_cancelled());
}

TEST_F(HandlerTest, ADeadlineThatPassedCancels) {
  Context context{around_, message_};
  EXPECT_FALSE(context.is_cancelled());
  context.set_deadline_ns(context.clock().now_ns() + kMillisecond);
  EXPECT_FALSE(context.wait_ms(3'600'000));
  EXPECT_TRUE(context.is_cancelled());
}

TEST_F(HandlerTest, FindsWhatAMiddlewarePutByItsType) {
  Context context{around_, message_};
  EXPECT_EQ(context.find<int>(), nullptr);
  int first = 1;
  int second = 2;
  std::string text = "t";
  context.put(first);
  context.put(text);
  context.put(second);
  EXPECT_EQ(context.find<int>(), &second);
  EXPECT_EQ(context.find<std::string>(), &text);
}

TEST_F(HandlerTest, AnErrorOfACallIsAFailureThatComesAgain) {
  const auto handler = []() -> Handled {
    MALLBOTS_TRY(Result<void>{fail(ErrorCode::kTimeout, "the provider")});
    return {};
  };
  const Handled handled = handler();
  ASSERT_FALSE(handled);
  EXPECT_EQ(handled.error().type, "Timeout");
  EXPECT_NE(handled.error().text.find("the provider"), std::string::npos);
  EXPECT_EQ(handled.error().again, Again::kCounted);
}

}  // namespace
}  // namespace mallbots::test
