#include <gtest/gtest.h>

#include "services/depot/domain/bot.h"
#include "services/depot/domain/scheduler.h"
#include "services/depot/domain/shopping_list.h"
#include "services/runtime/text.h"
#include "tests/services/support.h"

namespace mallbots::depot {
namespace {

using test::carry_out;
using test::verdict;

const OrderedItem kItems[] = {{"s1", "Tea House", "10,4", "mug", "Mug", 2},
                              {"s2", "Bakery", "3,9", "cake", "Cake", 1},
                              {"s1", "Tea House", "10,4", "mug", "Mug", 3}};
const ItemReport kFiveMugs[] = {{"mug", 5, 0}};
const ItemReport kFourMugs[] = {{"mug", 4, 1}};
const ItemReport kNoCake[] = {{"cake", 0, 1}};
const ItemCount kCounted[] = {{"mug", 5}};

enum class At {
  kNone,
  kPending,
  kAvailable,
  kAssigned,
  kShopping,
  kStore,
  kReturning,
  kDepot,
  kCompleted,
  kCanceled
};

ShoppingList list_at(At at) {
  ShoppingList list;
  if (at == At::kNone) return list;
  carry_out(list, create(list, "o1", kItems));
  if (at == At::kPending) return list;
  if (at == At::kCanceled) {
    carry_out(list, cancel(list, "the order was cancelled"));
    return list;
  }
  carry_out(list, initiate(list));
  if (at == At::kAvailable) return list;
  carry_out(list, assign(list, "b1"));
  if (at == At::kAssigned) return list;
  carry_out(list, start(list, "b1"));
  if (at == At::kShopping) return list;
  carry_out(list, arrive_at_store(list, "b1", "s1"));
  if (at == At::kStore) return list;
  carry_out(list, report_items(list, "b1", "s1", kFiveMugs));
  carry_out(list, arrive_at_store(list, "b1", "s2"));
  carry_out(list, report_items(list, "b1", "s2", kNoCake));
  if (at == At::kReturning) return list;
  carry_out(list, arrive_at_depot(list, "b1"));
  if (at == At::kDepot) return list;
  carry_out(list, take_inventory(list, kCounted));
  return list;
}

TEST(ShoppingList, EveryOperationInEveryState) {
  const auto row = [](At at) {
    const ShoppingList list = list_at(at);
    return std::string{verdict(create(list, "o1", kItems)),
                       verdict(initiate(list)),
                       verdict(assign(list, "b1")),
                       verdict(give_back(list, "b1")),
                       verdict(start(list, "b1")),
                       verdict(arrive_at_store(list, "b1", "s1")),
                       verdict(report_items(list, "b1", "s1", kFiveMugs)),
                       verdict(arrive_at_depot(list, "b1")),
                       verdict(strand(list, "b1")),
                       verdict(take_inventory(list, kCounted)),
                       verdict(cancel(list, "the order was cancelled"))};
  };
  // create, initiate, assign, give back, start, at store, items, at depot, strand, count, cancel
  EXPECT_EQ(row(At::kNone), "+uuuuuuu.uu");
  EXPECT_EQ(row(At::kPending),
            ".+sffff"
            "f.s+");
  EXPECT_EQ(row(At::kAvailable), "..+.ffff.s+");
  EXPECT_EQ(row(At::kAssigned), "...++sss+s+");
  EXPECT_EQ(row(At::kShopping), "..ss.+ss+s+");
  EXPECT_EQ(row(At::kStore), "..ss..+s+s+");
  EXPECT_EQ(row(At::kReturning), "..ss...++s+");
  EXPECT_EQ(row(At::kDepot), "..ss.....++");
  EXPECT_EQ(row(At::kCompleted), "..sfffff..s");
  EXPECT_EQ(row(At::kCanceled), ".ssfffff.s.");
}

TEST(ShoppingList, QuantitiesOfOneProductAddUpInOneStop) {
  const ShoppingList list = list_at(At::kPending);
  ASSERT_EQ(list.stops.size(), 2U);
  ASSERT_EQ(list.stops[0].items.size(), 1U);
  EXPECT_EQ(list.stops[0].items[0].quantity, 5U);
}

TEST(ShoppingList, OnlyTheRobotThatHasItMayReport) {
  const ShoppingList list = list_at(At::kStore);
  EXPECT_EQ(verdict(report_items(list, "b2", "s1", kFiveMugs)), 'f');
  EXPECT_EQ(verdict(arrive_at_store(list, "b2", "s2")), 'f');
}

TEST(ShoppingList, ReportsMustAddUpAndCoverTheStop) {
  const ShoppingList list = list_at(At::kStore);
  const ItemReport six[] = {{"mug", 6, 0}};
  const ItemReport wrapped[] = {{"mug", 0xFFFF'FFFF, 6}};
  const ItemReport other[] = {{"cake", 5, 0}};
  EXPECT_EQ(verdict(report_items(list, "b1", "s1", six)), 'i');
  EXPECT_EQ(verdict(report_items(list, "b1", "s1", wrapped)), 'i');
  EXPECT_EQ(verdict(report_items(list, "b1", "s1", other)), 'i');
  EXPECT_EQ(verdict(report_items(list, "b1", "s1", {})), 'i');
  EXPECT_EQ(verdict(report_items(list, "b1", "s9", kFiveMugs)), 'i');
}

TEST(ShoppingList, ARepeatedReportIsDoneAndAnotherOneIsNot) {
  ShoppingList list = list_at(At::kStore);
  carry_out(list, report_items(list, "b1", "s1", kFiveMugs));
  EXPECT_EQ(verdict(report_items(list, "b1", "s1", kFiveMugs)), '.');
  EXPECT_EQ(verdict(report_items(list, "b1", "s1", kFourMugs)), 's');
}

TEST(ShoppingList, AnotherRobotFetchesOnlyWhatIsLeft) {
  ShoppingList list = list_at(At::kStore);
  carry_out(list, report_items(list, "b1", "s1", kFiveMugs));
  carry_out(list, arrive_at_store(list, "b1", "s2"));
  carry_out(list, strand(list, "b1"));
  EXPECT_EQ(list.status, ListStatus::kAvailable);
  EXPECT_EQ(list.stop_at("s1")->state, Stop::State::kDone);
  EXPECT_EQ(list.stop_at("s2")->state, Stop::State::kWaiting);
  carry_out(list, assign(list, "b2"));
  carry_out(list, start(list, "b2"));
  EXPECT_EQ(list.phase, Phase::kShopping);
  EXPECT_EQ(verdict(arrive_at_store(list, "b1", "s2")), 'f');  // the first one wakes up
  carry_out(list, arrive_at_store(list, "b2", "s2"));
  carry_out(list, report_items(list, "b2", "s2", kNoCake));
  EXPECT_EQ(list.phase, Phase::kReturning);
}

TEST(ShoppingList, ARobotLostOnItsWayHomeLeavesAListWithNothingToFetch) {
  ShoppingList list = list_at(At::kReturning);
  carry_out(list, strand(list, "b1"));
  carry_out(list, assign(list, "b2"));
  carry_out(list, start(list, "b2"));
  EXPECT_EQ(list.phase, Phase::kReturning);
  carry_out(list, arrive_at_depot(list, "b2"));
}

TEST(ShoppingList, NoMoreThanWantedIsCounted) {
  const ItemCount six[] = {{"mug", 6}};
  const ItemCount hat[] = {{"hat", 1}};
  EXPECT_EQ(verdict(take_inventory(list_at(At::kDepot), six)), 'i');
  EXPECT_EQ(verdict(take_inventory(list_at(At::kDepot), hat)), 'i');
}

TEST(ShoppingList, WhatIsNotOnTheListIsNotCountedAsNoneEither) {
  const ItemCount a_typing_error[] = {{"mug", 5}, {"mgu", 0}};
  EXPECT_EQ(verdict(take_inventory(list_at(At::kDepot), a_typing_error)), 'i');
  const ItemCount none_of_it[] = {{"mug", 5}, {"cake", 0}};
  EXPECT_EQ(verdict(take_inventory(list_at(At::kDepot), none_of_it)), '+');
}

TEST(ShoppingList, AProductIsCountedOnceSoThatNoUnitIsLost) {
  const ItemCount in_two_parts[] = {{"mug", 2}, {"mug", 3}};
  EXPECT_EQ(verdict(take_inventory(list_at(At::kDepot), in_two_parts)), 'i');
  const ItemCount none_first[] = {{"mug", 0}, {"mug", 5}};
  EXPECT_EQ(verdict(take_inventory(list_at(At::kDepot), none_first)), 'i');
}

TEST(ShoppingList, EndsWithWhateverReasonItsOrderEndedWith) {
  const std::string reason(kMaxReasonBytes, 'x');
  EXPECT_EQ(verdict(cancel(list_at(At::kStore), reason)), '+');
}

TEST(ShoppingList, ACanceledListNamesTheRobotThatHasCargo) {
  const auto active = cancel(list_at(At::kStore), "the order was cancelled");
  EXPECT_EQ(std::get<ListCanceled>(active->front()).bot_id, "b1");
  const auto waiting = cancel(list_at(At::kAvailable), "the order was cancelled");
  EXPECT_EQ(std::get<ListCanceled>(waiting->front()).bot_id, "");
}

TEST(ShoppingList, EmptyOrZeroQuantitiesMakeNoList) {
  const OrderedItem none_of_it[] = {{"s1", "Tea House", "10,4", "mug", "Mug", 0}};
  EXPECT_EQ(verdict(create({}, "o1", {})), 'i');
  EXPECT_EQ(verdict(create({}, "o1", none_of_it)), 'i');
}

TEST(Bot, EachConnectionFencesTheOneBefore) {
  Bot bot;
  bot.id = "b1";
  EXPECT_EQ(check_epoch(bot, 0).error().kind, RefusalKind::kUnknown);
  carry_out(bot, come_online(bot, "Robbie", false));
  EXPECT_TRUE(check_epoch(bot, 1).has_value());
  carry_out(bot, come_online(bot, "Robbie", false));
  EXPECT_EQ(check_epoch(bot, 1).error().kind, RefusalKind::kConflict);
  EXPECT_TRUE(check_epoch(bot, 2).has_value());
  carry_out(bot, go_offline(bot, 1));
  EXPECT_EQ(bot.status, BotStatus::kIdle) << "an old stream's end must not end the new one";
  carry_out(bot, go_offline(bot, 2));
  EXPECT_EQ(bot.status, BotStatus::kOffline);
}

TEST(Bot, ComesBackWithItsListInHand) {
  Bot bot;
  carry_out(bot, come_online(bot, "Robbie", false));
  carry_out(bot, take_list(bot, "l1"));
  carry_out(bot, go_offline(bot, 1));
  EXPECT_EQ(bot.list_id, "l1");
  Bot again = bot;
  carry_out(again, come_online(again, "Robbie", true));
  EXPECT_EQ(again.status, BotStatus::kActive);
  carry_out(bot, come_online(bot, "Robbie", false));
  EXPECT_EQ(bot.status, BotStatus::kIdle);
  EXPECT_EQ(bot.list_id, "");
}

TEST(Bot, OneListAtATime) {
  Bot bot;
  EXPECT_EQ(verdict(take_list(bot, "l1")), 's');
  carry_out(bot, come_online(bot, "Robbie", false));
  carry_out(bot, take_list(bot, "l1"));
  EXPECT_EQ(verdict(take_list(bot, "l1")), '.');
  EXPECT_EQ(verdict(take_list(bot, "l2")), 's');
  EXPECT_EQ(verdict(finish_list(bot, "l2")), '.') << "it has another one";
  EXPECT_EQ(bot.list_id, "l1");
  carry_out(bot, finish_list(bot, "l1"));
  EXPECT_EQ(verdict(take_list(bot, "l2")), '+');
}

TEST(Scheduler, OldestListGoesToTheRobotIdleLongest) {
  const WaitingList lists[] = {{"l2", 20}, {"l1", 10}, {"l0", 10}};
  const WaitingBot bots[] = {{"b1", 7}, {"b2", 5}};
  const auto match = next_match(lists, bots);
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(match->list_id, "l0");
  EXPECT_EQ(match->bot_id, "b2");
  EXPECT_FALSE(next_match(lists, {}).has_value());
  EXPECT_FALSE(next_match({}, bots).has_value());
}

}  // namespace
}  // namespace mallbots::depot
