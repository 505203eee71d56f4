#include <iostream>

#include "clients/producer.h"

using namespace mallbots;

int main(int argc, char** argv) {
  auto connection =
      client::Connection::open({.runtime_dir = argc > 1 ? argv[1] : "", .name = "till 4"});
  if (!connection) {
    std::cerr << connection.error().sentence() << '\n';
    return static_cast<int>(error_entry(connection.error().code).exit_code);
  }
  auto sales = client::Producer::open(**connection, "sales");
  if (!sales) {
    std::cerr << sales.error().sentence() << '\n';
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto receipt =
        (*sales)->append({.payload = client::as_bytes(line), .key = client::as_bytes("till 4")},
                         {.deadline = Deadline::after_ms(5'000), .acks = client::Acks::kCommitted});
    if (!receipt) {
      std::cerr << receipt.error().sentence() << '\n';
      return 1;
    }
    std::cout << "partition " << receipt->partition << " offset " << receipt->offset << '\n';
  }
  return (*sales)->flush(Deadline::after_ms(5'000)) ? 0 : 1;  // now a power cut takes nothing back
}
