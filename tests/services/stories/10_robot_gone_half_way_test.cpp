// Story 10: a robot is lost half-way; after the time of grace another one fetches what is left, and
// what the first one had counts when it comes in.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(RobotGoneHalfWay, AnotherOneFetchesTheRest) {
  Customer ada(*this);
  ada.put("mug", 2);
  ada.put("book", 1);
  EXPECT_EQ(ada.submit().status, 201);
  wait_for(ada.order(), "approved");
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_EQ(robbie.start(), "");
  EXPECT_EQ(robbie.arrive("s1"), "");
  EXPECT_EQ(robbie.pick("s1", {{"mug", 2}}), "");
  const std::string list = robbie.list();
  robbie.vanish();

  Robot rosie(*this, "b2");
  rosie.connect();
  rosie.wait_for_list();
  EXPECT_EQ(rosie.list(), list);
  EXPECT_EQ(rosie.stops(), (std::vector<std::string>{"s1 done", "s2 waiting"}));
  EXPECT_EQ(robbie.repeat(), "");  // known, and nothing new
  EXPECT_EQ(robbie.return_home(), "PERMISSION_DENIED");
  EXPECT_EQ(rosie.fetch(), (Quantities{{"book", 1}}));
  EXPECT_EQ(count(ada.order(), {{"mug", 2}, {"book", 1}}).status, 200);
  wait_for(ada.order(), "ready");
  EXPECT_EQ(ada.look().total, 1400);
  const auto told = told_of(ada.order());
  EXPECT_EQ(std::ranges::count(told, "mallbots.depot.events.ShoppingList ShoppingStranded"), 1);
  EXPECT_EQ(std::ranges::count(told, "mallbots.depot.events.ShoppingList ItemsPickedUp"), 2);
}

}  // namespace
}  // namespace mallbots::test
