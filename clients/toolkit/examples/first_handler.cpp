// A whole service with retry, dead letters and metrics: first_handler [RUNTIME_DIR]
#include <iostream>

#include "clients/toolkit/middleware/retry.h"
#include "clients/toolkit/prometheus_metrics.h"
#include "clients/toolkit/router.h"
#include "clients/toolkit/shm_bus.h"
using namespace mallbots;
using namespace mallbots::toolkit;

Handled greet(Context& context, const Message& user) {
  if (user.payload().empty()) return give_up("NoName", "whom?");  // a dead letter, at once
  context.publish("greetings", {.payload = "Hello " + std::string{user.payload()}});
  return {};
}

int main(int count, char** arguments) {
  auto connection =
      client::Connection::open({.runtime_dir = count > 1 ? arguments[1] : "", .name = "greeter"});
  if (!connection) return std::cerr << connection.error().sentence() << '\n', 1;
  ShmBus bus{**connection};
  const auto registry = std::make_shared<prometheus::Registry>();
  Router router{bus, {.middlewares = {metrics(registry), retry()}, .log = log_to_stderr()}};
  auto done = router.add({.name = "greet", .topics = {"users"}, .group = "greeter"}, greet);
  if (done) done = router.run();  // until SIGINT or SIGTERM
  std::cout << metrics_text(*registry);
  return done ? 0 : (std::cerr << done.error().sentence() << '\n', 1);
}
