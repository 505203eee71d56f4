// Commands and claims, without a mall: what comes again.
#include "services/gateways/admin/commands.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "services/gateways/admin/calls.h"

namespace mallbots::admin {
namespace {

/// The payment of one order, which is made once; its answer may be lost.
class Payment {
 public:
  Response take(const std::string& key) {
    return commands_.run(key, "pay", [&] {
      return claims_.run("payment:o1", "the payment of order o1", "ann", [&] {
        if (is_paid_) return done_already("order o1 was paid already, by cash");
        is_paid_ = true;
        ++effects;
        if (is_answer_lost) return gateways::unavailable("no answer");
        return answer_of({{"paid", true}});
      });
    });
  }

  bool is_answer_lost = false;
  int effects = 0;

 private:
  Commands commands_;
  Claims claims_;
  bool is_paid_ = false;
};

TEST(StaffCommand, ThatComesAgainHasTheSameAnswerAndOneEffect) {
  Payment payment;
  const Response first = payment.take("a");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(payment.take("a").body, first.body);
  EXPECT_EQ(payment.take("b").status, 409);
  EXPECT_EQ(payment.effects, 1);
}

TEST(StaffCommand, WhoseAnswerWasLostIsDoneAlreadyTheNextTime) {
  Payment payment;
  payment.is_answer_lost = true;
  EXPECT_EQ(payment.take("a").status, 503);
  payment.is_answer_lost = false;
  for (int i = 0; i < 2; ++i) {
    const Response again = payment.take("a");
    EXPECT_EQ(again.status, 409);
    EXPECT_NE(again.body.find("done-already"), std::string::npos) << again.body;
  }
  EXPECT_EQ(payment.effects, 1);
}

}  // namespace
}  // namespace mallbots::admin
