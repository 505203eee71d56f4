#include "tests/scripts/transcript.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

constexpr const char* kFolder = "tests/scripts";

TEST(TranscriptLanguage, StepsHaveCommandOutputAndExitCode) {
  const auto steps = parse_transcript("# why\n\n$ one\na\nb\n\n$ two\n? 3\n");
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].command, "one");
  EXPECT_EQ(steps[0].expected, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(steps[1].exit_code, 3);
  EXPECT_EQ(steps[1].line, 7u);
}

TEST(TranscriptLanguage, WildcardsStandForPartsAndLines) {
  EXPECT_TRUE(line_matches("a[..]c[..]", "abbc"));
  EXPECT_FALSE(line_matches("a[..]c", "abbd"));
  EXPECT_TRUE(output_matches({"first", "...", "last"}, "first\nx\ny\nlast\n"));
  EXPECT_TRUE(output_matches({"..."}, ""));
  EXPECT_FALSE(output_matches({"first"}, "first\nsecond\n"));
  EXPECT_FALSE(output_matches({"first"}, ""));
}

/// A daemon in folders of its own; commands find it by themselves.
class Stage {
 public:
  Stage() : daemon_(start(dir_)) {
    std::ofstream{dir_ / "bin-mallbots"} << "#!/bin/sh\nexec " << binary("mallbots")
                                         << " --runtime-dir '" << (dir_ / "run") << "' \"$@\"\n";
    std::filesystem::create_directory(dir_ / "bin");
    std::filesystem::create_directory(dir_ / "work");
    std::filesystem::rename(dir_ / "bin-mallbots", dir_ / "bin/mallbots");
    std::filesystem::permissions(dir_ / "bin/mallbots", std::filesystem::perms::owner_all);
  }
  ~Stage() { daemon_.kill_all(); }

  [[nodiscard]] bool is_ready() {
    return eventually([this] { return sh("mallbots status").ended.exit_code == 0; }, 15);
  }
  [[nodiscard]] Finished sh(const std::string& command) const {
    ProcessOptions options;
    options.limit_s = 30;
    options.environment = {{"DATA", dir_ / "data"},
                           {"RUN", dir_ / "run"},
                           {"DAEMON", binary("mallbotsd")},
                           {"KEEPER", std::to_string(daemon_.pid())}};
    const std::string line = "PATH='" + (dir_ / "bin") + "':$PATH; cd '" + (dir_ / "work") +
                             "'; { " + command + "\n} 2>&1";
    return run({"sh", "-c", line}, options);
  }
  [[nodiscard]] std::string log() const { return daemon_.errors() + daemon_.output(); }

 private:
  static Process start(const TempDir& dir) {
    ProcessOptions options;
    options.limit_s = 100;
    return Process::start(
        {binary("mallbotsd"), "--data-dir", dir / "data", "--runtime-dir", dir / "run"}, options);
  }
  TempDir dir_;
  Process daemon_;
};

class Transcript : public testing::TestWithParam<std::string> {};

TEST_P(Transcript, SaysWhatItMust) {
  std::ifstream file{GetParam()};
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<Step> steps = parse_transcript(text.str());
  ASSERT_FALSE(steps.empty());
  Stage stage;
  ASSERT_TRUE(stage.is_ready()) << stage.log();
  for (const Step& step : steps) {
    const Finished finished = stage.sh(step.command);
    std::string wanted;
    for (const std::string& line : step.expected) wanted += line + "\n";
    EXPECT_TRUE(output_matches(step.expected, finished.output))
        << GetParam() << ":" << step.line << ": $ " << step.command << "\nexpected:\n"
        << wanted << "said:\n"
        << finished.output;
    EXPECT_EQ(finished.ended.exit_code, step.exit_code)
        << GetParam() << ":" << step.line << ": $ " << step.command << "\n"
        << finished.output;
    if (HasFailure()) {
      ADD_FAILURE() << "the broker said:\n" << stage.log();
      return;  // what follows would only repeat it
    }
  }
}

std::vector<std::string> scripts() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{kFolder, ignored})
    if (entry.path().extension() == ".script") found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  return found;
}

TEST(TranscriptLanguage, TheScriptsAreFound) { EXPECT_GE(scripts().size(), 4u); }

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  return std::filesystem::path{info.param}.stem().string();
}

INSTANTIATE_TEST_SUITE_P(All, Transcript, testing::ValuesIn(scripts()), test_name);

}  // namespace
}  // namespace mallbots::test
