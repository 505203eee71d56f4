// Story 17: the messages of two orders come interleaved, and all of them again, late. Each order
// goes its own way.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(TwoOrdersInterleaved, GoTheirOwnWays) {
  Customer ada(*this);
  Customer grace(*this, "+442079460001");
  ada.put("mug", 2);
  grace.put("book", 1);
  ada.put("cake", 1);
  grace.put("mug", 1);
  EXPECT_EQ(grace.submit().status, 201);
  EXPECT_EQ(ada.submit().status, 201);
  wait_for(grace.order(), "approved");
  wait_for(ada.order(), "approved");
  Robot robbie(*this, "b1");
  Robot rosie(*this, "b2");
  robbie.connect();  // the oldest list: of the order that was made first
  rosie.connect();
  const bool is_grace_first = robbie.list() == list_id_of(grace.order());
  Robot& of_grace = is_grace_first ? robbie : rosie;
  Robot& of_ada = is_grace_first ? rosie : robbie;
  EXPECT_EQ(of_ada.start(), "");
  EXPECT_EQ(of_grace.start(), "");
  EXPECT_EQ(of_ada.arrive("s1"), "");
  EXPECT_EQ(of_grace.arrive("s2"), "");
  EXPECT_EQ(of_grace.pick("s2", {{"book", 1}}), "");
  EXPECT_EQ(ada.pay().status, 200);
  wait_for(ada.order(), "in-progress");
  wait_for(grace.order(), "in-progress");

  reopen([this] { rewind(); });
  EXPECT_EQ(grace.cancel().status, 200);
  EXPECT_EQ(of_ada.pick("s1", {{"mug", 2}, {"cake", 0, 1}}), "");
  EXPECT_EQ(of_ada.return_home(), "");
  EXPECT_EQ(count(ada.order(), {{"mug", 2}}).status, 200);
  wait_for(ada.order(), "ready");
  wait_for(grace.order(), "cancelled");
  EXPECT_EQ(of_grace.empty_cargo(), "");
  wait_until_quiet();

  reopen([this] { rewind(); });  // the end of the one, the middle of the other
  release(ada.order());
  wait_for(ada.order(), "completed");
  wait_for(grace.order(), "cancelled");
  wait_until_quiet();
  EXPECT_EQ(history(ada.order()).size(), 6U);
  EXPECT_EQ(history(grace.order()), (std::vector<std::string>{"OrderCreated", "OrderApproved",
                                                              "OrderStarted", "OrderCanceled"}));
  auto books = accounts();
  std::ranges::sort(books);
  EXPECT_EQ(books, (std::vector<Account>{{}, {.captured = 699, .refunded = 199}}));
}

}  // namespace
}  // namespace mallbots::test
