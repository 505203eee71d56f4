// soak_worker ROLE RUNTIME_DIR NOTES WHO SEED TOPIC [GROUP]: one party of the soak (soak.h), until
// SIGTERM; what it did and saw goes to the file NOTES (tests/history/history.h). Roles:
//
//   producer  single records and batches, committed and durable
//   postponer records that are to be delivered later
//   named     records under the name GROUP, which goes on where its last life ended
//   reader    a plain reader from somewhere in the log, now and then slow
//   member    of GROUP; commits now and then, all or a part of what it was given
//   queuer    of GROUP in queue mode: acknowledges, gives back, rejects, holds too long
//   auditor   reads the topic from its start to its end, then ends
//   appender  to streams of events, mostly at the version that it knows
//   browser   reads streams of events
//   archivist reads every stream of events whole, then ends
//
// Exit code 0: all went as promised; 1: standard error says what did not.
#include "tests/soak/worker.h"

#include <signal.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

namespace mallbots::test {
namespace {

std::atomic<bool> end_asked = false;  // lock-free: a signal handler stores it

constexpr std::pair<std::string_view, int (*)(Stage&)> kRoles[] = {
    {"producer", produce},     {"postponer", postpone},
    {"named", produce_named},  {"reader", read},
    {"member", consume},       {"auditor", audit},
    {"queuer", consume_queue}, {"appender", write_streams},
    {"browser", read_streams}, {"archivist", audit_streams},
};

}  // namespace

bool asked_to_end() { return end_asked.load(); }

Stage::Stage(const Order& given)
    : order(given),
      notes(order.notes, order.who),
      dice(order.seed),
      connection(must("connect", client::Connection::open({.runtime_dir = order.runtime_dir,
                                                           .name = order.who,
                                                           .reconnect_timeout_ms = kPatienceMs}))) {
}

void Stage::pause_ms(int below) {
  std::this_thread::sleep_for(std::chrono::milliseconds{roll(below)});
}

std::string Stage::payload(const std::string& value) {
  return value + ' ' +
         std::string(static_cast<std::size_t>(roll(50) == 0 ? 20'000 : roll(200)), '.');
}

}  // namespace mallbots::test

int main(int count, char** words) {
  using namespace mallbots::test;
  if (count < 7) {
    std::fputs("usage: soak_worker ROLE RUNTIME_DIR NOTES WHO SEED TOPIC [GROUP]\n", stderr);
    return 2;
  }
  signal(SIGTERM, [](int) { end_asked.store(true); });
  for (const auto& [name, run] : kRoles) {
    if (name != words[1]) continue;
    Stage stage{{.role = words[1],
                 .runtime_dir = words[2],
                 .notes = words[3],
                 .who = words[4],
                 .seed = static_cast<unsigned>(std::strtoul(words[5], nullptr, 10)),
                 .topic = words[6],
                 .group = count > 7 ? words[7] : ""}};
    return run(stage);
  }
  std::fprintf(stderr, "no role %s\n", words[1]);
  return 2;
}
