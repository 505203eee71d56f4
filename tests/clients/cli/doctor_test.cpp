#include "clients/cli/doctor.h"

#include <gtest/gtest.h>

namespace mallbots::client::cli {
namespace {

using State = Finding::State;

TEST(Doctor, KernelsFrom6Point1On) {
  EXPECT_EQ(judge_kernel("6.1.0-18-amd64").state, State::kOk);
  EXPECT_EQ(judge_kernel("6.12.9").state, State::kOk);
  EXPECT_EQ(judge_kernel("10.0").state, State::kOk);
  EXPECT_EQ(judge_kernel("6.0.19").state, State::kFail);
  EXPECT_EQ(judge_kernel("5.15.0-100-generic").state, State::kFail);
  EXPECT_EQ(judge_kernel("").state, State::kFail);
}

TEST(Doctor, KernelsThatCorruptDirectWritesOnExt4) {
  const char* const debian = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.64-1 (2023-11-30)";
  EXPECT_EQ(judge_ext4("6.1.0-14-amd64", debian).state, State::kFail);
  EXPECT_EQ(judge_ext4("6.1.65", "#1 SMP").state, State::kFail);
  EXPECT_EQ(judge_ext4("6.1.63", "#1 SMP").state, State::kOk);
  EXPECT_EQ(judge_ext4("6.1.0-15-amd64", "#1 SMP Debian 6.1.66-1").state, State::kOk);
  EXPECT_EQ(judge_ext4("6.16.1", "#1 SMP").state, State::kOk);
}

TEST(Doctor, WhatTheBrokerCanDoWithoutIsAWarning) {
  EXPECT_EQ(judge_io_uring("").state, State::kOk);
  EXPECT_EQ(judge_io_uring("Operation not permitted").state, State::kWarn);
  EXPECT_EQ(judge_memlock(std::nullopt).state, State::kOk);
  EXPECT_EQ(judge_memlock(64 << 10).state, State::kWarn);
  EXPECT_EQ(judge_huge_pages("always within_size advise [never] deny force").state, State::kWarn);
  EXPECT_EQ(judge_huge_pages("always within_size [advise] never deny force").state, State::kOk);
  EXPECT_EQ(judge_huge_pages(std::nullopt).state, State::kWarn);
  EXPECT_EQ(judge_huge_pages("][").state, State::kWarn);
  EXPECT_EQ(judge_cores(1, 8).state, State::kWarn);
  EXPECT_EQ(judge_open_files(1024).state, State::kWarn);
  EXPECT_EQ(judge_cgroup_memory(256 << 20).state, State::kWarn);
  EXPECT_EQ(judge_cgroup_cpu(0.5).state, State::kWarn);
  EXPECT_EQ(judge_cgroup_pids(20).state, State::kWarn);
  EXPECT_EQ(judge_clock("hpet").state, State::kWarn);
  EXPECT_EQ(judge_disk_space(1 << 20).state, State::kWarn);
}

TEST(Doctor, AFlushThatCannotHaveBeenOneIsToldApart) {
  EXPECT_EQ(judge_flush({"", 70'000, 200'000, false}).state, State::kOk);
  EXPECT_EQ(judge_flush({"", 1'000, 2'000, false}).state, State::kWarn);
  EXPECT_EQ(judge_flush({"", 70'000, 200'000, true}).state, State::kWarn);
  EXPECT_EQ(judge_flush({"", 40'000'000, 90'000'000, false}).state, State::kWarn);
  EXPECT_EQ(judge_flush({"Permission denied", 0, 0, false}).state, State::kFail);
}

TEST(Doctor, WhatIsNotOkHasARemedy) {
  for (const Finding& finding :
       {judge_kernel("5.4"), judge_io_uring("x"), judge_memlock(0), judge_huge_pages(std::nullopt),
        judge_cores(1, 1), judge_open_files(1), judge_cgroup_memory(1), judge_cgroup_cpu(0.1),
        judge_cgroup_pids(1), judge_clock("jiffies"), judge_disk_space(0), judge_ext4("6.1.64", ""),
        judge_direct_io("d", "Invalid argument"), judge_flush({"x"})}) {
    EXPECT_NE(finding.state, State::kOk) << finding.check;
    EXPECT_FALSE(finding.remedy.empty()) << finding.check;
  }
}

}  // namespace
}  // namespace mallbots::client::cli
