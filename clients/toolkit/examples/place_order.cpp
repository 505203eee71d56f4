// An order as a saga: place_order [RUNTIME_DIR]
// Lines on stdin: ORDER CENTS. Ends when all orders are over, and says how. The services that carry
// the commands out are in the same process, for brevity; the saga would not know the difference.
#include <iostream>
#include <thread>

#include "clients/toolkit/router.h"
#include "clients/toolkit/saga/saga_runner.h"
#include "clients/toolkit/shm_bus.h"
#include "clients/toolkit/store/relay.h"
using namespace mallbots;
using namespace mallbots::toolkit;

struct Order {
  std::string id;
  std::int64_t cents = 0;
  static constexpr auto fields() {
    return std::tuple{field("id", &Order::id), field("cents", &Order::cents)};
  }
};
struct Reserve : Order {
  static constexpr auto kMessage = command("Reserve", 1);
};
struct GiveBack : Order {
  static constexpr auto kMessage = command("GiveBack", 1);
};
struct Charge : Order {
  static constexpr auto kMessage = command("Charge", 1);
};

const auto kPlaceOrder =
    Saga<Order>{"place-order"}
        .step("reserve", [](const Order& order, SagaOut& out) { out.send(Reserve{order}); })
        .undo([](const Order& order, SagaOut& out) { out.send(GiveBack{order}); })
        .step("charge", [](const Order& order, SagaOut& out) { out.send(Charge{order}); })
        .timeout_ms(30'000);

/// The other services.
Result<void> carry_out(CommandProcessor& commands) {
  const auto said = [](const char* what) {
    return [what](Context&, const Order& order) -> Handled {
      std::cout << order.id + ": " + what + "\n" << std::flush;
      return {};
    };
  };
  MALLBOTS_TRY(commands.handle<Reserve>(said("reserved")));
  MALLBOTS_TRY(commands.handle<GiveBack>(said("given back")));
  return commands.handle<Charge>([said](Context& context, const Charge& order) -> Handled {
    if (order.cents > 10'000) return give_up("Declined", "more than the card has");
    return said("charged")(context, order);
  });
}

Result<void> run(client::Connection& connection) {
  const TopicNames names{.service = "orders"};
  const auto database = Database::open({.path = "orders.db"});
  if (!database) return std::unexpected(database.error());
  const auto inbox = Inbox::open(**database);
  if (!inbox) return std::unexpected(inbox.error());
  const auto outbox = Outbox::open(**database);
  if (!outbox) return std::unexpected(outbox.error());
  SagaRunner orders{kPlaceOrder.plan(), {**database, **inbox, **outbox}, names};
  MALLBOTS_TRY(orders.open());

  ShmBus bus{connection};
  Router router{bus};
  CommandProcessor commands{names};
  MALLBOTS_TRY(carry_out(commands));
  MALLBOTS_TRY(add(router, commands.registrations(),
                   {.middlewares = {transactional(**database, **inbox, **outbox)}}));
  MALLBOTS_TRY(add(router, orders.registration()));
  MALLBOTS_TRY(router.start());
  Relay relay{**database, **outbox, bus};
  const std::jthread relaying{[&](const std::stop_token& stop) { relay.run(stop); }};
  const std::jthread timeouts{[&](const std::stop_token& stop) { orders.run(stop); }};

  std::vector<std::string> ids;
  for (Order order; std::cin >> order.id >> order.cents; ids.push_back(order.id))
    MALLBOTS_TRY((*database)->transact([&](Transaction& transaction) -> Result<void> {
      const auto begun = orders.begin(transaction, order.id, order, {.correlation_id = order.id});
      return begun ? Result<void>{} : fail(ErrorCode::kRefused, begun.error().text);
    }));
  for (const std::string& id : ids) {
    auto order = orders.find(id);
    while (order && *order && (*order)->state < SagaState::kDone) {
      std::this_thread::sleep_for(std::chrono::milliseconds{10});  // sleep: a look now and then
      order = orders.find(id);
    }
    if (!order) return std::unexpected(order.error());
    const bool is_done = (*order)->state == SagaState::kDone;
    std::cout << id << (is_done ? " is placed\n" : " is undone: " + (*order)->reason + "\n");
  }
  return router.close();
}

int main(int count, char** arguments) {
  auto connection = client::Connection::open({.runtime_dir = count > 1 ? arguments[1] : ""});
  if (!connection) return std::cerr << connection.error().sentence() << '\n', 3;
  if (const auto done = run(**connection); !done)
    return std::cerr << done.error().sentence() << '\n', 1;
}
