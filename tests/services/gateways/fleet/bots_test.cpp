// Simulated robots against a real gateway, depot and broker.
#include <chrono>
#include <fstream>
#include <thread>

#include "services/simulators/bots/service.h"
#include "tests/services/gateways/fleet/fleet_fixture.h"
#include "tests/services/gateways/http/tls_client.h"

namespace mallbots::test {
namespace {

class BotsTest : public FleetTest {
 protected:
  void TearDown() override {
    stop_bots();
    FleetTest::TearDown();
  }
  void start_bots(const Settings& settings) {
    bots_host_ = open_host("bots", settings);
    auto made = bots::open_bots(*bots_host_);
    ASSERT_TRUE(made) << made.error().sentence();
    bots_ = std::move(*made);
    const auto begun = bots_host_->start();
    ASSERT_TRUE(begun) << begun.error().sentence();
  }
  void stop_bots() {
    if (!bots_host_) return;
    bots_host_->stop();
    bots_.reset();
    bots_host_.reset();
  }
  /// False: not within a minute.
  template <class Condition>
  bool wait_until(const Condition& condition) {
    for (int i = 0; i < 6'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return false;
  }
  std::size_t welcome() { return bots_->numbers().welcome; }

  /// Staff: counts what is at the depot until all these lists are completed.
  bool all_completed(const std::vector<std::string>& lists) {
    bool are_all = true;
    for (const std::string& id : lists) {
      const auto now = list(id);
      if (now.status() == "active" && now.phase() == "at-depot") {
        int picked = 0;
        for (const auto& stop : now.stops()) picked += stop.items(0).picked();
        take_inventory(id, picked);
      }
      are_all = are_all && list(id).status() == "completed";
    }
    return are_all;
  }

  std::unique_ptr<Host> bots_host_;
  std::unique_ptr<bots::BotsService> bots_;
};

TEST_F(BotsTest, RobotsOfBothKindsFetchEveryList) {
  start_bots({{"bots.count", "6"}, {"bots.speed", "200"}, {"bots.breakdown", "0"}});
  ASSERT_TRUE(wait_until([&] { return welcome() == 6; })) << welcome();
  std::vector<std::string> lists;
  for (int i = 0; i < 12; ++i) {
    lists.push_back(list_of("o" + std::to_string(i), {"s1", "s2"}));
  }
  EXPECT_TRUE(wait_until([&] { return all_completed(lists); }));
  EXPECT_TRUE(wait_until([&] { return bots_->numbers().sum.lists == 12; }))
      << bots_->numbers().sum.lists;
}

// Whatever they do wrong, each list is fetched once.
TEST_F(BotsTest, MischiefLosesNothing) {
  stop_depot();
  depot_settings_ = {{"depot.offer_ms", "1000"}, {"depot.stranded_ms", "500"}};
  start_depot();
  start_bots({{"bots.count", "8"},
              {"bots.speed", "200"},
              {"bots.unavailable", "200"},
              {"bots.decline", "200"},
              {"bots.disconnect", "100"},
              {"bots.twice", "300"},
              {"bots.slow_ack", "300"},
              {"bots.breakdown", "100"},
              {"bots.breakdown_ms", "2000"}});
  std::vector<std::string> lists;
  for (int i = 0; i < 10; ++i) {
    lists.push_back(list_of("o" + std::to_string(i), {"s1", "s2", "s3"}));
  }
  EXPECT_TRUE(wait_until([&] { return all_completed(lists); }));
  EXPECT_GT(bots_->numbers().sum.connections, 8U);
}

TEST_F(BotsTest, ARestartOfTheGatewayIsSurvivedByBothKinds) {
  start_bots({{"bots.count", "6"}, {"bots.speed", "200"}});
  ASSERT_TRUE(wait_until([&] { return welcome() == 6; }));
  std::vector<std::string> lists;
  for (int i = 0; i < 6; ++i) lists.push_back(list_of("o" + std::to_string(i)));
  stop_gateway();
  start_gateway();
  EXPECT_TRUE(wait_until([&] { return all_completed(lists); }));
  EXPECT_TRUE(wait_until([&] { return welcome() == 6; })) << welcome();
}

TEST_F(BotsTest, AThousandRobotsAreConnected) {
  const std::string map = daemon_.folder() / "hall.map";
  std::ofstream file(map);
  file << "type octile\nheight 80\nwidth 80\nmap\n";
  for (int i = 0; i < 80; ++i) file << std::string(80, '.') << '\n';
  file.close();
  start_bots({{"bots.count", "1000"}, {"bots.map", map}, {"bots.speed", "2"}});
  EXPECT_TRUE(wait_until([&] { return welcome() == 1'000; })) << welcome();
  EXPECT_EQ(fleet_->numbers().open, 1'000U);
  const std::string id = list_of("o1");
  EXPECT_TRUE(wait_until([&] { return list(id).status() == "active"; }));
  EXPECT_EQ(welcome(), 1'000U);
}

TEST_F(BotsTest, AMapThatIsDamagedOrNotThereIsNamed) {
  const std::string map = daemon_.folder() / "damaged.map";
  std::ofstream(map) << "type octile\nheight 3\nwidth 4\nmap\n....\n..\n....\n";
  const auto damaged = bots::open_bots(*open_host("bots", {{"bots.map", map}}));
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(damaged.error().detail, map + ", line 6: 4 characters are expected");
  const auto missing = bots::open_bots(*open_host("bots", {{"bots.map", map + ".no"}}));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_NE(missing.error().detail.find(map + ".no"), std::string::npos);
}

TEST_F(BotsTest, RobotsOverTlsFetchAList) {
  const std::string certificate = daemon_.folder() / "certificate.pem";
  const std::string key = daemon_.folder() / "key.pem";
  gateways::make_certificate(certificate, key);
  stop_gateway();
  fleet_settings_ = {{"fleet.tls_certificate", certificate}, {"fleet.tls_key", key}};
  start_gateway();
  start_bots({{"bots.count", "2"},
              {"bots.local_percent", "0"},
              {"bots.speed", "200"},
              {"bots.fleet", "127.0.0.1:" + std::to_string(fleet_->port())},
              {"bots.tls_roots", certificate}});
  const std::vector<std::string> lists = {list_of("o1")};
  EXPECT_TRUE(wait_until([&] { return all_completed(lists); }));
}

TEST_F(BotsTest, MoreRobotsThanTheFloorHasRoomForAreRefused) {
  const auto host = open_host("bots", {{"bots.count", "500"}});
  EXPECT_EQ(bots::open_bots(*host).error().code, ErrorCode::kBadConfig);
}

}  // namespace
}  // namespace mallbots::test
