#include "tests/soak/cast.h"

#include <signal.h>

#include <algorithm>
#include <fstream>

namespace mallbots::test {
namespace {

constexpr double kEndsWithinS = 70;

}  // namespace

Cast::Cast(Daemon& daemon, std::string history, unsigned seed, std::string sabotage)
    : daemon_(daemon), history_(std::move(history)), sabotage_(std::move(sabotage)), dice_(seed) {}

void Cast::add(const std::string& role, const std::vector<std::string>& words) {
  const auto same = std::ranges::count(parties_, role, &Party::role);
  Party& party = parties_.emplace_back(
      Party{.role = role, .name = role + '-' + std::to_string(same), .words = words});
  start(party);
}

void Cast::start(Party& party) {
  ++party.lives;
  party.go_on_ns = 0;
  std::vector<std::string> words{binary("soak_worker"), party.role,
                                 daemon_.runtime_dir(), history_ + '/' + party.who() + ".history",
                                 party.who(),           std::to_string(dice_())};
  words.insert(words.end(), party.words.begin(), party.words.end());
  ProcessOptions options{.limit_s = 3'600};
  if (!sabotage_.empty()) options.environment.emplace_back("MALLBOTS_SOAK_SABOTAGE", sabotage_);
  party.process = Process::start(words, options);
}

void Cast::replace(Party& party) {
  note("kill " + party.who() + " SIGKILL");
  party.process->send(SIGKILL);
  static_cast<void>(party.process->wait());
  start(party);
}

void Cast::stop(Party& party, BootNanos nanoseconds) {
  if (party.go_on_ns != 0) return;
  note("kill " + party.who() + " SIGSTOP");
  party.process->send(SIGSTOP);
  party.go_on_ns = boot_now_ns() + nanoseconds;
}

void Cast::go_on(std::optional<BootNanos> now) {
  for (Party& party : parties_) {
    if (party.go_on_ns == 0 || (now && party.go_on_ns > *now)) continue;
    party.process->send(SIGCONT);
    party.go_on_ns = 0;
  }
}

void Cast::settle(Party& party, const Ended& ended) {
  if (ended.exit_code == 0) return;
  const std::string how = !ended.in_time         ? "did not end"
                          : ended.exit_code >= 0 ? "ended with " + std::to_string(ended.exit_code)
                                                 : "died of signal " + std::to_string(ended.signal);
  find(party.who() + ' ' + how + ": " + party.process->errors());
}

void Cast::end(const std::vector<std::string>& roles) {
  const auto wanted = [&roles](const Party& party) {
    return std::ranges::find(roles, party.role) != roles.end() && party.process.has_value();
  };
  for (Party& party : parties_)
    if (wanted(party)) party.process->send(SIGTERM);
  for (Party& party : parties_) {
    if (!wanted(party)) continue;
    settle(party, party.process->wait(kEndsWithinS));
    party.process.reset();
  }
}

void Cast::run(const std::string& role, const std::vector<std::string>& words) {
  add(role, words);
  Party& party = parties_.back();
  settle(party, party.process->wait(kEndsWithinS));
  party.process.reset();
}

void Cast::look_for_dead() {
  for (Party& party : parties_) {
    if (!party.process || party.process->running()) continue;
    Ended ended = party.process->wait();
    if (ended.exit_code == 0) ended.exit_code = -1;  // nobody asked it to
    settle(party, ended);
    party.process.reset();
  }
  std::erase_if(parties_, [](const Party& party) { return !party.process; });
}

void Cast::note(const std::string& words) {
  std::ofstream{history_ + "/driver.history", std::ios::app} << boot_now_ns() << " driver " << words
                                                             << '\n';
}

}  // namespace mallbots::test
