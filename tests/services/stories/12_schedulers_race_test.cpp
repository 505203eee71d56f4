// Story 12: many robots come at one moment for few lists; each list is given to one of them.
#include <set>
#include <thread>

#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(SchedulersRace, EachListGoesToOneRobot) {
  std::vector<std::unique_ptr<Customer>> customers;
  for (int i = 0; i < 4; ++i)
    customers.emplace_back(std::make_unique<Customer>(*this))->orders_tea();
  std::vector<std::unique_ptr<Robot>> robots;
  for (int i = 0; i < 8; ++i)
    robots.push_back(std::make_unique<Robot>(*this, "b" + std::to_string(i)));
  {
    // While the sagas make lists available, which wakes the scheduler too.
    std::vector<std::jthread> threads;
    for (const auto& robot : robots) threads.emplace_back([&robot] { robot->connect(); });
  }
  for (const auto& ada : customers) wait_for(ada->order(), "approved");
  std::set<std::string> lists;
  const auto given = [&] {
    std::multiset<std::string> all;
    for (const auto& robot : robots)
      if (robot->has_list()) all.insert(robot->list());
    lists = {all.begin(), all.end()};
    EXPECT_EQ(lists.size(), all.size()) << "two robots have one list";
    return lists.size() == customers.size();
  };
  EXPECT_TRUE(eventually(given));
  wait_until_quiet();
  for (const auto& ada : customers) {
    EXPECT_TRUE(lists.contains(list_id_of(ada->order())));
    const auto told = told_of(ada->order());
    EXPECT_EQ(std::ranges::count(told, "mallbots.depot.events.ShoppingList ShoppingListAssigned"),
              1);
  }
}

}  // namespace
}  // namespace mallbots::test
