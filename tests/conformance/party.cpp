// conformance_party RUNTIME_DIR publish TOPIC COUNT [PREFIX] | member TOPIC GROUP [POLL_MS]: a
// publisher or a member of the bus in a process of its own, which the cases kill. Standard output
// says what was promised to it, a line each, before anything else is done.
//
//   publish  publications of 5 messages "N/0" to "N/4" of one key, N a PREFIX and a number; "N"
//   when
//            acknowledged; COUNT 0: without end
//   member   acknowledges what comes ("doing TEXT", then "done TEXT"), but holds every seventh
//            ("held TEXT"); POLL_MS: its max_poll_interval
//
// Environment: CONFORMANCE_QUEUE: groups in queue mode. CONFORMANCE_EVENTS: topics of events.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "clients/connection.h"
#include "clients/toolkit/shm_bus.h"
#include "tests/conformance/adapters.h"

namespace mallbots::test {
namespace {

constexpr int kEach = 5;

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "%s\n", error.sentence().c_str());
  std::exit(1);
}

/// One write(2): a SIGKILL takes no line that was said.
void say(const std::string& line) {
  if (write(STDOUT_FILENO, (line + '\n').data(), line.size() + 1) < 0) std::exit(1);
}

int publish(toolkit::Publisher& bus, const std::string& topic, int count,
            const std::string& prefix) {
  for (int number = 0; count == 0 || number < count; ++number) {
    const std::string name = prefix + std::to_string(number);
    const std::string key = "key" + std::to_string(number % 16);
    std::vector<std::string> texts;
    std::vector<client::Record> records;
    for (int i = 0; i < kEach; ++i) texts.push_back(name + '/' + std::to_string(i));
    for (const std::string& text : texts)
      records.push_back({.payload = client::as_bytes(text), .key = client::as_bytes(key)});
    const auto acks = number % 2 == 0 ? client::Acks::kCommitted : client::Acks::kDurable;
    if (const auto sent = bus.publish(topic, records, {.acks = acks}); !sent) give_up(sent.error());
    say(name);
  }
  return 0;
}

int consume(toolkit::Subscriber& bus, const toolkit::SubscribeOptions& options) {
  auto subscription = bus.subscribe(options);
  if (!subscription) give_up(subscription.error());
  std::vector<toolkit::Delivery> held;
  for (int count = 1;; ++count) {
    auto delivery = (*subscription)->receive(Deadline::never());
    if (!delivery) give_up(delivery.error());
    const std::string text{(*delivery)->message().text()};
    if (count % 7 == 0) {
      held.push_back(std::move(**delivery));
      say("held " + text);
      continue;
    }
    say("doing " + text);
    if (const auto acked = (*delivery)->ack(); acked) {
      say("done " + text);
    } else {
      give_up(acked.error());
    }
  }
}

}  // namespace
}  // namespace mallbots::test

int main(int count, char** words) {
  using namespace mallbots;
  if (count < 5) return 2;
  const std::string last = count > 5 ? words[5] : "";
  const auto connection = client::Connection::open({.runtime_dir = words[1]});
  if (!connection) test::give_up(connection.error());
  toolkit::ShmBus bus{**connection};
  test::EventPublisher events{**connection};
  test::QueueSubscriber queue{bus};
  toolkit::Publisher& publisher =
      std::getenv("CONFORMANCE_EVENTS") == nullptr ? static_cast<toolkit::Publisher&>(bus) : events;
  toolkit::Subscriber& subscriber =
      std::getenv("CONFORMANCE_QUEUE") == nullptr ? static_cast<toolkit::Subscriber&>(bus) : queue;
  if (std::string_view{words[2]} == "publish")
    return test::publish(publisher, words[3], std::stoi(words[4]), last);
  toolkit::SubscribeOptions options{.topics = {words[3]}, .group = words[4]};
  if (!last.empty()) options.max_poll_interval_ms = static_cast<std::uint32_t>(std::stoul(last));
  return test::consume(subscriber, options);
}
