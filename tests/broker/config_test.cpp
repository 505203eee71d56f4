#include "broker/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/support/temp_dir.h"

namespace mallbots::broker {
namespace {

Result<Config> read(const std::string& text) {
  Config config;
  MALLBOTS_TRY(read_config(config, text, "test.toml"));
  return config;
}

TEST(Config, FileSetsWhatItNames) {
  const auto config = read(
      "# a comment\n"
      "instance = \"lab\"\n"
      "memory.max = \"2GiB\"   # behind a value\n"
      "restart.deaths = 9\n"
      "io.direct = false\n"
      "\n"
      "[session]\n"
      "reattach = \"45s\"\n"
      "[log]\n"
      "level = 'warning'\n");
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_EQ(config->instance, "lab");
  EXPECT_EQ(config->memory_max_bytes, 2 * kGiB);
  EXPECT_EQ(config->restart_deaths, 9U);
  EXPECT_FALSE(config->io_direct);
  EXPECT_EQ(config->session_reattach_ms, 45'000);
  EXPECT_EQ(config->log_level, Level::kWarning);
}

TEST(Config, WhatIsWrongIsNamedWithFileLineAndKey) {
  const struct {
    const char* text;
    const char* line;
    const char* word;
  } cases[] = {
      {"instance = \"a\"\nmemory.maximum = 3\n", "line 2", "memory.maximum"},
      {"[memory]\nmaximum = 3\n", "line 2", "memory.maximum"},
      {"memory.max = \"3 apples\"\n", "line 1", "3 apples"},
      {"\n\nnonsense\n", "line 3", "nonsense"},
      {"[memory\nmax = 1\n", "line 1", "[memory"},
      {"instance = \"a/b\"\n", "line 1", "a/b"},
      {"restart.deaths = 0\n", "line 1", "restart.deaths"},
      {"log.level = loud\n", "line 1", "debug, info, warning or error"},
      {"stop.limit = \"2d\"\n", "line 1", "stop.limit"},
      {"io.direct = perhaps\n", "line 1", "true or false"},
      {"memory.max = [1, 2]\n", "line 1", "not a list"},
      {"= 3\n", "line 1", ""},
  };
  for (const auto& one : cases) {
    const auto config = read(one.text);
    ASSERT_FALSE(config) << one.text;
    EXPECT_EQ(config.error().code, ErrorCode::kBadConfig);
    const std::string& detail = config.error().detail;
    EXPECT_NE(detail.find("test.toml"), std::string::npos) << detail;
    EXPECT_NE(detail.find(one.line), std::string::npos) << detail;
    EXPECT_NE(detail.find(one.word), std::string::npos) << detail;
  }
}

TEST(Config, WhatIsPrintedCanBeReadAgain) {
  Config config;
  config.instance = "x-1";
  config.data_dir = "/some/where";
  config.metrics_listen = "127.0.0.1:9644";
  config.io_engine = IoEngine::kPwrite;
  config.io_flush = FlushMethod::kDsync;
  config.orphan_max_bytes = 12'345;
  config.stop_limit_ms = 61'001;
  const auto again = read(write_config(config));
  // runtime-dir is empty here, and an empty path is no path.
  ASSERT_FALSE(again);
  config.runtime_dir = "/run/here";
  const auto whole = read(write_config(config));
  ASSERT_TRUE(whole) << whole.error().detail;
  EXPECT_EQ(write_config(*whole), write_config(config));
}

TEST(Config, TableOfTheDocumentHasEveryKeyWithItsDefault) {
  std::ifstream file{"docs/CLI.md"};  // tests run in the source root
  const std::string document{std::istreambuf_iterator<char>{file}, {}};
  std::istringstream lines{write_config(Config{})};
  for (std::string line; std::getline(lines, line);) {
    const std::string key = line.substr(0, line.find(" = "));
    const auto row = document.find("\n| `" + key + "` |");
    ASSERT_NE(row, std::string::npos) << key;
    std::string value = line.substr(key.size() + 3);
    std::erase(value, '"');
    if (value.empty() || key == "memory.max") continue;  // folders, and what the machine says
    EXPECT_NE(document.substr(row, document.find('\n', row + 1) - row).find("| `" + value + "` |"),
              std::string::npos)
        << line;
  }
}

TEST(Config, MissingFileIsNamed) {
  Config config;
  const auto read = read_config_file(config, "/no/such/file.toml");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kBadConfig);
  EXPECT_NE(read.error().detail.find("/no/such/file.toml"), std::string::npos);
}

TEST(Config, FileIsReadFromDisk) {
  const test::TempDir dir;
  std::ofstream(dir / "a.toml") << "disk.max = \"1TiB\"\n";
  Config config;
  ASSERT_TRUE(read_config_file(config, dir / "a.toml"));
  EXPECT_EQ(config.disk_max_bytes, 1024 * kGiB);
}

TEST(Config, FoldersAndMemoryComeFromUserAndMachine) {
  Config config;
  config.instance = "lab";
  setenv("XDG_RUNTIME_DIR", "/tmp/xdg-run", 1);
  setenv("XDG_STATE_HOME", "/tmp/xdg-state", 1);
  ASSERT_TRUE(complete_config(config));
  EXPECT_TRUE(config.runtime_dir == "/run/mallbots/lab" ||
              config.runtime_dir == "/tmp/xdg-run/mallbots/lab");
  EXPECT_TRUE(config.data_dir == "/var/lib/mallbots/lab" ||
              config.data_dir == "/tmp/xdg-state/mallbots/lab");
  EXPECT_GT(config.memory_max_bytes, 0U);
}

}  // namespace
}  // namespace mallbots::broker
