#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <unordered_map>

#include "tests/history/checks.h"

namespace mallbots::test {
namespace {

constexpr BootNanos kNever = std::numeric_limits<BootNanos>::max();

/// One version of a stream.
struct Version {
  Word value = 0;
  BootNanos begun_ns = kNever;  ///< its append was called
  BootNanos ended_ns = kNever;  ///< and had returned
};

struct Stream {
  std::map<std::uint64_t, Version> versions;
  std::uint64_t whole = 0;
  bool is_whole = false;
};

class StreamChecker {
 public:
  StreamChecker(const History& history, Verdict& verdict) : history_(history), verdict_(verdict) {}

  void run() {
    learn_calls();
    learn_versions();
    for (const Event& event : history_.events()) {
      if (event.what == What::kVersioned) check_agreement(event);
      if (event.what == What::kConflict) check_conflict(event);
    }
    for (const auto& [key, stream] : streams_) check_whole(key, stream);
  }

 private:
  using Key = std::pair<Word, Word>;  ///< topic, stream

  [[nodiscard]] const std::string& text(Word word) const { return history_.text(word); }
  [[nodiscard]] std::string name(const Event& event, std::int64_t version) const {
    return text(event.topic) + ' ' + text(event.group) + '@' + std::to_string(version);
  }

  void learn_calls();
  void learn_versions();
  void see(const Event& event);
  void check_agreement(const Event& event);
  void check_conflict(const Event& event);
  void check_whole(const Key& key, const Stream& stream);

  const History& history_;
  Verdict& verdict_;
  std::map<Key, Stream> streams_;
  std::unordered_map<Word, const Event*> expects_;  ///< by the first event's value
  std::unordered_map<Word, BootNanos> begun_ns_;    ///< by value
  std::unordered_map<Word, std::uint64_t> version_of_;
};

void StreamChecker::learn_calls() {
  for (const Event& event : history_.events()) {
    if (event.what == What::kExpects) expects_[event.value] = &event;
    if (event.what == What::kSend) begun_ns_.try_emplace(event.value, event.time_ns);
  }
}

void StreamChecker::see(const Event& event) {
  const auto version = static_cast<std::uint64_t>(event.number);
  Version& here = streams_[{event.topic, event.group}].versions[version];
  if (here.value != 0 && here.value != event.value)
    verdict_.find("version", name(event, event.number) + " is " + text(here.value) + " and, for " +
                                 text(event.who) + ", " + text(event.value));
  const auto [before, is_first] = version_of_.try_emplace(event.value, version);
  if (!is_first && before->second != version)
    verdict_.find("version", text(event.value) + " is " + name(event, event.number) + " and " +
                                 std::to_string(before->second));
  here.value = event.value;
  if (const auto begun = begun_ns_.find(event.value); begun != begun_ns_.end())
    here.begun_ns = begun->second;
  if (event.what == What::kVersioned) here.ended_ns = std::min(here.ended_ns, event.time_ns);
}

void StreamChecker::learn_versions() {
  for (const Event& event : history_.events()) {
    if (event.what == What::kVersioned || event.what == What::kEvent) see(event);
    if (event.what != What::kWhole) continue;
    Stream& stream = streams_[{event.topic, event.group}];
    stream.whole = std::max(stream.whole, static_cast<std::uint64_t>(event.number));
    stream.is_whole = true;
  }
}

void StreamChecker::check_agreement(const Event& event) {
  const auto expects = expects_.find(event.value);
  if (expects == expects_.end()) return;  // not the first one of its append
  ++verdict_.appends;
  const std::string& expected = text(expects->second->key);
  std::int64_t version = 0;
  const bool is_number =
      std::from_chars(expected.data(), expected.data() + expected.size(), version).ec ==
      std::errc{};
  const bool agrees = expected == "any" || (expected == "none" && event.number == 1) ||
                      (expected == "exists" && event.number > 1) ||
                      (is_number && event.number == version + 1);
  if (!agrees)
    verdict_.find("false-agreement", text(event.who) + " expected " + expected + ", and " +
                                         text(event.value) + " became " +
                                         name(event, event.number));
}

/// The version that it was told must have been the stream's between its call and its return.
void StreamChecker::check_conflict(const Event& event) {
  ++verdict_.conflicts;
  const auto expects = expects_.find(event.value);
  if (expects == expects_.end()) return;
  const std::string& expected = text(expects->second->key);
  const std::string what = text(event.who) + " expected " + expected + " of " + text(event.group) +
                           ", and was told that it is at " + std::to_string(event.number);
  if (expected == "any" || expected == std::to_string(event.number) ||
      (expected == "none" && event.number == 0) || (expected == "exists" && event.number > 0))
    verdict_.find("false-conflict", what);
  const auto& versions = streams_[{event.topic, event.group}].versions;
  const auto told = static_cast<std::uint64_t>(event.number);
  const auto here = versions.find(told);
  const auto next = versions.find(told + 1);
  if (told != 0 && (here == versions.end() || here->second.begun_ns > event.time_ns))
    verdict_.find("false-conflict", what + ", which it was not yet");
  if (next != versions.end() && next->second.ended_ns < expects->second->time_ns)
    verdict_.find("false-conflict", what + ", which it was no more");
}

void StreamChecker::check_whole(const Key& key, const Stream& stream) {
  const std::string of = text(key.first) + ' ' + text(key.second) + '@';
  if (!stream.is_whole) {
    verdict_.find("version", of + " was never read whole");
    return;
  }
  std::uint64_t next = 1;
  for (const auto& [version, event] : stream.versions) {
    if (version > stream.whole)
      verdict_.find("version", of + std::to_string(version) + " is " + text(event.value) +
                                   ", and the stream ends at " + std::to_string(stream.whole));
    else if (version != next)
      verdict_.find("version", of + std::to_string(next) + " is missing");
    next = version + 1;
  }
  if (next <= stream.whole) verdict_.find("version", of + std::to_string(next) + " is missing");
}

}  // namespace

void check_streams(const History& history, Verdict& verdict) {
  StreamChecker{history, verdict}.run();
}

}  // namespace mallbots::test
