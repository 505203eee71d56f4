// A sender that waits: reply, refusal, silence.
#include "clients/toolkit/cqrs/requests.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/clients/toolkit/cqrs/messages.h"
#include "tests/clients/toolkit/pump.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::Handled;

class RequestsTest : public testing::Test {
 protected:
  RequestsTest() {
    toolkit::CommandProcessor processor{names_};
    EXPECT_TRUE(processor.handle<ShipOrder>(
        [](Context&, const ShipOrder& command) -> std::expected<Shipped, toolkit::HandlerFailure> {
          if (command.order_id == "bad") return toolkit::give_up("NoStock", "none left");
          return Shipped{.parcel = "parcel of " + command.order_id};
        }));
    pump_.add(processor.registrations());
    pump_.add(requests_.registration());
  }
  /// Asks while the pump runs beside it.
  template <class Ask>
  auto while_pumping(Ask&& ask) {
    const std::jthread pumping{[&](const std::stop_token& stop) {
      while (!stop.stop_requested()) pump_.run();
    }};
    return ask();
  }
  toolkit::TopicNames names_{.service = "depot"};
  toolkit::InProcessBus bus_;
  Pump pump_{bus_};
  toolkit::Requests requests_{toolkit::CommandBus{names_}, bus_, "replies.kiosk-1"};
};

TEST_F(RequestsTest, TheReplyIsTheAnswer) {
  const auto reply = while_pumping([&] {
    return requests_.ask<Shipped>(ShipOrder{.order_id = "7"}, Deadline::after_ms(5'000));
  });
  ASSERT_TRUE(reply) << reply.error().sentence();
  EXPECT_EQ(reply->parcel, "parcel of 7");
}

TEST_F(RequestsTest, ARefusalIsAnErrorWithItsReason) {
  const auto reply = while_pumping(
      [&] { return requests_.ask(ShipOrder{.order_id = "bad"}, Deadline::after_ms(5'000)); });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kRefused);
  EXPECT_EQ(reply.error().detail, "NoStock: none left");
}

TEST_F(RequestsTest, SilenceIsATimeoutAndALateReplyIsCounted) {
  pump_.twice = false;  // calls are counted
  const auto reply = requests_.ask(ShipOrder{.order_id = "7"}, Deadline::after_ms(1));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kTimeout);
  pump_.run();
  EXPECT_EQ(requests_.late(), 1U);
}

}  // namespace
}  // namespace mallbots::test
