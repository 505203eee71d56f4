#include <iostream>

#include "clients/consumer.h"

using namespace mallbots;

int failed(const Error& error) {
  std::cerr << error.sentence() << '\n';
  return static_cast<int>(error_entry(error.code).exit_code);
}

int main(int argc, char** argv) {
  auto connection =
      client::Connection::open({.runtime_dir = argc > 1 ? argv[1] : "", .name = "ledger"});
  if (!connection) return failed(connection.error());
  auto ledger = client::Consumer::open(**connection);
  if (!ledger) return failed(ledger.error());
  const auto joined = (*ledger)->subscribe({{"sales"}}, "ledger");
  if (!joined) return failed(joined.error());
  for (;;) {
    const auto batch = (*ledger)->poll(Deadline::after_ms(1'000));
    if (!batch && client::is_setback(batch.error().code)) continue;  // a gap; reading goes on
    if (!batch) return failed(batch.error());
    for (const client::Message& sale : *batch)
      std::cout << sale.offset << ' ' << sale.key_text() << ' ' << sale.text() << std::endl;
    if (const auto done = (*ledger)->commit(); !done) return failed(done.error());
  }
}
