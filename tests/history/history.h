// A history: what the parties of a run did, were told and saw, one line per event, so that somebody
// who knows nothing of the broker can say afterwards whether its promises held (checks.h).
//
// A line is words between single spaces: TIME WHO WHAT and the words of that event. TIME is boot
// time in nanoseconds, WHO one life of one party (a restarted process is another one). Each party
// writes a file of its own, in its order, a line with one write(2), so that SIGKILL loses no line;
// a last line without its end was never written.
//
//   WHAT       words                                      TIME, meaning
//   send       TOPIC VALUE KEY BATCH                      before the call; KEY: - if none
//                                                         BATCH: first VALUE of an atomic batch
//   acked      TOPIC VALUE PARTITION OFFSET               after the call
//                                                         OFFSET ?: accepted before
//   failed     TOPIC VALUE ERROR                          after the call: it is not in the log
//   due        TOPIC VALUE UNIX_MS                        before the call: not in the log earlier
//   started    TOPIC PARTITION OFFSET                     a plain reader begins there
//   read       TOPIC PARTITION OFFSET VALUE KEY STAMP_MS  before the poll that gave it
//   ended      TOPIC PARTITION OFFSET                     a plain reader has read all below it,
//                                                         and the partition has no more
//   gained     TOPIC GROUP PARTITION                      when told
//   dropped    TOPIC GROUP PARTITION                      when told
//   given      TOPIC GROUP PARTITION OFFSET VALUE KEY     before the poll that gave it to a member
//   committed  TOPIC GROUP PARTITION OFFSET               after the commit; all below is done
//   drained    TOPIC GROUP PARTITION OFFSET               the group is done up to the log's end
//   locks      TOPIC GROUP LOCK_MS                        a member of a queue may hold so long
//   held       TOPIC GROUP PARTITION OFFSET VALUE KEY     after the call that gave it to a member
//              ATTEMPT SINCE_NS                           of a queue; SINCE_NS: before that call
//   settling   TOPIC GROUP PARTITION OFFSET HOW ATTEMPT   before the call
//                                                         HOW: ack, nack or reject
//   settled    TOPIC GROUP PARTITION OFFSET HOW ATTEMPT   after the call
//   refused    TOPIC GROUP PARTITION OFFSET HOW ATTEMPT   after the call: it was held no more
//   expects    TOPIC STREAM VALUE EXPECTED                before an append; VALUE: the first
//                                                         EXPECTED: any, none, exists or N
//   versioned  TOPIC STREAM VALUE VERSION                 after the call, each of its events
//   conflict   TOPIC STREAM VALUE VERSION                 after the call: the stream is there
//   event      TOPIC STREAM VALUE VERSION                 somebody read it from the stream
//   whole      TOPIC STREAM VERSION                       WHO has read the stream to VERSION
//   kill       TARGET SIGNAL                              after the signal; a WHO or broker
//
// A process without a `send`'s `acked` or `failed` does not know its outcome: both are right.
//
// Pure but for load_history (reads files). One thread. Damaged lines are values: BadArgument with
// file and line.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shm/base/clock.h"
#include "shm/base/ids.h"
#include "shm/base/result.h"

namespace mallbots::test {

enum class What : std::uint8_t {
  kSend,
  kAcked,
  kFailed,
  kDue,
  kStarted,
  kRead,
  kEnded,
  kGained,
  kDropped,
  kGiven,
  kCommitted,
  kDrained,
  kLocks,
  kHeld,
  kSettling,
  kSettled,
  kRefused,
  kExpects,
  kVersioned,
  kConflict,
  kEvent,
  kWhole,
  kKill,
  kRestarted,
};

/// A word of the history, by number; 0 is the empty one.
using Word = std::uint32_t;

struct Event {
  BootNanos time_ns = 0;
  What what = What::kKill;
  Word who = 0;
  Word topic = 0;  ///< kill: the target
  Word group = 0;  ///< or the stream
  Word value = 0;
  Word key = 0;  ///< or the error, the signal, HOW, EXPECTED
  Word batch = 0;
  PartitionIndex partition = 0;
  std::uint32_t attempt = 0;
  Offset offset = kNoOffset;
  std::int64_t number =
      0;  ///< what the form above calls STAMP_MS, UNIX_MS, SINCE_NS, LOCK_MS, VERSION
};

class History {
 public:
  History() { static_cast<void>(word("")); }

  /// Adds the lines of `text`, which came from `source`.
  [[nodiscard]] Result<void> add(std::string_view text, const std::string& source);

  /// In the order in which they were added; of one party, its own order.
  [[nodiscard]] const std::vector<Event>& events() const noexcept { return events_; }
  [[nodiscard]] const std::string& text(Word word) const { return words_[word]; }

 private:
  [[nodiscard]] Word word(std::string_view text);
  [[nodiscard]] bool parse(std::string_view line);

  std::deque<std::string> words_;
  std::unordered_map<std::string_view, Word> numbers_;
  std::vector<Event> events_;
};

/// All files of the folder that end in .history.
[[nodiscard]] Result<History> load_history(const std::filesystem::path& folder);

}  // namespace mallbots::test
