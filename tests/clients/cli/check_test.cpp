#include "clients/cli/check.h"

#include <gtest/gtest.h>

namespace mallbots::client::cli {
namespace {

using State = Verdict::State;

InstanceStatus healthy() {
  InstanceStatus status;
  status.partitions = 8;
  status.memory_bytes = 1 << 20;
  status.memory_max_bytes = 100 << 20;
  status.disk_free_bytes = 10ull << 30;
  return status;
}

State state_of(const InstanceStatus& status, const std::string& check,
               const CheckLimits& limits = {}) {
  for (const Verdict& verdict : judge_status(status, limits))
    if (verdict.check == check) return verdict.state;
  ADD_FAILURE() << "no check " << check;
  return State::kOk;
}

TEST(Check, AHealthyBrokerIsWellInEveryCheck) {
  for (const Verdict& verdict : judge_status(healthy(), {})) {
    EXPECT_EQ(verdict.state, State::kOk) << verdict.check;
    EXPECT_FALSE(verdict.detail.empty());
  }
}

TEST(Check, WhatStopsProducersOrLosesDataIsCritical) {
  InstanceStatus status = healthy();
  status.readonly_partitions = 1;
  EXPECT_EQ(state_of(status, "partitions"), State::kCritical);
  status.damaged_ranges = 1;
  EXPECT_EQ(state_of(status, "damage"), State::kCritical);
  EXPECT_EQ(state_of(status, "disk", {std::nullopt, 10ull << 30}), State::kOk);
  EXPECT_EQ(state_of(status, "disk", {std::nullopt, (10ull << 30) + 1}), State::kCritical);
}

TEST(Check, MemoryWarnsAboveNineTenths) {
  InstanceStatus status = healthy();
  status.memory_bytes = 91 << 20;
  EXPECT_EQ(state_of(status, "memory"), State::kWarning);
  status.memory_bytes = 89 << 20;
  EXPECT_EQ(state_of(status, "memory"), State::kOk);
  status.memory_bytes = status.memory_max_bytes = UINT64_MAX;
  EXPECT_EQ(state_of(status, "memory"), State::kWarning);
}

TEST(Check, LagBeyondTheLimitNamesGroupAndPartition) {
  GroupPartition row;
  row.topic = "orders";
  row.partition = 3;
  row.lag = 11;
  const Verdict verdict = judge_lag(WorstLag{"billing", row}, 10);
  EXPECT_EQ(verdict.state, State::kWarning);
  EXPECT_NE(verdict.detail.find("billing"), std::string::npos);
  EXPECT_NE(verdict.detail.find("orders partition 3"), std::string::npos);
  EXPECT_EQ(judge_lag(WorstLag{"billing", row}, 11).state, State::kOk);
  EXPECT_EQ(judge_lag(std::nullopt, 0).state, State::kOk);
}

}  // namespace
}  // namespace mallbots::client::cli
