// Story 16: every message of an order is delivered twice, in the middle of it and when it is over.
// Everything happens once.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(EverythingTwice, HappensOnce) {
  Customer ada(*this);
  const auto effects = [&] {  // a command that comes again may be answered again
    auto told = told_of(ada.order());
    std::erase_if(told, [](const auto& one) { return one.starts_with("replies."); });
    std::ranges::sort(told);
    return told;
  };
  ada.is_approved();
  Robot robbie(*this, "b1");
  robbie.connect();
  const Quantities cargo = robbie.fetch({"cake"});
  wait_for(ada.order(), "in-progress");
  EXPECT_EQ(ada.pay().status, 200);
  reopen([this] { rewind(); });
  wait_until_quiet();
  EXPECT_EQ(count(ada.order(), cargo).status, 200);
  wait_for(ada.order(), "ready");
  release(ada.order());
  wait_for(ada.order(), "completed");
  wait_until_quiet();
  const auto told = effects();
  reopen([this] { rewind(); });
  wait_until_quiet();
  const auto again = effects();
  EXPECT_EQ(again, told);
  EXPECT_EQ(history(ada.order()).size(), 6U);
  EXPECT_EQ(invoice(ada.order()).paid, 500);
  EXPECT_EQ(accounts(), (std::vector<Account>{{.held = 0, .captured = 699, .refunded = 199}}));
  EXPECT_EQ(texts(ada.order()),
            (std::vector<std::string>{"paid", "ready", "received", "released"}));
}

}  // namespace
}  // namespace mallbots::test
