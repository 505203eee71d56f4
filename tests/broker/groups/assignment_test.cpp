#include "broker/groups/assignment.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <utility>

namespace mallbots::broker {
namespace {

using Plan = std::vector<std::size_t>;

std::vector<PlanMember> subscribed_to_all(std::size_t members) {
  return std::vector<PlanMember>(members, PlanMember{{0}});
}

std::vector<PlanPartition> held_by(const Plan& holders) {
  std::vector<PlanPartition> partitions;
  for (const std::size_t holder : holders) partitions.push_back({0, holder, kNobody});
  return partitions;
}

Plan loads(const Plan& plan, std::size_t members) {
  Plan load(members, 0);
  for (const std::size_t member : plan) {
    if (member != kNobody) ++load[member];
  }
  return load;
}

/// {sum of squared loads, partitions taken away}: what a plan makes as small as possible, in this
/// order.
std::pair<std::size_t, std::size_t> cost(const Plan& plan, std::size_t members,
                                         const std::vector<PlanPartition>& partitions) {
  std::size_t squares = 0;
  std::size_t moves = 0;
  for (const std::size_t load : loads(plan, members)) squares += load * load;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    moves += partitions[i].holder != kNobody && plan[i] != partitions[i].holder ? 1 : 0;
  }
  return {squares, moves};
}

TEST(Assignment, NewPartitionsAreSharedEvenly) {
  const auto plan = plan_assignment(subscribed_to_all(3), held_by(Plan(8, kNobody)));
  Plan load = loads(plan, 3);
  std::ranges::sort(load);
  EXPECT_EQ(load, (Plan{2, 3, 3}));
}

TEST(Assignment, ANewcomerGetsItsShareAndNothingElseMoves) {
  const Plan before{0, 0, 0, 1, 1, 1};
  const auto plan = plan_assignment(subscribed_to_all(3), held_by(before));
  EXPECT_EQ(loads(plan, 3), (Plan{2, 2, 2}));
  EXPECT_EQ(cost(plan, 3, held_by(before)).second, 2U);
}

TEST(Assignment, ABalancedPlanStaysAsItIs) {
  const Plan before{2, 0, 1, 2, 0, 1, 0};
  EXPECT_EQ(plan_assignment(subscribed_to_all(3), held_by(before)), before);
}

TEST(Assignment, OnlySubscribersGetAPartition) {
  const std::vector<PlanMember> members{{{0}}, {{1}}};
  const std::vector<PlanPartition> partitions{{0}, {0}, {0}, {1}, {2}, {7}};
  EXPECT_EQ(plan_assignment(members, partitions), (Plan{0, 0, 0, 1, kNobody, kNobody}));
}

TEST(Assignment, WhoNoLongerSubscribesLosesThePartition) {
  const std::vector<PlanMember> members{{{1}}, {{0}}};
  EXPECT_EQ(plan_assignment(members, std::vector<PlanPartition>{{0, 0, kNobody}}), Plan{1});
}

TEST(Assignment, NoMembersNoOwners) {
  EXPECT_EQ(plan_assignment({}, held_by({kNobody, kNobody})), (Plan{kNobody, kNobody}));
  EXPECT_TRUE(plan_assignment(subscribed_to_all(2), {}).empty());
}

TEST(Assignment, LoadIsPassedOnThroughAMemberInBetween) {
  // 0 may give only topic 0 to 1, who may give topic 1 to 2: two moves along a chain, although no
  // single move would even anything out.
  const std::vector<PlanMember> members{{{0}}, {{0, 1}}, {{1}}};
  const std::vector<PlanPartition> before{{0, 0}, {0, 0}, {1, 1}};
  const auto plan = plan_assignment(members, before);
  EXPECT_EQ(loads(plan, 3), (Plan{1, 1, 1}));
}

TEST(Assignment, WhatWasPromisedIsKeptIfItCostsNothing) {
  std::vector<PlanPartition> partitions = held_by({0, 0, 1, kNobody});
  partitions[3].preferred = 1;
  EXPECT_EQ(plan_assignment(subscribed_to_all(2), partitions), (Plan{0, 0, 1, 1}));
  // A promise is broken before a held partition moves.
  partitions[3].preferred = 0;
  EXPECT_EQ(plan_assignment(subscribed_to_all(2), partitions), (Plan{0, 0, 1, 1}));
}

struct Problem {
  std::vector<PlanMember> members;
  std::vector<PlanPartition> partitions;
};

Problem any_problem(std::size_t members, std::size_t partitions, bool equal) {
  const std::size_t topics = *rc::gen::inRange<std::size_t>(1, 4);
  Problem problem;
  for (std::size_t i = 0; i < members; ++i) {
    PlanMember& member = problem.members.emplace_back();
    for (std::size_t topic = 0; topic < topics; ++topic) {
      if (equal || *rc::gen::inRange(0, 3) != 0) member.topics.push_back(topic);
    }
  }
  const auto somebody = [&] {
    const auto member = *rc::gen::inRange<std::size_t>(0, members + 1);
    return member == members ? kNobody : member;
  };
  for (std::size_t i = 0; i < partitions; ++i) {
    problem.partitions.push_back(
        {*rc::gen::inRange<std::size_t>(0, topics), somebody(), somebody()});
  }
  return problem;
}

/// The best plan by trying all.
std::pair<std::size_t, std::size_t> best_cost(const Problem& problem) {
  Plan plan(problem.partitions.size(), kNobody);
  std::pair<std::size_t, std::size_t> best{~std::size_t{0}, 0};
  const auto try_from = [&](auto&& self, std::size_t i) -> void {
    if (i == plan.size()) {
      best = std::min(best, cost(plan, problem.members.size(), problem.partitions));
      return;
    }
    bool anybody = false;
    for (std::size_t member = 0; member < problem.members.size(); ++member) {
      if (std::ranges::count(problem.members[member].topics, problem.partitions[i].topic) == 0) {
        continue;
      }
      anybody = true;
      plan[i] = member;
      self(self, i + 1);
    }
    if (!anybody) {
      plan[i] = kNobody;
      self(self, i + 1);
    }
  };
  try_from(try_from, 0);
  return best;
}

TEST(Assignment, NoPlanIsMoreEvenAndNoneAsEvenMovesLess) {
  EXPECT_TRUE(rc::check("against all plans", [] {
    const auto members = *rc::gen::inRange<std::size_t>(1, 5);
    const auto partitions = *rc::gen::inRange<std::size_t>(0, 7);
    const Problem problem = any_problem(members, partitions, false);
    const Plan plan = plan_assignment(problem.members, problem.partitions);
    RC_ASSERT(cost(plan, members, problem.partitions) == best_cost(problem));
  }));
}

TEST(Assignment, EqualSubscriptionsDifferByAtMostOneAndThePlanIsStable) {
  EXPECT_TRUE(rc::check("bigger groups", [] {
    const auto members = *rc::gen::inRange<std::size_t>(1, 20);
    const auto partitions = *rc::gen::inRange<std::size_t>(0, 120);
    Problem problem = any_problem(members, partitions, true);
    const Plan plan = plan_assignment(problem.members, problem.partitions);
    const Plan load = loads(plan, members);
    const auto [least, most] = std::ranges::minmax(load);
    RC_ASSERT(most - least <= 1U);
    RC_ASSERT(std::ranges::count(plan, kNobody) == 0);
    for (std::size_t i = 0; i < partitions; ++i) problem.partitions[i].holder = plan[i];
    RC_ASSERT(plan_assignment(problem.members, problem.partitions) == plan);
  }));
}

TEST(Assignment, ALargeGroupIsPlannedAtOnce) {
  // 200 members, 4,000 partitions, one more member: under 20 partitions move.
  Plan before;
  for (std::size_t i = 0; i < 4'000; ++i) before.push_back(i % 200);
  const auto plan = plan_assignment(subscribed_to_all(201), held_by(before));
  EXPECT_EQ(loads(plan, 201)[200], 19U);
  EXPECT_EQ(cost(plan, 201, held_by(before)).second, 19U);
}

}  // namespace
}  // namespace mallbots::broker
