// M14.2 and M10.7: what waits in a service's database is seen in its metrics.
#include "clients/toolkit/store/service_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/prometheus_metrics.h"
#include "clients/toolkit/store/relay.h"
#include "tests/clients/toolkit/twice.h"

namespace mallbots::test {
namespace {

using toolkit::Database;
using toolkit::Outbox;

struct Start {
  static constexpr auto kMessage = toolkit::event("Start", 1);
  std::string id;
  static constexpr auto fields() { return std::tuple{toolkit::field("id", &Start::id)}; }
};
struct Ask {
  static constexpr auto kMessage = toolkit::command("Ask", 1);
  std::string id;
  static constexpr auto fields() { return std::tuple{toolkit::field("id", &Ask::id)}; }
};

class ServiceMetricsTest : public testing::Test {
 protected:
  std::string text() { return toolkit::metrics_text(*registry_); }
  bool shows(const std::string& line) { return text().find(line + "\n") != std::string::npos; }

  std::unique_ptr<Database> database_ = Database::open().value();
  std::unique_ptr<toolkit::Inbox> inbox_ = toolkit::Inbox::open(*database_).value();
  std::unique_ptr<Outbox> outbox_ = Outbox::open(*database_).value();
  toolkit::InProcessBus bus_;
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  toolkit::ServiceMetrics metrics_{registry_};
};

TEST_F(ServiceMetricsTest, M10_7_AnOutboxThatFillsAndEmptiesIsSeen) {
  metrics_.watch("orders", *outbox_);
  ASSERT_TRUE(database_->transact([&](toolkit::Transaction& transaction) {
    return outbox_->add(transaction, "t", {.payload = "x"});
  }));
  ASSERT_TRUE(metrics_.refresh());
  EXPECT_TRUE(shows("outbox_messages_waiting{service=\"orders\"} 1")) << text();
  toolkit::Relay relay{*database_, *outbox_, bus_};
  ASSERT_EQ(relay.run_once().value_or(0), 1U);
  ASSERT_TRUE(metrics_.refresh());
  EXPECT_TRUE(shows("outbox_messages_waiting{service=\"orders\"} 0")) << text();
  EXPECT_TRUE(shows("outbox_oldest_seconds{service=\"orders\"} 0")) << text();
  EXPECT_TRUE(shows("outbox_messages_refused{service=\"orders\"} 0")) << text();
}

TEST_F(ServiceMetricsTest, M10_7_WhatIsSetAsideIsSeen) {
  metrics_.watch("orders", *outbox_);
  ASSERT_TRUE(database_->transact([&](toolkit::Transaction& transaction) {
    return outbox_->add(transaction, "", {.payload = "nobody can publish this"});
  }));
  toolkit::Relay relay{*database_, *outbox_, bus_};
  ASSERT_TRUE(relay.run_once());
  ASSERT_TRUE(metrics_.refresh());
  EXPECT_TRUE(shows("outbox_messages_waiting{service=\"orders\"} 0")) << text();
  EXPECT_TRUE(shows("outbox_messages_refused{service=\"orders\"} 1")) << text();
}

TEST_F(ServiceMetricsTest, M14_4_AStuckSagaIsSeen) {
  toolkit::Saga<Start> saga{"greet"};
  saga.step("ask", [](const Start& data, toolkit::SagaOut& out) { out.send(Ask{data.id}); });
  toolkit::SagaRunner runner{
      saga.plan(), {*database_, *inbox_, *outbox_}, toolkit::TopicNames{.service = "s"}};
  ASSERT_TRUE(runner.open());
  metrics_.watch(runner);
  ASSERT_TRUE(twice([&] {
    return database_->transact([&](toolkit::Transaction& transaction) {
      EXPECT_TRUE(runner.begin(transaction, "1", Start{"1"}));
      return Result<void>{};
    });
  }));
  ASSERT_TRUE(metrics_.refresh());
  EXPECT_TRUE(shows("saga_instances{saga=\"greet\",state=\"running\"} 1")) << text();
  EXPECT_TRUE(shows("saga_instances{saga=\"greet\",state=\"stuck\"} 0")) << text();
}

TEST_F(ServiceMetricsTest, WhatCannotBeReadIsCountedAndTheRestIsShown) {
  metrics_.watch("orders", *outbox_);
  const auto other = Database::open().value();
  const auto gone = Outbox::open(*other).value();
  metrics_.watch("gone", *gone);
  ASSERT_TRUE(other->transact([](toolkit::Transaction& transaction) -> Result<void> {
    auto dropped = transaction.run("drop table outbox", {});
    if (!dropped) return std::unexpected(dropped.error());
    return {};
  }));
  EXPECT_FALSE(metrics_.refresh());
  EXPECT_TRUE(shows("service_metrics_failures_total 1")) << text();
  EXPECT_TRUE(shows("outbox_messages_waiting{service=\"orders\"} 0")) << text();
}

}  // namespace
}  // namespace mallbots::test
