#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "clients/cli/doctor.h"
#include "tests/support/temp_dir.h"

namespace mallbots::client::cli {
namespace {

TEST(DoctorProbe, FindsSomethingAboutEveryPower) {
  std::set<std::string> checks;
  for (const Finding& finding : look_around()) {
    EXPECT_FALSE(finding.detail.empty()) << finding.check;
    EXPECT_TRUE(checks.insert(finding.check).second) << finding.check;
  }
  EXPECT_EQ(checks, (std::set<std::string>{"architecture", "cgroup_cpu", "cgroup_memory",
                                           "cgroup_pids", "clock", "cores", "huge_pages",
                                           "io_uring", "kernel", "memlock", "open_files"}));
}

TEST(DoctorProbe, LeavesNothingInTheDirectory) {
  const test::TempDir dir;
  auto findings = look_at_disk(dir.path());
  std::erase_if(findings, [](const Finding& one) { return one.check == "ext4"; });  // there alone
  EXPECT_EQ(findings.size(), 3u);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(DoctorProbe, LooksAtTheParentOfADirectoryToBe) {
  const test::TempDir dir;
  for (const Finding& finding : look_at_disk(dir / "not/yet")) {
    if (finding.check != "direct_io") continue;
    EXPECT_NE(finding.detail.find(dir.path().string()), std::string::npos);
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(DoctorProbe, AFileSystemThatTakesNoFilesIsAFailure) {
  bool failed = false;
  for (const Finding& finding : look_at_disk("/proc"))
    failed = failed || finding.state == Finding::State::kFail;
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace mallbots::client::cli
