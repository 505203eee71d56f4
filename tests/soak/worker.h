// The roles of soak_worker (worker.cpp), and what they share. One thread.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "clients/connection.h"
#include "shm/base/result.h"
#include "tests/soak/notes.h"

namespace mallbots::test {

inline constexpr std::int64_t kPatienceMs = 60'000;

struct Order {
  std::string role;
  std::string runtime_dir;
  std::string notes;  ///< path
  std::string who;
  unsigned seed = 0;
  std::string topic;
  std::string group;  ///< or the name of a named producer
};

[[noreturn]] inline void give_up(const std::string& what, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), error.sentence().c_str());
  std::exit(1);
}

template <class T>
T must(const char* what, Result<T> result) {
  if (!result) give_up(what, result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// SIGTERM has come.
[[nodiscard]] bool asked_to_end();

/// What a worker has: its order, its notes, its dice and a connection.
struct Stage {
  explicit Stage(const Order& given);

  /// 0 to `below - 1`.
  int roll(int below) { return static_cast<int>(dice() % static_cast<unsigned>(below)); }
  /// Sleeps up to that long.
  void pause_ms(int below);
  /// Of a record named `value`: sometimes nothing behind its name, sometimes 20 kB.
  [[nodiscard]] std::string payload(const std::string& value);

  Order order;
  Notes notes;
  std::mt19937 dice;
  std::unique_ptr<client::Connection> connection;
};

// Each runs until SIGTERM, or its work is done; the exit code.

int produce(Stage& stage);  // producers.cpp
int postpone(Stage& stage);
int produce_named(Stage& stage);  // named_producer.cpp
int read(Stage& stage);           // readers.cpp
int audit(Stage& stage);
int consume(Stage& stage);        // member.cpp
int consume_queue(Stage& stage);  // queue_member.cpp
int write_streams(Stage& stage);  // streams.cpp
int read_streams(Stage& stage);
int audit_streams(Stage& stage);

}  // namespace mallbots::test
