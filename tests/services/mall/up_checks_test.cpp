// What `mall up` refuses before it starts anything.
#include "services/mall/up_checks.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "shm/region/fd.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

/// Settings with their defaults, of the tables in all READMEs of the services, where the default is
/// a number: `| \`bots.step_ms\`, \`bots.pick_ms\` | 500, 3000 | ...`.
mall::Settings documented_numbers() {
  static const std::regex row{
      R"(\| ((?:`[a-z]+\.[a-z_]+`(?:, )?)+) \| ([0-9]+(?:, [0-9]+)*) \|.*)"};
  static const std::regex name{"[a-z]+\\.[a-z_]+"};
  static const std::regex number{"[0-9]+"};
  mall::Settings all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("services")) {
    if (entry.path().filename() != "README.md") continue;
    std::ifstream file{entry.path()};
    for (std::string line; std::getline(file, line);) {
      std::smatch found;
      if (!std::regex_match(line, found, row)) continue;
      const std::string names = found[1];
      const std::string values = found[2];
      std::sregex_iterator value{values.begin(), values.end(), number};
      for (std::sregex_iterator at{names.begin(), names.end(), name}, end; at != end; ++at, ++value)
        all[at->str()] = value->str();
    }
  }
  return all;
}

TEST(UpChecks, EveryNumberOfTheReadmesIsLookedAt) {
  const mall::Settings all = documented_numbers();
  EXPECT_GT(all.size(), 25U);
  for (const auto& [name, value] : all) {
    const auto taken = mall::check_numbers({{name, value}});
    EXPECT_TRUE(taken) << taken.error().sentence();
    for (const char* wrong : {"x", "", "-1", "1x", "99999999999999999999"}) {
      if (name == "bots.speed" && std::string{wrong}.starts_with("9")) continue;
      const auto refused = mall::check_numbers({{name, wrong}});
      ASSERT_FALSE(refused) << name << "=" << wrong;
      EXPECT_EQ(refused.error().code, ErrorCode::kBadConfig);
      EXPECT_NE(refused.error().detail.find(name), std::string::npos) << refused.error().detail;
    }
  }
}

/// `mall up --separate` of a mall that is nowhere, with these settings.
class MallUp : public testing::Test {
 protected:
  /// Expects that it is refused with those words, and that nothing was begun.
  void expect_refused(const std::vector<std::string>& settings, const std::string& words) {
    std::vector<std::string> all{binary("mall"),
                                 "up",
                                 "--separate",
                                 "--only",
                                 "customers,stores,fleet,kiosk,admin",
                                 "--runtime-dir",
                                 folder_ / "run",
                                 "--data-dir",
                                 folder_ / "data"};
    for (const std::string& setting : settings) all.insert(all.end(), {"--set", setting});
    const Finished finished = run(all);
    EXPECT_EQ(finished.ended.exit_code, 2) << settings.front();
    EXPECT_NE(finished.errors.find(words), std::string::npos) << finished.errors;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run")) << settings.front();
    EXPECT_FALSE(std::filesystem::exists(folder_ / "data")) << settings.front();
  }

  TempDir folder_;
};

TEST_F(MallUp, RefusesSettingsOfTheLastServiceBeforeTheFirstStarts) {
  expect_refused({"kiosk.port=65536"}, "kiosk.port=65536: at most 65535");
  expect_refused({"admin.port=x"}, "admin.port=x");
  expect_refused({"fleet.port=70000"}, "fleet.port=70000");
  expect_refused({"metrics.port=65530"}, "metrics.port = 65530");
  expect_refused({"admin.bind=0.0.0.0"}, "admin.tls_certificate");
  expect_refused({"kiosk.tls_certificate=/nowhere.pem", "kiosk.tls_key=/nowhere.pem"},
                 "kiosk.tls_certificate");
}

TEST_F(MallUp, RefusesAPortThatSomebodyHasAndOneThatIsWantedTwice) {
  shm::UniqueFd held{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(held.get(), raw, sizeof address), 0);
  ASSERT_EQ(::listen(held.get(), 1), 0);
  ASSERT_EQ(::getsockname(held.get(), raw, &bytes), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  for (const char* gateway : {"fleet", "kiosk", "admin", "metrics"})
    expect_refused({std::string{gateway} + ".port=" + port}, "127.0.0.1:" + port);
  held.reset();
  expect_refused({"kiosk.port=" + port, "admin.port=" + port},
                 "kiosk.port and admin.port: both are 127.0.0.1:" + port);
}

}  // namespace
}  // namespace mallbots::test
