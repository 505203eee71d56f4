// What tests of the toolkit read back from an in-process bus that keeps everything. One thread.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "clients/message.h"
#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/message.h"

namespace mallbots::test {

/// All that was published to the topic so far (the bus keeps all: InProcessOptions).
inline std::vector<client::OwnedMessage> read_all(toolkit::InProcessBus& bus,
                                                  const std::string& topic) {
  static int readers = 0;
  std::vector<client::OwnedMessage> all;
  const auto subscription =
      bus.subscribe({.topics = {topic}, .group = "reader-" + std::to_string(++readers)}).value();
  for (;;) {
    auto delivery = subscription->receive(Deadline::passed());
    if (!delivery || !*delivery) return all;
    all.emplace_back((*delivery)->message());
    static_cast<void>((*delivery)->ack());
  }
}

/// As one sees them who passes over what he has seen.
inline std::vector<client::OwnedMessage> once(std::vector<client::OwnedMessage> messages) {
  std::set<std::string> seen;
  std::erase_if(messages, [&](const client::OwnedMessage& one) {
    return !seen.insert(toolkit::Message{one.view()}.id()).second;
  });
  return messages;
}

inline std::vector<std::string> texts(const std::vector<client::OwnedMessage>& messages) {
  std::vector<std::string> all;
  for (const client::OwnedMessage& message : messages) all.emplace_back(message.view().text());
  return all;
}

}  // namespace mallbots::test
