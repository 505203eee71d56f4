// The examples as an outside project meets them: against what `cmake --install` puts down.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "tests/clients/fixture.h"
#include "tests/support/text_file.h"

namespace mallbots::test {
namespace {

namespace fs = std::filesystem;

Finished must(const std::vector<std::string>& arguments, const ProcessOptions& options = {}) {
  Finished done = run(arguments, options);
  EXPECT_EQ(done.ended.exit_code, 0) << arguments[0] << '\n' << done.output << done.errors;
  return done;
}

class ExamplesTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    must(
        {"cmake", "--install", MALLBOTS_BUILD_DIR, "--component", "clients", "--prefix", prefix()});
  }
  [[nodiscard]] std::string prefix() const { return folder_ / "prefix"; }
  /// With the flags that pkg-config gives.
  [[nodiscard]] std::string compile(const std::string& example) const {
    std::string pc;
    for (const auto& entry : fs::recursive_directory_iterator(prefix()))
      if (entry.path().filename() == "mallbots.pc") pc = entry.path().parent_path();
    const std::string program = folder_ / example;
    must({"sh", "-c",
          "g++ clients/examples/" + example + ".cpp $(pkg-config --cflags --libs mallbots) -o " +
              program},
         {.environment = {{"PKG_CONFIG_PATH", pc}}, .limit_s = 120});
    return program;
  }
  TempDir folder_;
};

TEST_F(ExamplesTest, TheRobotControllerBuildsOutsideAndObeys) {
  const std::string build = folder_ / "build";
  must({"cmake", "-S", "clients/examples/robot_controller", "-B", build,
        "-DCMAKE_PREFIX_PATH=" + prefix()});
  must({"cmake", "--build", build}, {.limit_s = 120});
  const auto connection = connect();
  create(*connection, "commands");
  ASSERT_OK(producer(*connection, "commands")->append({.payload = client::as_bytes("stop")}));
  const Finished robot =
      must({build + "/robot_controller", "--runtime-dir", daemon_.runtime_dir(), "--seconds", "1"});
  EXPECT_NE(robot.output.find("poses=100 missed=0 commands=1"), std::string::npos) << robot.output;
  EXPECT_NE(robot.output.find("lateness_us p50="), std::string::npos);
  const auto range = consumer(*connection)->range({"poses", 0});
  ASSERT_OK(range);
  EXPECT_EQ(range->end, 100U);
  const Finished libraries = must({"ldd", build + "/robot_controller"});
  std::istringstream lines{libraries.output};
  for (std::string line; std::getline(lines, line);) {
    const bool known =
        line.find("libc.so") != std::string::npos || line.find("libm.so") != std::string::npos ||
        line.find("libgcc_s.so") != std::string::npos ||
        line.find("libstdc++.so") != std::string::npos ||
        line.find("linux-vdso") != std::string::npos || line.find("ld-linux") != std::string::npos;
    EXPECT_TRUE(known) << line;
  }
}

TEST_F(ExamplesTest, ProduceAndConsumeDoWhatTheReadmeSays) {
  const auto connection = connect();
  create(*connection, "sales");
  const Finished sold =
      must({compile("produce"), daemon_.runtime_dir()}, {.input = "two pears\none melon\n"});
  EXPECT_EQ(sold.output, "partition 0 offset 0\npartition 0 offset 1\n");
  Process ledger = Process::start({compile("consume"), daemon_.runtime_dir()});
  EXPECT_TRUE(eventually([&] {
    return ledger.output() == "0 till 4 two pears\n1 till 4 one melon\n";
  })) << ledger.output()
      << ledger.errors();
}

TEST(Readme, ShowsTheExamplesThatAreTested) {
  const std::string readme = text_of("clients/README.md");
  for (const char* example : {"clients/examples/produce.cpp", "clients/examples/consume.cpp"}) {
    const std::string code = text_of(example);
    EXPECT_NE(readme.find("```cpp\n" + code + "```\n"), std::string::npos) << example;
    EXPECT_LE(std::count(code.begin(), code.end(), '\n'), 30) << example;
  }
}

}  // namespace
}  // namespace mallbots::test
