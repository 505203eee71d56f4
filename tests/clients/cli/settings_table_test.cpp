#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "broker/log/settings.h"

namespace mallbots {
namespace {

TEST(CliPage, TheTableOfTopicSettingsIsTheBrokers) {
  const std::ifstream file{"docs/CLI.md"};
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_NE(page.str().find(broker::settings_table()), std::string::npos)
      << "docs/CLI.md, \"Topic settings\", must hold this table:\n"
      << broker::settings_table();
}

}  // namespace
}  // namespace mallbots
