#include "clients/cli/command.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace mallbots::client::cli {
namespace {

using test::Finished;

Finished mallbots(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), test::binary("mallbots"));
  return test::run(arguments);
}

/// Every command path, e.g. {"topic", "create"}, with its --help footer.
void each_command(const CLI::App& app, std::vector<std::string> path,
                  const std::function<void(const CLI::App&, std::vector<std::string>)>& visit) {
  visit(app, path);
  for (const CLI::App* sub : app.get_subcommands(std::function<bool(const CLI::App*)>{})) {
    auto deeper = path;
    deeper.push_back(sub->get_name());
    each_command(*sub, deeper, visit);
  }
}

TEST(Command, EveryHelpHoldsAnExampleOfItself) {
  Context context;
  CLI::App root;
  add_all(root, context);
  each_command(root, {"mallbots"}, [](const CLI::App& app, const std::vector<std::string>& path) {
    std::string words;
    for (const std::string& word : path) words += (words.empty() ? "" : " ") + word;
    const std::string help = app.help();
    const auto examples = help.find("Examples:");
    ASSERT_NE(examples, std::string::npos) << words;
    EXPECT_NE(help.find("  " + words, examples), std::string::npos) << words;
  });
}

TEST(Command, EveryOptionIsDescribed) {
  Context context;
  CLI::App root;
  add_all(root, context);
  each_command(root, {"mallbots"}, [](const CLI::App& app, const std::vector<std::string>&) {
    for (const CLI::Option* option : app.get_options())
      EXPECT_FALSE(option->get_description().empty())
          << app.get_name() << " " << option->get_name();
  });
}

TEST(Command, HelpAndVersionAreDone) {
  EXPECT_EQ(mallbots({"--help"}).ended.exit_code, 0);
  EXPECT_EQ(mallbots({"errors", "--help"}).ended.exit_code, 0);
  EXPECT_EQ(mallbots({"--version"}).output.substr(0, 9), "mallbots ");
}

TEST(Command, AWordThatIsNotUnderstoodIsUsageWithTheNearestName) {
  const std::pair<std::vector<std::string>, const char*> kRows[] = {
      {{"doctro"}, "there is no command 'doctro'; did you mean 'doctor'?"},
      {{"errors", "--markdwon"}, "there is no option '--markdwon'; did you mean '--markdown'?"},
      {{"errors", "Conflict", "again"}, "'again' is one word too many"},
      {{"errors", "Confict"}, "there is no error 'Confict'; did you mean 'Conflict'?"},
      {{}, "a command is missing"},
      {{"--format", "yaml", "errors"}, "yaml"},
  };
  for (const auto& [arguments, sentence] : kRows) {
    const Finished finished = mallbots(arguments);
    EXPECT_EQ(finished.ended.exit_code, 2) << sentence;
    EXPECT_NE(finished.errors.find(sentence), std::string::npos) << finished.errors;
    EXPECT_EQ(finished.output, "");
  }
}

TEST(Command, FormatMayStandBeforeOrBehind) {
  const auto before = mallbots({"--format", "json", "errors", "NoBroker"});
  const auto behind = mallbots({"errors", "NoBroker", "--format", "json"});
  EXPECT_EQ(before.output, behind.output);
  EXPECT_EQ(nlohmann::json::parse(before.output)["exit_code"], 3);
}

TEST(Command, AnErrorInJsonIsOneObjectOnStderr) {
  const auto finished = mallbots({"--format", "json", "errors", "Nonsense"});
  const auto json = nlohmann::json::parse(finished.errors);
  EXPECT_EQ(json["error"], "BadArgument");
  EXPECT_EQ(json["exit_code"], 2);
}

TEST(Command, AFullStdoutIsAFailure) {
  const auto finished = test::run({"sh", "-c", test::binary("mallbots") + " errors > /dev/full"});
  EXPECT_EQ(finished.ended.exit_code, 1);
  EXPECT_NE(finished.errors.find("stdout"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::client::cli
