// A whole service: router, database, saga, relay and view together, on a bus in the process under
// chaos, and on a broker.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

#include "clients/admin.h"
#include "clients/toolkit/aggregates/aggregate.h"
#include "clients/toolkit/aggregates/store_streams.h"
#include "clients/toolkit/saga/saga_runner.h"
#include "clients/toolkit/shm_bus.h"
#include "clients/toolkit/store/relay.h"
#include "clients/toolkit/testkit/test_kit.h"
#include "clients/toolkit/views/view_runner.h"
#include "tests/clients/toolkit/crash_shop.h"
#include "tests/clients/toolkit/views/bus_reader.h"
#include "tests/support/daemon.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::Handled;
using toolkit::Message;
using toolkit::SagaOut;

/// Every third call fails after the handler has succeeded, every other is made twice.
toolkit::Middleware trouble() {
  return {.name = "trouble",
          .layer = toolkit::Layer::kChaos,
          .wrap = [](const toolkit::Handler& next, const toolkit::HandlerInfo&) {
            const auto calls = std::make_shared<std::atomic<int>>(0);
            return [next, calls](Context& context, const Message& message) -> Handled {
              const int call = ++*calls;
              auto handled = next(context, message);
              if (handled && call % 2 == 0) handled = next(context, message);
              if (handled && call % 3 == 0) return toolkit::try_again("Trouble", "ack lost");
              return handled;
            };
          }};
}

toolkit::SagaPlan plan() {
  const auto send = [](const char* what) {
    return [what](const Order& order, SagaOut& out) { out.send(Do{order.id, what}); };
  };
  return toolkit::Saga<Order>{"order"}
      .begins_with<OrderPlaced>([](const OrderPlaced& event) { return event.id; },
                                [](const OrderPlaced& event) { return Order{event}; })
      .undo(send("reject"))
      .step("make list", send("make list"))
      .undo(send("cancel list"))
      .step("pay", send("pay"))
      .step("ship", send("ship"))
      .finished([](const Order& order, bool success, SagaOut& out) {
        out.publish(OrderEnded{order.id, success});
      })
      .plan();
}

Handled carry_out(Context& context, const Do& command) {
  const auto noted = toolkit::transaction_of(context).run("insert into effects values (?)",
                                                          {command.order + " " + command.what});
  if (!noted) return std::unexpected(toolkit::HandlerFailure{noted.error()});
  if (command.order == kPoorOrder && command.what == "pay")
    return toolkit::give_up("NoMoney", command.order);
  return {};
}

/// The shop of crash_shop.h around any bus.
struct Shop {
  Shop(toolkit::Publisher& bus, const std::string& path,
       toolkit::ViewRunner::MakeReader make_reader)
      : database(toolkit::Database::open({.path = path}).value()),
        relay(*database, *outbox, bus),
        view({toolkit::View{"orders", 1, "create table {orders} (id text, success integer);", names}
                  .on<OrderEnded>([](toolkit::ViewWork& work, const OrderEnded& event) -> Handled {
                    const auto done =
                        work.run("insert into {orders} values (?, ?)", {event.id, event.success});
                    if (!done) return std::unexpected(toolkit::HandlerFailure{done.error()});
                    return {};
                  })},
             {*database, *inbox, *outbox}, std::move(make_reader)) {}

  void add_to(toolkit::Router& router) {
    ASSERT_TRUE(database->ensure("create table if not exists effects (what text)"));
    ASSERT_TRUE(saga.open());
    ASSERT_TRUE(view.open());
    toolkit::CommandProcessor processor{names};
    ASSERT_TRUE(processor.handle<Do>(&carry_out));
    ASSERT_TRUE(
        add(router, processor.registrations(),
            {.workers = 2, .middlewares = {toolkit::transactional(*database, *inbox, *outbox)}}));
    ASSERT_TRUE(add(router, saga.registration(), {.workers = 2}));
  }
  void start() {
    threads.emplace_back([this](const std::stop_token& stop) { relay.run(stop); });
    threads.emplace_back([this](const std::stop_token& stop) { view.run(stop); });
  }
  [[nodiscard]] std::string texts(const std::string& sql) const {
    std::string all;
    const auto rows = database->read(sql);
    for (const toolkit::Row& row : *rows) all += std::string{row.text(0)} + "; ";
    return all;
  }
  void expect_everything_once() {
    EXPECT_TRUE(eventually([&] {
      return texts("select id from orders order by id") == "good; poor; ";
    })) << texts("select id from orders order by id")
        << relay.last_error() << view.last_error();
    EXPECT_EQ(texts("select what from effects order by what"),
              "good make list; good pay; good ship; poor cancel list; poor make list; "
              "poor reject; ");
    EXPECT_EQ(texts("select id from orders where success order by id"), "good; ");
    EXPECT_EQ(saga.in_state(toolkit::SagaState::kDone)->size(), 1U);
    EXPECT_EQ(saga.in_state(toolkit::SagaState::kUndone)->size(), 1U);
    EXPECT_TRUE(eventually([&] { return outbox->backlog()->waiting == 0; }));
  }

  toolkit::TopicNames names{.service = "shop", .event_topic = [](const auto&) { return "events"; }};
  std::unique_ptr<toolkit::Database> database;
  std::unique_ptr<toolkit::Inbox> inbox = toolkit::Inbox::open(*database).value();
  std::unique_ptr<toolkit::Outbox> outbox = toolkit::Outbox::open(*database).value();
  toolkit::Relay relay;
  toolkit::SagaRunner saga{plan(), {*database, *inbox, *outbox}, names};
  toolkit::ViewRunner view;
  std::vector<std::jthread> threads;
};

void place_orders(toolkit::Publisher& bus, const toolkit::TopicNames& names) {
  const toolkit::EventBus events{names};
  for (const char* id : {"good", "poor"})
    for (int twice = 0; twice < 2; ++twice)
      ASSERT_TRUE(events.publish(bus, OrderPlaced{{id}}, {}, {.id = id}));
}

TEST(Service, EndsInTheSameStateWhateverTroubleItsHandlersHave) {
  // M9.4, with a test that waits for nothing but the work itself.
  toolkit::TestKitOptions options;
  if (std::getenv("MALLBOTS_CHAOS") == nullptr) options.middlewares = {trouble()};
  toolkit::TestKit kit{options};
  Shop shop{kit.bus(), "", [&]() -> Result<std::unique_ptr<toolkit::TopicReader>> {
              return std::make_unique<BusReader>(kit.bus(), std::vector<std::string>{"events"});
            }};
  shop.add_to(kit.router());
  shop.threads.emplace_back([&](const std::stop_token& stop) { shop.relay.run(stop); });
  kit.also_wait_for("outbox rows", [&] { return shop.outbox->backlog()->waiting; });
  ASSERT_TRUE(kit.start());
  place_orders(kit.bus(), shop.names);
  const auto quiet = kit.wait_until_quiet();
  ASSERT_TRUE(quiet) << quiet.error().sentence();
  while (shop.view.run_once().value_or(0) > 0) {
  }
  shop.expect_everything_once();
}

TEST(Service, TwoOfEachKindShareARouterD10) {
  struct Half {
    explicit Half(const char* name, toolkit::Publisher& bus)
        : relay(*database, *outbox, bus),
          saga(toolkit::Saga<Order>{name}
                   .step("make list", [](const Order& order,
                                         SagaOut& out) { out.send(Do{order.id, "make list"}); })
                   .plan(),
               {*database, *inbox, *outbox}, {.service = "shop"}) {}
    std::unique_ptr<toolkit::Database> database = toolkit::Database::open().value();
    std::unique_ptr<toolkit::Inbox> inbox = toolkit::Inbox::open(*database).value();
    std::unique_ptr<toolkit::Outbox> outbox = toolkit::Outbox::open(*database).value();
    toolkit::Relay relay;
    toolkit::SagaRunner saga;
  };
  toolkit::TestKit kit;
  const toolkit::TopicNames names{.service = "shop"};
  Half first{"first", kit.bus()};
  Half second{"second", kit.bus()};
  std::mutex mutex;
  std::set<std::string> heard;
  for (Half* half : {&first, &second}) {
    ASSERT_TRUE(half->saga.open());
    ASSERT_TRUE(add(kit.router(), half->saga.registration()));
  }
  for (const char* group : {"mails", "stats"})
    ASSERT_TRUE(add(kit.router(), toolkit::EventGroup{group, names}
                                      .on<OrderPlaced>([&, group](Context&, const OrderPlaced&) {
                                        const std::scoped_lock lock{mutex};
                                        heard.insert(group);
                                        return Handled{};
                                      })
                                      .registration()));
  EXPECT_FALSE(add(kit.router(), first.saga.registration())) << "the same one twice";
  ASSERT_TRUE(kit.start());
  for (Half* half : {&first, &second}) {
    ASSERT_TRUE(half->database->transact([&](toolkit::Transaction& transaction) -> Result<void> {
      EXPECT_TRUE(half->saga.begin(transaction, "1", Order{"1"}));
      return {};
    }));
    EXPECT_EQ(half->relay.run_once(), 1U);
  }
  ASSERT_TRUE(toolkit::EventBus{names}.publish(kit.bus(), OrderPlaced{{"1"}}));
  ASSERT_TRUE(kit.wait_until_quiet());
  EXPECT_EQ(kit.published("commands.Do").size(), 2U);
  EXPECT_EQ(heard, (std::set<std::string>{"mails", "stats"}));
}

TEST(Service, OnABrokerWhatIsCommittedIsThereWithin5sAndACommandIsHandledWithin1s) {
  // M10.1, M11.1
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  auto connection = client::Connection::open({.runtime_dir = daemon.runtime_dir()}).value();
  for (const char* topic : {"events", "commands.Do"})
    ASSERT_TRUE(client::Admin{*connection}.create_topic(topic, 1, {}));
  toolkit::ShmBus bus{*connection};
  const TempDir dir;
  const auto database = toolkit::Database::open({.path = dir / "shop.db"}).value();
  const auto outbox = toolkit::Outbox::open(*database).value();
  toolkit::Relay relay{*database, *outbox, bus};
  const std::jthread relaying{[&](const std::stop_token& stop) { relay.run(stop); }};
  const auto reader = bus.subscribe({.topics = {"events"}, .group = "reader"}).value();
  ASSERT_TRUE(database->transact([&](toolkit::Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(outbox->add(transaction, "", {.payload = "whither?"}));
    return outbox->add(transaction, "events", {.payload = "made", .id = "id-1"});
  }));
  auto there = reader->receive(Deadline::after_ms(5'000));
  ASSERT_TRUE(there && *there) << relay.last_error();
  EXPECT_EQ(Message{(*there)->message()}.id(), "id-1");
  EXPECT_EQ((*there)->message().text(), "made");
  EXPECT_TRUE((*there)->ack());
  EXPECT_TRUE(eventually([&] { return outbox->backlog()->refused == 1; })) << "no topic, no bus";

  const toolkit::TopicNames names{.service = "shop"};
  toolkit::CommandProcessor processor{names};
  std::atomic<int> handled{0};
  ASSERT_TRUE(processor.handle<Do>([&](Context&, const Do&) -> Handled {
    ++handled;
    return {};
  }));
  toolkit::Router router{bus};
  ASSERT_TRUE(add(router, processor.registrations()));
  ASSERT_TRUE(router.start());
  BootNanos fastest = toolkit::kNever;  // of five: the machine may have something else to do
  for (int i = 1; i <= 5; ++i) {
    const BootNanos begun = boot_now_ns();
    ASSERT_TRUE(toolkit::CommandBus{names}.send(bus, Do{"1", "ship"}));
    ASSERT_TRUE(eventually([&] { return handled >= i; }));
    fastest = std::min(fastest, boot_now_ns() - begun);
  }
  EXPECT_LT(fastest, kSecond);
  EXPECT_TRUE(router.close());
}

TEST(Service, OnABrokerOrdersGoThroughSagaOutboxAndView) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  auto connection = client::Connection::open({.runtime_dir = daemon.runtime_dir()}).value();
  client::Admin admin{*connection};
  for (const char* topic : {"events", "commands.Do", "replies.saga.order"})
    ASSERT_TRUE(admin.create_topic(topic, 2, {}));
  toolkit::ShmBus bus{*connection};
  const TempDir dir;
  Shop shop{bus, dir / "shop.db",
            [&] { return toolkit::LogReader::open(connection->options(), {"events"}); }};
  toolkit::Router router{bus};
  shop.add_to(router);
  ASSERT_TRUE(router.start());
  shop.start();
  place_orders(bus, shop.names);
  ASSERT_TRUE(eventually(
      [&] { return shop.texts("select id from orders order by id") == "good; poor; "; }, 20))
      << shop.relay.last_error() << shop.view.last_error();
  ASSERT_TRUE(daemon.kill_broker());  // and the builds go on behind its successor
  ASSERT_TRUE(shop.view.rebuild());
  EXPECT_TRUE(
      eventually([&] { return shop.view.builds()->at(1).state == toolkit::BuildState::kLive; }, 20))
      << shop.view.last_error();
  EXPECT_EQ(shop.view.lag(), 0U);
  shop.expect_everything_once();
  EXPECT_TRUE(router.close());
}

struct Counted {
  static constexpr auto kMessage = toolkit::event("Counted", 1);
  std::int64_t by = 0;
  static constexpr auto fields() { return std::tuple{field("by", &Counted::by)}; }
};
struct Counter {
  static constexpr std::string_view kAggregate = "counter";
  using Events = toolkit::EventTypes<Counted>;
  void apply(const Counted& event) { count += event.by; }
  std::int64_t count = 0;
  static constexpr auto fields() { return std::tuple{field("count", &Counter::count)}; }
};

TEST(Service, AggregatesOfTwoConnectionsLoseNothingToEachOther) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  const auto connect = [&] {
    return client::Connection::open({.runtime_dir = daemon.runtime_dir()}).value();
  };
  const auto connection = connect();
  ASSERT_TRUE(client::Admin{*connection}.create_topic("counters", 1, {{"type", "events"}}));
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&, thread] {
      const auto own = connect();
      const auto streams = toolkit::StoreStreams::open(*own, "counters").value();
      toolkit::Repository<Counter> counters{*streams, {.snapshot_every = 8, .max_tries = 1'000}};
      for (int i = 0; i < 20; ++i) {
        const std::string command = std::to_string(thread) + "/" + std::to_string(i);
        for (int twice = 0; twice < 2; ++twice) {
          const auto done =
              counters.change("c", {.correlation_id = "request", .causation_id = command},
                              [](toolkit::Aggregate<Counter>& counter) -> Result<void> {
                                counter.record(Counted{1});
                                return {};
                              });
          EXPECT_TRUE(done) << done.error().sentence();
        }
      }
    });
  }
  threads.clear();
  const auto streams = toolkit::StoreStreams::open(*connection, "counters").value();
  toolkit::Repository<Counter> counters{*streams, {.snapshot_every = 8}};
  const auto counter = counters.load("c");
  ASSERT_TRUE(counter) << counter.error().sentence();
  EXPECT_EQ((*counter)->count, 40);
  EXPECT_EQ(counter->version(), 40U);
  EXPECT_EQ(streams->snapshot("counter-c").value()->version, 40U);
}

}  // namespace
}  // namespace mallbots::test
