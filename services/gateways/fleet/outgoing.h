// Outgoing: records for the broker that nobody waits for: directives to local controllers and
// positions. They are sent in batches, in order per key, by one thread of the service.
//
// Who calls: any thread; run() by one, until it is told to stop.
//
// What is lost: nothing here is tried twice. A batch that the bus refuses, or has not taken within
// its 30 s (bus.h; a restart of the broker is shorter), is dropped with a line in the log. What is
// added meanwhile waits, at most kRoom records; of more the oldest are dropped. Positions come
// again, and a controller that misses its directive says Hello (README.md).
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/log.h"

namespace mallbots::fleet {

class Outgoing {
 public:
  static constexpr std::size_t kRoom = 65'536;

  Outgoing(toolkit::Publisher& bus, toolkit::Log log) : bus_(&bus), log_(std::move(log)) {}

  void add(const char* topic, const std::string& key, std::string payload);
  void run(const std::stop_token& stop);

 private:
  struct One {
    const char* topic;
    std::string key;
    std::string payload;
  };
  void publish(std::deque<One>& all);

  toolkit::Publisher* bus_;
  toolkit::Log log_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<One> waiting_;
};

}  // namespace mallbots::fleet
