// The parts of power_cut_client: who promises what on which line is in power_cut_client.cpp. One
// thread; what cannot go on ends the process with a sentence.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "clients/connection.h"
#include "shm/base/result.h"

namespace mallbots::test {

inline constexpr std::int64_t kPatienceMs = 20'000;

[[noreturn]] void give_up(const Error& error);
void say(const std::string& lines);

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error());
  return std::move(*result);
}

[[noreturn]] void append_events(client::Connection& connection, const std::string& topic,
                                const std::string& name, std::uint64_t seed);
[[noreturn]] void produce_named(client::Connection& connection, const std::string& topic,
                                const std::string& name);
int tell_last(client::Connection& connection, const std::string& topic, const std::string& name);

struct QueueName {
  std::string topic;
  std::string group;
};
[[noreturn]] void settle_for_ever(client::Connection& connection, const std::string& topic,
                                  const std::string& group);
int drain(client::Connection& connection, const QueueName& queue, std::uint64_t count);

}  // namespace mallbots::test
