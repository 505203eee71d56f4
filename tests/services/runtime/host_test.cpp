#include "services/runtime/host.h"

#include <gtest/gtest.h>

#include <atomic>

#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/cqrs/processors.h"
#include "services/runtime/settings.h"
#include "tests/support/daemon.h"

namespace mallbots {
namespace {

struct LampLit {
  static constexpr auto kMessage = toolkit::event("LampLit", 1);
  std::string id;
  static constexpr auto fields() { return std::tuple{toolkit::field("id", &LampLit::id)}; }
  [[nodiscard]] std::string partition_key() const { return id; }
};

const toolkit::TopicNames kNames{"lamps", [](const toolkit::MessageType&) { return "test.lamps"; }};

class HostTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(daemon_.start()) << daemon_.log(); }
  [[nodiscard]] std::unique_ptr<Host> open(
      std::map<std::string, std::string, std::less<>> with = {}) {
    auto host = Host::open({.name = "test",
                            .runtime_dir = daemon_.runtime_dir(),
                            .data_dir = daemon_.folder() / "shop",
                            .settings = std::move(with),
                            .log = [](const toolkit::LogLine&) {}});
    EXPECT_TRUE(host) << host.error().sentence();
    return std::move(*host);
  }

  test::Daemon daemon_;
};

TEST_F(HostTest, WhatACommitTellsOthersIsHandledOnce) {
  std::atomic<int> seen = 0;
  std::string actor;
  const auto host = open();
  const auto store = host->open_store("lamps");
  ASSERT_TRUE(store) << store.error().sentence();
  toolkit::EventGroup group("lamps.watchers", kNames);
  group.on<LampLit>([&](toolkit::Context& context, const LampLit& event) -> toolkit::Handled {
    EXPECT_EQ(event.id, "l1");
    actor = context.cause().actor;
    ++seen;
    return {};
  });
  const auto handled = host->handle(group.registration(), *store);
  ASSERT_TRUE(handled) << handled.error().sentence();
  std::atomic<int> turns = 0;
  host->every(10, "turns", [&]() -> Outcome<void> { return ++turns, Outcome<void>{}; });
  std::atomic<bool> has_run_beside = false;
  host->run_beside("beside", [&](const std::stop_token&) { has_run_beside = true; });
  const auto started = host->start();
  ASSERT_TRUE(started) << started.error().sentence();
  EXPECT_TRUE(host->is_ready());
  const auto told = store->database.transact([&](toolkit::Transaction& transaction) {
    toolkit::OutboxPublisher publisher(store->outbox, transaction);
    return toolkit::EventBus(kNames).publish(publisher, LampLit{"l1"},
                                             {.causation_id = "r1", .actor = "staff:ann"});
  });
  ASSERT_TRUE(told) << told.error().sentence();
  EXPECT_TRUE(test::eventually([&] { return seen == 1 && turns > 2 && has_run_beside; }));
  host->stop();
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(actor, "staff:ann");
  EXPECT_FALSE(host->is_ready());
}

TEST_F(HostTest, AContextIsInOneProcessAtATime) {
  const auto one = open();
  const auto other = open();
  ASSERT_TRUE(one->open_store("lamps"));
  const auto refused = other->open_store("lamps");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInUse);
}

TEST_F(HostTest, ASettingThatIsNoNumberIsNamed) {
  const auto host = open({{"bots", "many"}});
  const auto refused = host->number("bots", 4);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().sentence().find("bots=many"), std::string::npos);
  EXPECT_EQ(host->number("lists", 4).value(), 4);
  EXPECT_EQ(host->setting("bots", ""), "many");
}

TEST(Host, RefusesASettingOfAnOldNameAndSaysTheNewOne) {
  EXPECT_TRUE(refuse_old_names({{"fleet.tls_key", "x"}}));
  for (const auto& [old, name] : {std::pair{"fleet.tls.certificate", "fleet.tls_certificate"},
                                  {"fleet.tls.key", "fleet.tls_key"},
                                  {"bots.tls.roots", "bots.tls_roots"}}) {
    const auto host = Host::open({.settings = {{old, "x"}}, .log = [](const auto&) {}});
    ASSERT_FALSE(host) << old;
    EXPECT_EQ(host.error().code, ErrorCode::kBadConfig);
    EXPECT_NE(host.error().detail.find(old), std::string::npos);
    EXPECT_NE(host.error().detail.find(name), std::string::npos);
  }
}

TEST(Host, SaysWhichBrokerIsNotThere) {
  const test::TempDir folder;
  const auto host = Host::open({.runtime_dir = folder / "nobody", .log = [](const auto&) {}});
  ASSERT_FALSE(host);
  EXPECT_EQ(host.error().code, ErrorCode::kNoBroker);
}

TEST(Host, RefusesASocketFolderThatNoSocketFitsIn) {
  const auto host = Host::open({.socket_dir = std::string(100, 'x'), .log = [](const auto&) {}});
  ASSERT_FALSE(host);
  EXPECT_EQ(host.error().code, ErrorCode::kBadArgument);
}

}  // namespace
}  // namespace mallbots
