#include "services/notifications/app/notifications.h"

#include <map>

#include "services/notifications/adapters/simulated_sms.h"
#include "tests/services/service_fixture.h"

namespace mallbots::notifications {
namespace {

using toolkit::Context;

class Phonebook final : public Numbers {
 public:
  Outcome<std::string> number_of(const std::string& customer_id, const toolkit::Cause&) override {
    ++asked;
    if (is_away) return std::unexpected(Error{ErrorCode::kTimeout, "customers"});
    const auto found = numbers.find(customer_id);
    if (found != numbers.end()) return found->second;
    return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such customer"});
  }
  std::map<std::string, std::string> numbers = {{"c1", "+442079460000"}};
  bool is_away = false;
  int asked = 0;
};

/// Sends, and then the answer is lost.
class MuteCarrier final : public SmsCarrier {
 public:
  explicit MuteCarrier(SmsCarrier& real) : real_(&real) {}
  Result<void> send(const Sms& sms) override {
    MALLBOTS_TRY(real_->send(sms));
    if (is_mute) return fail(ErrorCode::kTimeout, "no answer");
    return {};
  }
  bool is_mute = false;

 private:
  SmsCarrier* real_;
};

class NotificationsTest : public test::ServiceTest {
 protected:
  template <class Event>
  toolkit::Handled hear(const std::string& order_id = "o1", const std::string& reason = "why") {
    Event event;
    event.set_id(order_id);
    if constexpr (requires { event.customer_id(); }) event.set_customer_id("c1");
    if constexpr (requires { event.reason(); }) event.set_reason(reason);
    return deliver_bare(event, [&](Context& context, const auto& body) {
      return notifications_->on(context, body);
    });
  }
  std::vector<std::string> keys() {
    std::vector<std::string> all;
    const auto carried = sms_->carried();
    for (const SimulatedSms::Carried& one : *carried) all.push_back(one.key);
    return all;
  }

  Phonebook numbers_;
  std::unique_ptr<SimulatedSms> sms_ =
      SimulatedSms::open(*database_, toolkit::system_clock()).value();
  MuteCarrier carrier_{*sms_};
  std::unique_ptr<Notifications> notifications_ =
      Notifications::open(*database_, {numbers_, carrier_, toolkit::system_clock()}).value();
};

TEST_F(NotificationsTest, EachStepOfAnOrderIsToldOnceHoweverOftenItIsHeard) {
  for (int twice = 0; twice < 2; ++twice) {
    ASSERT_TRUE(hear<ordersapi::OrderCreated>());
    ASSERT_TRUE(hear<ordersapi::OrderReadied>());
    ASSERT_TRUE(hear<ordersapi::OrderPaid>());
    ASSERT_TRUE(hear<ordersapi::OrderCompleted>());
    ASSERT_TRUE(hear<ordersapi::OrderCreated>("o2"));
    ASSERT_TRUE(hear<ordersapi::OrderRejected>("o2"));
    ASSERT_TRUE(hear<ordersapi::OrderCanceled>("o3"));
  }
  EXPECT_EQ(keys(), (std::vector<std::string>{"o1/received", "o1/ready", "o1/paid", "o1/released",
                                              "o2/received", "o2/rejected", "o3/canceled"}));
  EXPECT_EQ(notifications_->sent("o1")->size(), 4U);
}

TEST_F(NotificationsTest, WhileCustomersIsAwayTheMessageWaitsAndDoesNotDie) {
  numbers_.is_away = true;
  for (int i = 0; i < 30; ++i) {
    const auto handled = hear<ordersapi::OrderCreated>();
    ASSERT_FALSE(handled);
    EXPECT_EQ(handled.error().again, toolkit::Again::kUncounted);
    EXPECT_TRUE(handled.error().delay_ms.has_value());
  }
  EXPECT_TRUE(keys().empty());
  numbers_.is_away = false;
  ASSERT_TRUE(hear<ordersapi::OrderCreated>());
  EXPECT_EQ(keys().size(), 1U);
}

TEST_F(NotificationsTest, ALostAnswerOfTheCarrierSendsNothingTwice) {
  carrier_.is_mute = true;
  EXPECT_FALSE(hear<ordersapi::OrderCreated>());
  EXPECT_FALSE(hear<ordersapi::OrderCreated>());
  carrier_.is_mute = false;
  ASSERT_TRUE(hear<ordersapi::OrderCreated>());
  EXPECT_EQ(keys().size(), 1U);
}

TEST_F(NotificationsTest, WhatWasSentIsKnownAfterADeath) {
  ASSERT_TRUE(hear<ordersapi::OrderCreated>());
  notifications_ =
      Notifications::open(*database_, {numbers_, carrier_, toolkit::system_clock()}).value();
  const int asked = numbers_.asked;
  ASSERT_TRUE(hear<ordersapi::OrderCreated>());
  EXPECT_EQ(numbers_.asked, asked);
}

TEST_F(NotificationsTest, AStrangersOrderIsWrittenDownAndHoldsUpNobody) {
  numbers_.numbers.clear();
  ASSERT_TRUE(hear<ordersapi::OrderCreated>());
  ASSERT_TRUE(hear<ordersapi::OrderPaid>("o9"));  // whose order was never heard of
  EXPECT_TRUE(keys().empty());
  ASSERT_EQ(notifications_->sent("o1")->size(), 1U);
  EXPECT_FALSE(notifications_->sent("o1")->front().was_sent);
}

TEST_F(NotificationsTest, NoRowHoldsANumber) {
  ASSERT_TRUE(hear<ordersapi::OrderCreated>());
  const auto rows = database_->read(
      "select (select group_concat(masked_number || text || key) from carried_sms)"
      " || (select group_concat(order_id || kind || customer_id) from notices)");
  const std::string all(rows->front().text(0));
  EXPECT_EQ(all.find("2079460000"), std::string::npos) << all;
  EXPECT_NE(all.find("+44********00"), std::string::npos) << all;
}

TEST_F(NotificationsTest, HostileTextIsCarriedAsItIsAndBreaksNothing) {
  const std::string long_reason(10'000, 'x');
  ASSERT_TRUE(hear<ordersapi::OrderCanceled>("o1'; drop table notices --", long_reason));
  ASSERT_TRUE(hear<ordersapi::OrderCanceled>("o2", "{} %s \n"));
  ASSERT_TRUE(hear<ordersapi::OrderCanceled>("", ""));
  EXPECT_EQ(keys().size(), 3U);
}

}  // namespace
}  // namespace mallbots::notifications
