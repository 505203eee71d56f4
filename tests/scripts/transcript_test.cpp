#include "tests/scripts/transcript.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::test {
namespace {

constexpr const char* kFolder = "tests/scripts";
constexpr const char* kTutorials = "docs/tutorials";

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

TEST(TranscriptLanguage, DocumentsHaveStepsBetweenFences) {
  const std::string document = "$ no\n```console\n$ one\na\n```\n```cpp\n$ no\n```\n";
  const auto steps = parse_document(document);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].command, "one");
  EXPECT_EQ(steps[0].line, 3u);
  EXPECT_EQ(blocks_of(document).at(1).text, "$ no\n");
}

std::vector<std::string> files_in(const char* folder, std::string_view extension) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{folder, ignored})
    if (entry.path().extension() == extension) found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  return found;
}

TEST(Tutorials, ShowOnlyWhatIsRunOrIsPartOfAProgramThatIs) {
  std::string programs;
  for (const char* folder : {"clients/examples", "clients/toolkit/examples"})
    for (const std::string& program : files_in(folder, ".cpp")) programs += text_of(program);
  for (const std::string& page : files_in(kTutorials, ".md"))
    for (const Block& block : blocks_of(text_of(page))) {
      const auto where = page + ":" + std::to_string(block.line);
      EXPECT_TRUE(block.kind == "console" || block.kind == "cpp") << where;
      EXPECT_TRUE(block.kind != "cpp" || programs.find(block.text) != std::string::npos) << where;
    }
}

/// A daemon in folders of its own; commands find it by themselves.
class Stage {
 public:
  Stage() : daemon_(start(dir_)) {
    std::filesystem::create_directory(dir_ / "bin");
    std::filesystem::create_directory(dir_ / "work");
    put("mallbots", " --runtime-dir '" + (dir_ / "run") + "' \"$@\"");
    put("mallbotsd", " \"$@\"");
    for (const char* program : {"first_handler", "account", "place_order", "sold"})
      put(program, " '" + (dir_ / "run") + "'");
  }
  ~Stage() { daemon_.kill_all(); }

  [[nodiscard]] bool is_ready() {
    const std::vector<Step> status{{.line = 0, .command = "mallbots status", .expected = {}}};
    return eventually([&] { return play(status)[0].ended.exit_code == 0; }, 15);
  }
  /// All steps in one shell, as somebody types them; what each said and how it ended. What was left
  /// in the background ends with it.
  [[nodiscard]] std::vector<Finished> play(const std::vector<Step>& steps) const {
    std::string script = "PATH='" + (dir_ / "bin") + "':$PATH; cd '" + (dir_ / "work") + "'\n";
    for (const Step& step : steps)
      script += "{ " + step.command + "\n} 2>&1; echo '" + kEnd + "'$?\n";
    ProcessOptions options;
    options.limit_s = 100;
    options.environment = {
        {"DATA", dir_ / "data"},         {"RUN", dir_ / "run"},
        {"DAEMON", binary("mallbotsd")}, {"SOURCE", std::filesystem::current_path()},
        {"BUILD", MALLBOTS_BUILD_DIR},   {"KEEPER", std::to_string(daemon_.pid())}};
    const Finished all = run({"sh", "-c", script}, options);
    std::vector<Finished> parts;
    std::string_view rest = all.output;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto end = rest.find(kEnd);
      Finished& part = parts.emplace_back(
          Finished{.ended = {}, .output = std::string{rest.substr(0, end)}, .errors = all.errors});
      if (end == std::string_view::npos) continue;
      rest.remove_prefix(end + kEnd.size());
      part.ended.exit_code = std::atoi(std::string{rest.substr(0, 4)}.c_str());
      rest.remove_prefix(rest.find('\n') + 1);
    }
    return parts;
  }
  [[nodiscard]] std::string log() const { return daemon_.errors() + daemon_.output(); }

 private:
  static inline const std::string kEnd = "--end of step--";
  void put(const std::string& program, const std::string& arguments) {
    const std::filesystem::path path = dir_ / ("bin/" + program);
    std::ofstream{path} << "#!/bin/sh\nexec " << binary(program) << arguments << '\n';
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
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
  const std::string text = text_of(GetParam());
  const std::vector<Step> steps =
      GetParam().ends_with(".md") ? parse_document(text) : parse_transcript(text);
  ASSERT_FALSE(steps.empty());
  Stage stage;
  ASSERT_TRUE(stage.is_ready()) << stage.log();
  const std::vector<Finished> parts = stage.play(steps);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const Finished& finished = parts[i];
    std::string wanted;
    for (const std::string& line : step.expected) wanted += line + "\n";
    EXPECT_TRUE(output_matches(step.expected, finished.output))
        << GetParam() << ":" << step.line << ": $ " << step.command << "\nexpected:\n"
        << wanted << "said:\n"
        << finished.output;
    EXPECT_EQ(finished.ended.exit_code, step.exit_code)
        << GetParam() << ":" << step.line << ": $ " << step.command << "\n"
        << finished.output << finished.errors;
    if (HasFailure()) {
      ADD_FAILURE() << "the broker said:\n" << stage.log();
      return;  // what follows would only repeat it
    }
  }
}

std::vector<std::string> scripts() {
  std::vector<std::string> found = files_in(kFolder, ".script");
  for (const std::string& page : files_in(kTutorials, ".md"))
    if (!page.ends_with("README.md")) found.push_back(page);
  found.emplace_back("README.md");
  return found;
}

TEST(TranscriptLanguage, TheScriptsAreFound) { EXPECT_GE(scripts().size(), 14u); }

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = std::filesystem::path{info.param}.stem().string();
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Transcript, testing::ValuesIn(scripts()), test_name);

}  // namespace
}  // namespace mallbots::test
