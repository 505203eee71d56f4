// DeadLetterBox: the letters that one group left for one topic (dead_letter.h): reads them, replays
// them to where they came from, purges them. README.md, "Which dead letters are done", has the form
// of the marks.
//
// Who calls: one thread. Replay and purge may be interrupted at any moment and repeated: no letter
// is lost, and one that is marked is not replayed again. After a death between the publication of
// letters and their mark, those (at most kLettersPerMark) are published twice.
//
// A group that has no letters yet is an empty box. Errors: UnknownTopic, UnknownGroup,
// NotPermitted, ConnectionLost, UnknownLetter, Conflict (another replay or purge is at work), and
// those of appending to the topic that a letter goes back to. What was marked before an error is
// done.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

inline constexpr std::size_t kLettersPerMark = 64;

/// Place of a letter in the letters' topic; `PARTITION:OFFSET`.
struct LetterId {
  PartitionIndex partition = 0;
  Offset offset = 0;
  friend auto operator<=>(const LetterId&, const LetterId&) = default;
  [[nodiscard]] std::string text() const;
};
/// Nothing: it is not of that form.
[[nodiscard]] std::optional<LetterId> parse_letter_id(std::string_view text);

enum class LetterState : std::uint8_t { kLeft, kReplayed, kPurged };

/// A view, valid during the visit that it is given to.
struct Letter {
  LetterId id;
  LetterState state = LetterState::kLeft;
  const client::Message* message = nullptr;

  /// A header, or empty.
  [[nodiscard]] std::string_view header(std::string_view name) const {
    return message->header(name).value_or(std::string_view{});
  }
};

/// What must all be so; what is not set does not count.
struct LetterFilter {
  std::vector<std::string> ids;  ///< letter ids or message ids; one of them
  std::optional<std::string> reason;
  std::optional<std::string> key;
  std::optional<std::string> type;
  std::optional<std::string> handler;
  std::optional<UnixMillis> since_ms;  ///< died at or after
  std::optional<UnixMillis> until_ms;  ///< died before

  [[nodiscard]] bool is_empty() const noexcept;
  [[nodiscard]] bool matches(const Letter& letter) const;
};

class DeadLetterBox {
 public:
  [[nodiscard]] static Result<std::unique_ptr<DeadLetterBox>> open(client::Connection& connection,
                                                                   const std::string& topic,
                                                                   const std::string& group);

  /// Calls `visit` with each durable letter, done ones too, in the order of each partition, until
  /// it says false.
  [[nodiscard]] Result<void> each(const std::function<bool(const Letter&)>& visit);
  /// UnknownLetter, naming the first one, if an id of the filter is not that of a letter left.
  [[nodiscard]] Result<void> check_ids(const LetterFilter& filter);

  struct Outcome {
    std::uint64_t done = 0;
    bool stopped = false;  ///< `go_on` said so
  };
  /// Asked between marks, with how many letters are done.
  using GoOn = std::function<bool(std::uint64_t done)>;
  /// Publishes the letters left that match to where they came from and marks them; an unknown id
  /// of the filter is an error before anything is done.
  [[nodiscard]] Result<Outcome> replay(const LetterFilter& filter, const GoOn& go_on);
  /// Marks them.
  [[nodiscard]] Result<Outcome> purge(const LetterFilter& filter, const GoOn& go_on);

  /// Letters that could not be read (Damaged) since the box was opened; nothing: none.
  [[nodiscard]] const std::optional<Error>& unreadable() const noexcept { return unreadable_; }

 private:
  explicit DeadLetterBox(client::Connection& connection) : connection_(connection) {}

  struct Range {
    Offset last = 0;
    LetterState state = LetterState::kLeft;
  };
  [[nodiscard]] LetterState state_of(const LetterId& id) const;
  void add_mark(std::string_view ranges, LetterState state);
  [[nodiscard]] Result<void> read_marks();
  [[nodiscard]] Result<void> read_mark_records(client::Consumer& consumer, Offset end);
  [[nodiscard]] Result<void> check_no_other_mark();
  [[nodiscard]] Result<void> open_marks();
  [[nodiscard]] Result<void> write_mark(std::span<const LetterId> ids, LetterState state);
  [[nodiscard]] Result<void> read(const std::function<Result<bool>(std::vector<Letter>&)>& visit);
  [[nodiscard]] Result<Outcome> finish(const LetterFilter& filter, LetterState state,
                                       const GoOn& go_on);
  struct Published {
    std::size_t letters = 0;  ///< from the front; durable where the topic can be
    std::optional<Error> error;
  };
  [[nodiscard]] Published publish(std::span<const Letter> letters);
  [[nodiscard]] Result<client::Receipt> publish_one(const Letter& letter, Deadline deadline);
  [[nodiscard]] Result<client::Producer*> producer_for(const std::string& topic);

  client::Connection& connection_;
  std::string letters_;           ///< topic
  std::uint64_t letters_id_ = 0;  ///< of that topic; 0: there is none yet
  std::string marks_;             ///< topic
  bool has_marks_ = false;
  Offset marks_end_ = 0;  ///< behind the last mark read or written
  std::map<LetterId, Range> done_;
  std::unique_ptr<client::Consumer> ends_;  ///< asks how far the marks go
  std::unique_ptr<client::Producer> marker_;
  std::map<std::string, std::unique_ptr<client::Producer>> producers_;
  std::optional<Error> unreadable_;
};

}  // namespace mallbots::toolkit
