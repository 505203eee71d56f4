#include <iostream>

#include "clients/consumer.h"

using namespace mallbots;

int main(int argc, char** argv) {
  auto connection =
      client::Connection::open({.runtime_dir = argc > 1 ? argv[1] : "", .name = "ledger"});
  if (!connection) {
    std::cerr << connection.error().sentence() << '\n';
    return static_cast<int>(error_entry(connection.error().code).exit_code);
  }
  auto ledger = client::Consumer::open(**connection);
  if (!ledger) {
    std::cerr << ledger.error().sentence() << '\n';
    return 1;
  }
  if (auto joined = (*ledger)->subscribe({{"sales"}}, "ledger"); !joined) {
    std::cerr << joined.error().sentence() << '\n';
    return 1;
  }
  for (;;) {
    const auto batch = (*ledger)->poll(Deadline::after_ms(1'000));
    if (!batch) {
      std::cerr << batch.error().sentence() << '\n';
      if (client::is_setback(batch.error().code)) continue;  // told; reading goes on
      return 1;
    }
    for (const client::Message& sale : *batch)
      std::cout << sale.offset << ' ' << sale.key_text() << ' ' << sale.text() << std::endl;
    if (!(*ledger)->commit()) return 1;  // what was printed is done with
  }
}
