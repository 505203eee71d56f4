// The checks of a history (history.h): linear scans after Jepsen's workload for logs
// (jepsen/src/jepsen/tests/kafka.clj), and what our log and groups promise beyond that.
//
//   log    lost-write            acked, but not below the end, or another record is there
//          phantom               a record that nobody sent
//          failed-read           a record whose sender was told that it is not in the log
//          duplicate             a record at two offsets
//          inconsistent-offset   an offset with two records
//          split-batch           a part of a batch only, or with others between
//          order                 a record stands behind one that was sent after it was acked
//          stamp                 a time stamp steps back, or is earlier than the due time
//   reader skip                  it jumps over offsets
//          non-monotonic         it goes back
//          unseen                it ended before it had read everything
//   group  unseen                committed or drained without having been given to anybody
//          repeat                given again below what was committed before that poll
//          skip, non-monotonic   as above, while a member keeps the partition
//   queue  repeat                held after its settlement as done was confirmed
//          double-held           by two members at once, the first one alive and within its lock
//          key-order             held before the one before it in its key was done
//          attempt               an attempt's number does not rise
//          unseen                the queue is empty, and a record was never settled
//   stream version               a version with two events, an event with two versions, a hole, an
//                                event that is not where its writer was told
//          false-agreement       an append against its expectation
//          false-conflict        a version that the stream cannot have had at that moment
//
// A commit from within a restart may be void without its member's knowing, so kRestartDoubtNs after
// one it takes part in no `repeat`. Every plain reader that `ended` has to have come to the same
// end. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/history/history.h"

namespace mallbots::test {

/// A member looks at its connection at least so often.
inline constexpr BootNanos kRestartDoubtNs = 2 * kSecond;

struct Finding {
  std::string kind;
  std::string text;  ///< a sentence that names party, topic, place and record
};

struct Verdict {
  std::vector<Finding> findings;  ///< the first of each kind
  std::uint64_t found = 0;        ///< all of them

  std::uint64_t sent = 0;
  std::uint64_t acked = 0;
  std::uint64_t unsure = 0;   ///< neither acked nor failed
  std::uint64_t records = 0;  ///< in the logs
  std::uint64_t reads = 0;    ///< by plain readers
  std::uint64_t given = 0;    ///< to members of groups
  std::uint64_t again = 0;    ///< of these, above the last commit: allowed
  std::uint64_t held = 0;     ///< by members of queues
  std::uint64_t settled = 0;  ///< of these
  std::uint64_t appends = 0;  ///< to streams, without conflict
  std::uint64_t conflicts = 0;
  std::map<std::string, std::uint64_t> kills;  ///< by party's kind and signal

  void find(const std::string& kind, const std::string& text);

 private:
  std::map<std::string, std::uint64_t> of_kind_;
};

/// All of them.
[[nodiscard]] Verdict check(const History& history);
// A part of them each.
void check_queues(const History& history, Verdict& verdict);
void check_streams(const History& history, Verdict& verdict);

/// A line per figure, then the findings.
[[nodiscard]] std::string report(const Verdict& verdict);

}  // namespace mallbots::test
