#include "tests/history/checks.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace mallbots::test {
namespace {

constexpr std::uint64_t kShownOfAKind = 5;
constexpr BootNanos kNever = std::numeric_limits<BootNanos>::max();

/// What is known of one sent record.
struct Sent {
  const Event* send = nullptr;
  BootNanos acked_ns = kNever;
  bool failed = false;
  UnixMillis due_ms = 0;
  std::optional<std::pair<PartitionIndex, Offset>> place;
};

/// One place of a log, as somebody saw it.
struct Place {
  Word value = 0;
  UnixMillis stamp_ms = 0;
};

struct Partition {
  std::vector<Place> places;
  std::optional<Offset> end;
  Word ended_by = 0;
};

using PartitionKey = std::pair<Word, PartitionIndex>;  ///< topic, partition

class Checker {
 public:
  explicit Checker(const History& history) : history_(history) {}

  Verdict run() {
    learn_sends();
    learn_places();
    check_acks();
    check_batches();
    for (const auto& [key, partition] : partitions_) check_order(key, partition);
    check_readers();
    check_groups();
    check_queues(history_, verdict_);
    check_streams(history_, verdict_);
    count_kills();
    return std::move(verdict_);
  }

 private:
  struct Reader {
    Offset next = 0;
    bool ended = false;
  };
  struct Member {
    std::optional<Offset> next;
  };
  /// Of one group and partition.
  struct Progress {
    std::vector<const Event*> given;
    std::vector<const Event*> committed;
    std::optional<Offset> drained;
  };
  using ProgressKey = std::tuple<Word, Word, PartitionIndex>;  ///< topic, group, partition

  void find(const std::string& kind, const std::string& text) { verdict_.find(kind, text); }
  [[nodiscard]] std::string place(Word topic, PartitionIndex partition, Offset offset) const {
    return history_.text(topic) + " " + std::to_string(partition) + "/" + std::to_string(offset);
  }
  [[nodiscard]] std::string place(const Event& event) const {
    return place(event.topic, event.partition, event.offset);
  }
  [[nodiscard]] const std::string& text(Word word) const { return history_.text(word); }

  [[nodiscard]] bool is_doubtful(BootNanos time_ns) const {
    return std::ranges::any_of(doubtful_, [time_ns](const auto& span) {
      return span.first <= time_ns && time_ns <= span.second;
    });
  }

  void learn_sends();
  void learn_places();
  void see(const Event& event);
  void check_acks();
  void check_batches();
  void check_order(const PartitionKey& key, const Partition& partition);
  void check_readers();
  void check_groups();
  void check_members();
  void check_progress(const ProgressKey& key, Progress& progress);
  void count_kills();

  const History& history_;
  Verdict verdict_;
  std::unordered_map<Word, Sent> sent_;
  std::map<PartitionKey, Partition> partitions_;
  std::vector<std::pair<BootNanos, BootNanos>> doubtful_;  ///< when commits may be void
};

void Checker::learn_sends() {
  for (const Event& event : history_.events()) {
    if (event.what == What::kSend) {
      Sent& sent = sent_[event.value];
      if (sent.send == nullptr) ++verdict_.sent;  // a named producer may send again what it knows
      sent.send = sent.send == nullptr || event.time_ns < sent.send->time_ns ? &event : sent.send;
    } else if (event.what == What::kAcked) {
      sent_[event.value].acked_ns = std::min(sent_[event.value].acked_ns, event.time_ns);
    } else if (event.what == What::kFailed) {
      sent_[event.value].failed = true;
    } else if (event.what == What::kDue) {
      sent_[event.value].due_ms = event.number;
    } else if (event.what == What::kRestarted) {
      doubtful_.emplace_back(event.number, event.time_ns + kRestartDoubtNs);
    }
  }
  for (const auto& [value, sent] : sent_) {
    if (sent.acked_ns != kNever) ++verdict_.acked;
    if (sent.acked_ns == kNever && !sent.failed) ++verdict_.unsure;
  }
}

void Checker::see(const Event& event) {
  auto& places = partitions_[{event.topic, event.partition}].places;
  if (places.size() <= event.offset) places.resize(event.offset + 1);
  Place& here = places[event.offset];
  if (here.value != 0 && here.value != event.value)
    find("inconsistent-offset", place(event) + " is " + text(here.value) + " and, for " +
                                    text(event.who) + ", " + text(event.value));
  if (event.what == What::kRead) {
    if (here.stamp_ms != 0 && here.stamp_ms != event.number)
      find("stamp", place(event) + " has two time stamps");
    here.stamp_ms = event.number;
  }
  if (here.value != 0) return;
  here.value = event.value;
  Sent& sent = sent_[event.value];
  if (sent.send == nullptr)
    find("phantom", place(event) + ": nobody sent " + text(event.value));
  else if (sent.send->topic != event.topic)
    find("phantom", place(event) + ": " + text(event.value) + " was sent to another topic");
  if (sent.failed && sent.acked_ns == kNever)
    find("failed-read", place(event) + ": " + text(event.value) + " was said not to be in the log");
  const std::pair now{event.partition, event.offset};
  if (sent.place && *sent.place != now)
    find("duplicate", text(event.value) + " stands at " +
                          place(event.topic, sent.place->first, sent.place->second) + " and at " +
                          place(event));
  if (!sent.place) sent.place = now;
}

void Checker::learn_places() {
  for (const Event& event : history_.events()) {
    if (event.what == What::kRead || event.what == What::kGiven || event.what == What::kHeld)
      see(event);
    if (event.what != What::kEnded) continue;
    Partition& partition = partitions_[{event.topic, event.partition}];
    if (partition.end && *partition.end != event.offset)
      find("unseen", text(event.who) + " found the end of " + place(event) + ", " +
                         text(partition.ended_by) + " at " + std::to_string(*partition.end));
    partition.end = std::max(partition.end.value_or(0), event.offset);
    partition.ended_by = event.who;
  }
  for (const auto& [key, partition] : partitions_) {
    verdict_.records += static_cast<std::uint64_t>(
        std::ranges::count_if(partition.places, [](const Place& one) { return one.value != 0; }));
    if (partition.end && partition.places.size() > *partition.end)
      find("inconsistent-offset",
           "somebody read behind the end of " + place(key.first, key.second, *partition.end));
  }
}

void Checker::check_acks() {
  for (const Event& event : history_.events()) {
    if (event.what != What::kAcked) continue;
    const auto partition = partitions_.find({event.topic, event.partition});
    const std::string told = text(event.who) + " was told that " + text(event.value) + " is at ";
    if (event.offset == kNoOffset) {  // accepted before: somewhere
      if (const auto& where = sent_[event.value].place; !where)
        find("lost-write", text(event.who) + " was told that " + text(event.value) +
                               " had been accepted, and nobody read it");
    } else if (partition == partitions_.end() || !partition->second.end) {
      find("unseen", told + place(event) + ", and nobody has read that partition to its end");
    } else if (event.offset >= *partition->second.end) {
      find("lost-write",
           told + place(event) + ", and the log ends at " + std::to_string(*partition->second.end));
    } else if (event.offset >= partition->second.places.size() ||
               partition->second.places[event.offset].value != event.value) {
      const auto& where = sent_[event.value].place;
      find("lost-write", told + place(event) + ", and another record or none is there; it " +
                             (where ? "is at " + place(event.topic, where->first, where->second)
                                    : "was never read"));
    }
  }
}

void Checker::check_batches() {
  std::unordered_map<Word, std::vector<Word>> batches;
  for (const Event& event : history_.events())
    if (event.what == What::kSend && event.batch != 0 && sent_[event.value].send == &event)  // once
      batches[event.batch].push_back(event.value);
  for (const auto& [batch, values] : batches) {
    const auto& first = sent_[values.front()].place;
    for (std::size_t i = 1; i < values.size(); ++i) {
      const auto& here = sent_[values[i]].place;
      const bool together =
          first.has_value() == here.has_value() &&
          (!here || (here->first == first->first && here->second == first->second + i));
      if (together) continue;
      find("split-batch", text(values[i]) + " does not stand behind " + text(values[i - 1]) +
                              ", with which it is a batch");
      break;
    }
  }
}

void Checker::check_order(const PartitionKey& key, const Partition& partition) {
  // From the end: no record may have been sent after one behind it was acked. What was put off is
  // acked before it is in the log.
  BootNanos acked_ns = kNever;
  Word acked = 0;
  for (std::size_t offset = partition.places.size(); offset-- > 0;) {
    const auto found = sent_.find(partition.places[offset].value);
    if (found == sent_.end() || found->second.send == nullptr) continue;
    const Sent& sent = found->second;
    if (sent.place != std::pair{key.second, Offset{offset}}) continue;  // a duplicate
    if (sent.send->time_ns > acked_ns)
      find("order", place(key.first, key.second, offset) + ": " + text(found->first) +
                        " was sent after " + text(acked) + " was acked, and stands before it");
    if (sent.due_ms == 0 && sent.acked_ns < acked_ns) {
      acked_ns = sent.acked_ns;
      acked = found->first;
    }
  }
  UnixMillis before_ms = 0;
  for (std::size_t offset = 0; offset < partition.places.size(); ++offset) {
    const UnixMillis stamp_ms = partition.places[offset].stamp_ms;
    if (stamp_ms == 0) continue;
    if (stamp_ms < before_ms)
      find("stamp", place(key.first, key.second, offset) + " steps back to " +
                        std::to_string(stamp_ms) + " from " + std::to_string(before_ms));
    before_ms = stamp_ms;
    if (const auto sent = sent_.find(partition.places[offset].value);
        sent != sent_.end() && stamp_ms < sent->second.due_ms)
      find("stamp", place(key.first, key.second, offset) + ": " + text(sent->first) +
                        " came before it was due");
  }
}

void Checker::check_readers() {
  std::map<std::tuple<Word, Word, PartitionIndex>, Reader> readers;
  for (const Event& event : history_.events()) {
    if (event.what != What::kStarted && event.what != What::kRead && event.what != What::kEnded)
      continue;
    Reader& reader = readers[{event.who, event.topic, event.partition}];
    if (event.what == What::kStarted) {
      reader.next = event.offset;
      continue;
    }
    if (event.what == What::kRead) ++verdict_.reads;
    const std::string what = text(event.who) + " was to read " +
                             place(event.topic, event.partition, reader.next) + ", and got " +
                             std::to_string(event.offset);
    if (event.offset > reader.next) find(event.what == What::kRead ? "skip" : "unseen", what);
    if (event.offset < reader.next) find("non-monotonic", what);
    reader.next = event.offset + (event.what == What::kRead ? 1 : 0);
  }
}

void Checker::check_members() {
  std::map<std::tuple<Word, Word, Word, PartitionIndex>, Member> members;
  for (const Event& event : history_.events()) {
    if (event.what != What::kGained && event.what != What::kDropped && event.what != What::kGiven)
      continue;
    Member& member = members[{event.who, event.topic, event.group, event.partition}];
    if (event.what != What::kGiven) {
      member.next.reset();
      continue;
    }
    ++verdict_.given;
    const std::string what = text(event.who) + " in " + text(event.group) + " was given " +
                             place(event) + " instead of " +
                             std::to_string(member.next.value_or(0));
    if (member.next && event.offset > *member.next) find("skip", what);
    if (member.next && event.offset < *member.next) find("non-monotonic", what);
    member.next = event.offset + 1;
  }
}

void Checker::check_groups() {
  check_members();
  std::map<ProgressKey, Progress> groups;
  std::set<std::pair<Word, Word>> queues;
  for (const Event& event : history_.events())
    if (event.what == What::kLocks) queues.emplace(event.topic, event.group);
  for (const Event& event : history_.events()) {
    if (queues.contains({event.topic, event.group})) continue;  // check_queues() looks at them
    if (event.what != What::kGiven && event.what != What::kCommitted &&
        event.what != What::kDrained)
      continue;
    Progress& progress = groups[{event.topic, event.group, event.partition}];
    if (event.what == What::kGiven) progress.given.push_back(&event);
    if (event.what == What::kCommitted) progress.committed.push_back(&event);
    if (event.what == What::kDrained) progress.drained = event.offset;
  }
  for (auto& [key, progress] : groups) check_progress(key, progress);
}

void Checker::check_progress(const ProgressKey& key, Progress& progress) {
  const auto& [topic, group, partition] = key;
  const std::string of_group = " in group " + text(group);
  std::ranges::stable_sort(progress.given, {}, &Event::time_ns);
  std::ranges::stable_sort(progress.committed, {}, &Event::time_ns);
  Offset position = 0;
  std::size_t commits = 0;
  std::vector<BootNanos> first_ns;  ///< by offset, when it was first given
  for (const Event* event : progress.given) {
    for (; commits < progress.committed.size() &&
           progress.committed[commits]->time_ns < event->time_ns;
         ++commits)
      if (!is_doubtful(progress.committed[commits]->time_ns))
        position = std::max(position, progress.committed[commits]->offset);
    if (event->offset < position)
      find("repeat", text(event->who) + of_group + " was given " + place(*event) + " (" +
                         text(event->value) + ") again: " + std::to_string(position) +
                         " had been committed before that poll");
    if (first_ns.size() <= event->offset) first_ns.resize(event->offset + 1, kNever);
    if (first_ns[event->offset] != kNever)
      ++verdict_.again;
    else
      first_ns[event->offset] = event->time_ns;
  }
  Offset checked = 0;
  const auto expect_given = [&](Offset below, BootNanos at_ns, const std::string& by) {
    for (; checked < below; ++checked)
      if (checked >= first_ns.size() || first_ns[checked] > at_ns)
        find("unseen", place(topic, partition, checked) + of_group + " was given to nobody when " +
                           by + " counted it as done");
  };
  for (const Event* event : progress.committed)
    expect_given(event->offset, event->time_ns, text(event->who));
  if (progress.drained) expect_given(*progress.drained, kNever, "the group");
  const auto found = partitions_.find({topic, partition});
  if (progress.drained && found != partitions_.end() && found->second.end &&
      *progress.drained != *found->second.end)
    find("unseen", "the group ended at " + place(topic, partition, *progress.drained) + of_group +
                       ", the log at " + std::to_string(*found->second.end));
}

void Checker::count_kills() {
  for (const Event& event : history_.events()) {
    if (event.what != What::kKill) continue;
    std::string target = text(event.topic);  // "member-3.12" counts as "member"
    target.resize(std::min(target.find('-'), target.size()));
    ++verdict_.kills[target + " " + text(event.key)];
  }
}

}  // namespace

void Verdict::find(const std::string& kind, const std::string& text) {
  ++found;
  if (++of_kind_[kind] <= kShownOfAKind) findings.push_back({kind, text});
}

Verdict check(const History& history) { return Checker{history}.run(); }

std::string report(const Verdict& verdict) {
  std::string out;
  const auto line = [&out](std::uint64_t count, const std::string& what) {
    std::string number = std::to_string(count);
    out +=
        std::string(number.size() < 10 ? 10 - number.size() : 0, ' ') + number + " " + what + "\n";
  };
  line(verdict.sent, "records sent, of which");
  line(verdict.acked, "acknowledged");
  line(verdict.unsure, "without an answer (the sender was killed)");
  line(verdict.records, "in the logs");
  line(verdict.reads, "deliveries to plain readers");
  line(verdict.given, "deliveries to members of groups, of which");
  line(verdict.again, "again, above the last commit (allowed)");
  if (verdict.held != 0) line(verdict.held, "deliveries to members of queues");
  if (verdict.held != 0) line(verdict.settled, "settlements");
  if (verdict.appends != 0) line(verdict.appends, "appends to streams");
  if (verdict.appends != 0) line(verdict.conflicts, "conflicts");
  for (const auto& [kind, count] : verdict.kills) line(count, kind);
  line(verdict.found, "findings");
  for (const Finding& finding : verdict.findings) out += finding.kind + ": " + finding.text + "\n";
  if (verdict.found > verdict.findings.size())
    out += "and " + std::to_string(verdict.found - verdict.findings.size()) + " more like these\n";
  return out;
}

}  // namespace mallbots::test
