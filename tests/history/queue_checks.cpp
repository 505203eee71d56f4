#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>

#include "tests/history/checks.h"

namespace mallbots::test {
namespace {

constexpr BootNanos kNever = std::numeric_limits<BootNanos>::max();

/// Between the clock that the broker looked at when it granted and the moment of the grant.
constexpr BootNanos kBrokerRound = 20 * kMillisecond;

/// A member's hold of one record: until the moment at which it may have ended by its own doing, its
/// death or its lock's time.
struct Hold {
  const Event* held = nullptr;
  BootNanos over_ns = kNever;
  /// When it said ack or reject, and was not refused. A member that was given an attempt twice may
  /// settle it twice, and the second time is refused at once.
  std::vector<BootNanos> asked_ns;
  BootNanos confirmed_ns = kNever;
};

/// Of one queue and partition.
struct Queue {
  std::map<Offset, std::vector<Hold>> records;
  std::map<Offset, Word> keys;
  const Event* drained = nullptr;
};

using QueueKey = std::tuple<Word, Word, PartitionIndex>;  ///< topic, group, partition

class QueueChecker {
 public:
  QueueChecker(const History& history, Verdict& verdict) : history_(history), verdict_(verdict) {}

  void run() {
    learn();
    for (auto& [key, queue] : queues_) {
      for (auto& [offset, holds] : queue.records) check_record(holds);
      check_keys(queue);
      check_whole(queue);
    }
  }

 private:
  [[nodiscard]] const std::string& text(Word word) const { return history_.text(word); }
  [[nodiscard]] std::string told(const Event& event) const {
    return text(event.who) + " in queue " + text(event.group) + " got " + text(event.topic) + ' ' +
           std::to_string(event.partition) + '/' + std::to_string(event.offset) + " (" +
           text(event.value) + ", attempt " + std::to_string(event.attempt) + ")";
  }

  void learn();
  void settle(const Event& event, Hold& hold);
  void check_record(std::vector<Hold>& holds);
  void check_keys(const Queue& queue);
  void check_whole(const Queue& queue);
  [[nodiscard]] BootNanos end_of(const Event& held) const;

  const History& history_;
  Verdict& verdict_;
  std::map<QueueKey, Queue> queues_;
  std::map<std::pair<Word, Word>, std::int64_t> lock_ms_;
  std::unordered_map<Word, BootNanos> killed_ns_;  ///< by the party's text as a word of `kill`
  std::vector<std::pair<BootNanos, BootNanos>> restarts_;  ///< from, to
};

void QueueChecker::learn() {
  for (const Event& event : history_.events()) {
    if (event.what == What::kLocks) lock_ms_[{event.topic, event.group}] = event.number;
    if (event.what == What::kRestarted) restarts_.emplace_back(event.number, event.time_ns);
    if (event.what == What::kKill && text(event.key) == "SIGKILL")
      killed_ns_[event.topic] = event.time_ns;
  }
  for (const Event& event : history_.events()) {
    if (!lock_ms_.contains({event.topic, event.group})) continue;
    Queue& queue = queues_[{event.topic, event.group, event.partition}];
    if (event.what == What::kHeld) {
      ++verdict_.held;
      queue.keys[event.offset] = event.key;
      queue.records[event.offset].push_back({.held = &event, .over_ns = end_of(event)});
    } else if (event.what == What::kSettling || event.what == What::kSettled ||
               event.what == What::kRefused) {
      auto& holds = queue.records[event.offset];
      const auto own = std::find_if(holds.rbegin(), holds.rend(), [&event](const Hold& hold) {
        return hold.held->who == event.who && hold.held->attempt == event.attempt;
      });
      if (own != holds.rend()) settle(event, *own);
    } else if (event.what == What::kDrained) {
      queue.drained = &event;
    }
  }
}

/// What ends a hold without its holder's doing: death, the lock's time, the end of everything.
BootNanos QueueChecker::end_of(const Event& held) const {
  BootNanos end = held.number + lock_ms_.at({held.topic, held.group}) * kMillisecond;
  if (const auto killed = killed_ns_.find(held.who); killed != killed_ns_.end())
    end = std::min(end, killed->second);
  // A broker that ends goes on granting; its heir knows of no lock.
  for (const auto& [from, to] : restarts_)
    if (to > held.number) end = std::min(end, std::max(from, held.number));
  return end;
}

void QueueChecker::settle(const Event& event, Hold& hold) {
  const bool done = text(event.key) != "nack";
  if (event.what == What::kSettling) {
    hold.over_ns = std::min(hold.over_ns, event.time_ns);
    if (done) hold.asked_ns.push_back(event.time_ns);
  } else if (event.what == What::kSettled) {
    ++verdict_.settled;
    if (done) hold.confirmed_ns = std::min(hold.confirmed_ns, event.time_ns);
  } else if (done && !hold.asked_ns.empty()) {
    hold.asked_ns.pop_back();
  }
}

void QueueChecker::check_record(std::vector<Hold>& holds) {
  std::ranges::stable_sort(holds, {}, [](const Hold& hold) { return hold.held->number; });
  for (std::size_t i = 0; i < holds.size(); ++i)
    for (std::size_t j = 0; j < holds.size(); ++j) {
      if (i == j) continue;
      const Event& first = *holds[i].held;
      const Event& second = *holds[j].held;
      if (holds[i].confirmed_ns < second.number)
        verdict_.find("repeat", told(second) + ", which was done for " + text(first.who));
      if (second.number <= first.number) continue;
      if (first.who != second.who && second.number + kBrokerRound < holds[i].over_ns)
        verdict_.find("double-held", told(second) + " while " + text(first.who) + " held it");
      // The same member may be told again of what it holds.
      if (second.attempt <= first.attempt &&
          (first.who != second.who || second.attempt < first.attempt))
        verdict_.find("attempt", told(second) + " after attempt " + std::to_string(first.attempt));
    }
}

/// Front to back per key: no record may have been held before all before it were asked to be done.
void QueueChecker::check_keys(const Queue& queue) {
  std::map<Word, std::pair<BootNanos, Offset>> latest;  ///< key -> when the last one was done
  for (const auto& [offset, holds] : queue.records) {
    if (holds.empty()) continue;
    const Word key = queue.keys.at(offset);
    if (text(key) == "-") continue;
    auto [before, is_first] = latest.try_emplace(key, 0, offset);
    BootNanos done_ns = kNever;
    for (const Hold& hold : holds) {
      if (!hold.asked_ns.empty()) done_ns = std::min(done_ns, hold.asked_ns.front());
      if (!is_first && hold.held->time_ns < before->second.first)
        verdict_.find("key-order", told(*hold.held) + " of key " + text(key) + " before " +
                                       std::to_string(before->second.second) + " was done");
    }
    if (done_ns > before->second.first) before->second = {done_ns, offset};
  }
}

void QueueChecker::check_whole(const Queue& queue) {
  if (queue.drained == nullptr) return;
  for (Offset offset = 0; offset < queue.drained->offset; ++offset) {
    const auto found = queue.records.find(offset);
    if (found != queue.records.end() &&
        std::ranges::any_of(found->second, [](const Hold& hold) { return !hold.asked_ns.empty(); }))
      continue;
    verdict_.find("unseen", text(queue.drained->topic) + ' ' +
                                std::to_string(queue.drained->partition) + '/' +
                                std::to_string(offset) + " in queue " + text(queue.drained->group) +
                                " was never done, and the queue is empty");
  }
}

}  // namespace

void check_queues(const History& history, Verdict& verdict) {
  QueueChecker{history, verdict}.run();
}

}  // namespace mallbots::test
