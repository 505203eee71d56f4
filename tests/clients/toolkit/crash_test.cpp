// kill -9 of a service at every visit of every crash point of database, relay, inbox, saga and
// view: when it has been started again and is quiet, every effect is there once. The points of the
// lake are lake/archiver_test.cpp's.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "clients/toolkit/cqrs/buses.h"
#include "tests/clients/toolkit/crash_shop.h"
#include "tests/clients/toolkit/log_bus.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::test {
namespace {

/// Memory: kill -9 asks for no disk, and there are hundreds of runs.
std::filesystem::path fast_folder() {
  return std::filesystem::is_directory("/dev/shm") ? "/dev/shm"
                                                   : std::filesystem::temp_directory_path();
}

constexpr const char* kPoints[] = {"toolkit.commit", "toolkit.committed", "relay.publish",
                                   "relay.mark"};

class CrashTest : public testing::TestWithParam<const char*> {
 protected:
  static void TearDownTestSuite() {
    std::printf("crash points run %zu, kills %d, violations %d\n", points_.size(), kills_,
                violations_);
  }
  /// After a death and another start.
  static void check(const TempDir& dir, int kills) {
    points_.insert(GetParam());
    kills_ += kills;
    expect_everything_once(dir);
    violations_ += HasFailure() ? 1 : 0;
  }
  static void place_orders(const TempDir& dir) {
    LogBus log{dir / "log.db"};
    const toolkit::EventBus events{
        {.service = "shop", .event_topic = [](const auto&) { return "events"; }}};
    for (const char* id : {"good", "poor"})
      ASSERT_TRUE(events.publish(log, OrderPlaced{{id}}, {}, {.id = id}));
  }
  static Ended run_shop(const TempDir& dir,
                        std::vector<std::pair<std::string, std::string>> environment = {}) {
    auto finished = run({binary("toolkit_crash_child"), dir.path().string()},
                        {.environment = std::move(environment), .limit_s = 30});
    if (finished.ended.exit_code > 0) ADD_FAILURE() << finished.errors;
    return finished.ended;
  }
  static void expect_everything_once(const TempDir& dir) {
    const auto shop = toolkit::Database::open({.path = dir / "shop.db"}).value();
    std::vector<std::string> effects;
    const auto carried_out = shop->read("select what from effects order by what");
    for (const auto& row : *carried_out) effects.emplace_back(row.text(0));
    EXPECT_EQ(effects,
              (std::vector<std::string>{"good make list", "good pay", "good ship",
                                        "poor cancel list", "poor make list", "poor reject"}));
    std::string orders;
    const auto shown = shop->read("select id, ended from orders order by id");
    for (const auto& row : *shown)
      orders += std::string{row.text(0)} + std::to_string(row.integer(1)) + " ";
    EXPECT_EQ(orders, "good1 poor1 ");
    EXPECT_EQ(shop->read("select count(*) from outbox")->front().integer(0), 0);
    // SagaState::kDone, kUndone
    EXPECT_EQ(shop->read("select count(*) from sagas where state in (2, 3)")->front().integer(0),
              2);
    LogBus log{dir / "log.db"};
    const std::map<std::string, std::size_t> ids_of{
        {"commands.Do", 7}, {"events", 4}, {"internal-events.shop.OrderSeen", 2}};
    for (const auto& [topic, wanted] : ids_of) {
      std::set<std::string> ids;
      for (const client::OwnedMessage& message : log.read(topic, 0))
        ids.insert(toolkit::Message{message.view()}.id());
      EXPECT_EQ(ids.size(), wanted) << topic;
    }
  }

 private:
  static inline std::set<std::string> points_;
  static inline int kills_ = 0;
  static inline int violations_ = 0;
};
INSTANTIATE_TEST_SUITE_P(At, CrashTest, testing::ValuesIn(kPoints), [](const auto& of) {
  std::string name = of.param;
  std::ranges::replace(name, '.', '_');
  return name;
});

TEST_P(CrashTest, EveryEffectIsThereOnceWheneverItDied) {
  for (int nth = 1;; ++nth) {
    SCOPED_TRACE(std::string{GetParam()} + ", visit " + std::to_string(nth));
    const TempDir dir{fast_folder()};
    place_orders(dir);
    const Ended ended = run_shop(
        dir, {{"MALLBOTS_CRASH_AT", GetParam()}, {"MALLBOTS_CRASH_NTH", std::to_string(nth)}});
    if (ended.signal == 0) {
      EXPECT_GE(nth, 10);  // it came there at all
      expect_everything_once(dir);
      return;
    }
    ASSERT_EQ(ended.signal, SIGKILL);
    ASSERT_EQ(run_shop(dir).exit_code, 0);
    check(dir, 1);
    if (HasFailure()) return;
  }
}

TEST_P(CrashTest, TheSameWhenItDiesAgainAndAgainAndEverythingComesTwice) {
  const TempDir dir{fast_folder()};
  place_orders(dir);
  int deaths = 0;
  for (int start = 1; start < 400; ++start) {
    const Ended ended = run_shop(dir, {{"MALLBOTS_CRASH_AT", GetParam()},
                                       {"MALLBOTS_CRASH_NTH", std::to_string(1 + start / 2)},
                                       {"SHOP_TWICE", "1"}});
    if (ended.exit_code == 0) break;
    ASSERT_EQ(ended.signal, SIGKILL);
    ++deaths;
  }
  EXPECT_GE(deaths, 5);
  check(dir, deaths);
}

TEST(CrashPoints, AllOfTheToolkitAreRun) {
  const std::regex point{R"re(\bCRASH_POINT\("([a-z._]+)"\))re"};
  const std::string lake = text_of("tests/clients/toolkit/lake/archiver_test.cpp");
  std::size_t found = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator{"clients/toolkit"}) {
    if (!file.is_regular_file()) continue;
    const std::string text = text_of(file.path());
    for (std::sregex_iterator at{text.begin(), text.end(), point}, end; at != end; ++at, ++found) {
      const std::string name = (*at)[1];
      EXPECT_TRUE(std::ranges::find(kPoints, name) != std::end(kPoints) ||
                  (name.starts_with("lake.") && lake.contains('"' + name + '"')))
          << name << " is killed nowhere";
    }
  }
  std::printf("crash points found %zu\n", found);
  EXPECT_GT(found, std::size(kPoints));
}

}  // namespace
}  // namespace mallbots::test
