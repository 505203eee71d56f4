// A service in a test: its database in memory, inbox, outbox, and a pump that runs its handlers on
// an in-process bus.
#pragma once

#include <memory>
#include <string>

#include "clients/toolkit/saga/saga_runner.h"
#include "tests/clients/toolkit/pump.h"
#include "tests/clients/toolkit/reading.h"

namespace mallbots::test {

struct Service {
  explicit Service(const toolkit::DatabaseOptions& options = {})
      : database(toolkit::Database::open(options).value()),
        inbox(toolkit::Inbox::open(*database).value()),
        outbox(toolkit::Outbox::open(*database).value()),
        relay(*database, *outbox, bus) {
    pump.add([this] { return relay.run_once().value(); });
  }
  [[nodiscard]] toolkit::ServiceStore store() const { return {*database, *inbox, *outbox}; }
  [[nodiscard]] std::int64_t number(const std::string& sql) const {
    return database->read(sql)->front().integer(0);
  }
  [[nodiscard]] std::size_t count(const std::string& topic) { return read_all(bus, topic).size(); }

  toolkit::InProcessBus bus{{.keep_all = true}};
  std::unique_ptr<toolkit::Database> database;
  std::unique_ptr<toolkit::Inbox> inbox;
  std::unique_ptr<toolkit::Outbox> outbox;
  toolkit::Relay relay;
  Pump pump{bus};
};

}  // namespace mallbots::test
