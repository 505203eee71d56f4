// QueueState: one group in queue mode on one partition: which records are done, held, waiting, and
// which may be handed out next. A state machine without I/O, clock or thread; `now` is boot time.
//
//                    grant                          ack
//       waiting ───────────────▶ held ───────────────────────────▶ done
//         ▲  due later           │ │                                ▲
//         └──────────────────────┘ └──────────▶ dead ─────▶ buried ─┘
//            nack, lock over,       reject, or     letter     letter
//            session ended          last attempt   appended   durable
//
// Every change of it is one of the functions marked "change": the caller journals the same change,
// so a replay of the journal makes the same state (FORMAT.md, "Queue journal").
//
// What holds at every moment (tested by random runs against a naive model):
//   - a record is held by one session at most; what is done is never handed out again
//   - of the records with one key only the first that is not done is handed out
//   - of several that may be handed out the oldest is first
//   - the window never reaches beyond low mark + kWindow
// Offsets outside the window, and changes that do not fit the state, come from a damaged journal or
// a confused client: they are ignored or refused, never a CHECK.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "shm/base/clock.h"
#include "shm/base/error.h"
#include "shm/base/ids.h"

namespace mallbots::broker {

/// How far above its low mark a queue looks.
inline constexpr Offset kQueueWindow = 65'536;
/// Texts of a failure are cut at this.
inline constexpr std::size_t kFailureTextBytes = 1024;
/// All texts of one queue's window; beyond it a failure keeps this of its type and handler only.
inline constexpr std::size_t kQueueNoteBytes = std::size_t{4} << 20;
inline constexpr std::size_t kShortTextBytes = 64;

/// Why a delivery did not end in an ack.
struct DeliveryFailure {
  std::string type;
  std::string text;
  std::string handler;
  UnixMillis time_ms = 0;
  friend bool operator==(const DeliveryFailure&, const DeliveryFailure&) = default;
};

/// The first and the last failure of one record.
struct FailureNote {
  DeliveryFailure first;
  DeliveryFailure last;
  friend bool operator==(const FailureNote&, const FailureNote&) = default;
};

enum class DeathReason : std::uint8_t { kRejected = 1, kAttempts };

/// Who holds a record. The token proves, also after a restart, that it is the same session.
struct Holder {
  SessionIndex session = 0;
  std::uint64_t token = 0;
  friend bool operator==(const Holder&, const Holder&) = default;
};

/// When a record may be handed out again. Boot time rules; wall time and delay are for a start that
/// knows no boot time of before: then it waits for what is left by the wall clock, at most `delay`.
struct DueTime {
  BootNanos boot_ns = 0;  ///< 0: at once
  UnixMillis wall_ms = 0;
  std::uint32_t delay_ms = 0;
  friend bool operator==(const DueTime&, const DueTime&) = default;
};

enum class ItemState : std::uint8_t { kWaiting = 0, kHeld, kDead, kBuried, kDone };

/// One record of the window, as a snapshot or a test sees it.
struct ItemView {
  Offset offset = 0;
  ItemState state = ItemState::kWaiting;
  std::uint32_t attempts = 0;
  Holder holder;                                ///< held
  DueTime due;                                  ///< waiting
  DeathReason reason = DeathReason::kRejected;  ///< dead, buried
  Offset letter = 0;                            ///< buried: its dead letter
  const FailureNote* note = nullptr;
};

class QueueState {
 public:
  explicit QueueState(Offset low = 0) : low_(low), loaded_end_(low) {}

  // The records
  // ---------------------------------------------------------------------------------------

  /// The low mark: everything below is done.
  [[nodiscard]] Offset low() const noexcept { return low_; }
  /// Records below this are known by their key.
  [[nodiscard]] Offset loaded_end() const noexcept { return loaded_end_; }
  [[nodiscard]] bool has_room() const noexcept { return loaded_end_ < low_ + kQueueWindow; }
  /// The record at `offset` >= loaded_end(); what lies between is none that is handed out, and
  /// done. `key`: a hash of the key; 0: it has none.
  void load(Offset offset, std::uint64_t key);
  /// Up to `offset` there are no more records to be handed out.
  void skip_to(Offset offset);

  // Changes
  // ---------------------------------------------------------------------------------------

  /// change: handed to `holder`; attempt = attempts() + 1 counts from here.
  void grant(Offset offset, std::uint32_t attempt, const Holder& holder, BootNanos lock_until);
  /// change
  void done(Offset offset);
  /// change: waits until it is due. `counts` false: nobody looked at it, the attempt is taken back.
  void put_back(Offset offset, const DueTime& due, bool counts, const DeliveryFailure* failure);
  /// change: nobody is to have it any more; a dead letter is to be written.
  void die(Offset offset, DeathReason reason, const DeliveryFailure* failure);
  /// change: its dead letter is at `letter`, perhaps not durable yet.
  void bury(Offset offset, Offset letter);
  /// change: all below `low` is done; at or above it everything begins anew if `low` is lower.
  void move_low(Offset low);
  /// change: as a snapshot has it.
  void restore(const ItemView& item);

  // Looking, and what needs no journal
  // ---------------------------------------------------------------------------------------

  struct Next {
    Offset offset = 0;
    std::uint32_t attempt = 0;
  };
  /// The oldest that may be handed out now; nothing if there is none. Stays until it is granted.
  /// Those with their last attempt before them (`last_chance`) are kept apart: they are to be
  /// handed out alone, so that a message that kills its consumer takes no others with it.
  [[nodiscard]] std::optional<Next> next_ready(bool last_chance);
  /// Attempts after which a failure is the end; 0: none.
  void set_max_deliveries(std::uint32_t count);
  [[nodiscard]] std::uint32_t max_deliveries() const noexcept { return max_deliveries_; }

  /// kNone: `holder`'s session has it with that attempt. Else NotHeld or AlreadySettled.
  [[nodiscard]] ErrorCode held_by(Offset offset, std::uint32_t attempt, SessionIndex session) const;
  void extend(Offset offset, BootNanos lock_until);
  [[nodiscard]] std::optional<ItemView> find(Offset offset) const;

  /// Makes what is due by `now` ready.
  void wake(BootNanos now);
  /// One record whose lock is over by `now`; it is still held.
  [[nodiscard]] std::optional<Offset> expired(BootNanos now);
  /// When wake() or expired() is next worth calling; INT64_MAX: never.
  [[nodiscard]] BootNanos next_time();

  /// In the order of their offsets.
  void for_each(const std::function<void(const ItemView&)>& visit) const;
  /// Those in that state only; cheap if there are none.
  [[nodiscard]] std::vector<ItemView> all_in(ItemState state) const;
  /// Done, from low() on, a bit each; ends with the last one set.
  [[nodiscard]] std::vector<bool> done_bits() const;

  [[nodiscard]] std::uint32_t count(ItemState state) const noexcept {
    return counts_[static_cast<std::size_t>(state)];
  }
  /// Waiting for its time.
  [[nodiscard]] std::uint32_t delayed() const noexcept { return delayed_count_; }
  /// Of the texts of failures.
  [[nodiscard]] std::size_t note_bytes() const noexcept { return note_bytes_; }
  /// Of the window and the times of its locks.
  [[nodiscard]] std::size_t window_bytes() const noexcept {
    return items_.size() * sizeof(Item) + locks_.size() * sizeof(Timed);
  }

 private:
  struct Item {
    std::uint64_t key = 0;
    BootNanos time = 0;  ///< held: lock until; waiting: due, 0: now
    std::uint64_t token = 0;
    std::uint32_t attempts = 0;
    std::uint32_t next = 0;  ///< distance to the next of the same key; 0: none
    SessionIndex session = 0;
    ItemState state = ItemState::kWaiting;
    bool loaded : 1 = false;
    bool blocked : 1 = false;  ///< one of its key before it is not done
    bool listed : 1 = false;   ///< in ready_ or last_
    bool delayed : 1 = false;
  };
  /// What few items have.
  struct More {
    DueTime due;
    DeathReason reason = DeathReason::kRejected;
    Offset letter = 0;
    std::optional<FailureNote> note;
  };
  using Timed = std::pair<BootNanos, Offset>;
  template <class T>
  using Heap = std::priority_queue<T, std::vector<T>, std::greater<>>;

  [[nodiscard]] Item* at(Offset offset) noexcept;
  [[nodiscard]] const Item* at(Offset offset) const noexcept;
  /// Makes the window reach `offset`; null beyond it.
  [[nodiscard]] Item* reach(Offset offset);
  void set_state(Item& item, ItemState state) noexcept;
  void finish(Item& item, Offset offset);
  void unblock_next(Offset offset);
  void make_ready(Item& item, Offset offset);
  void list(Item& item, Offset offset);
  void note_lock(BootNanos until, Offset offset);
  void note_failure(Offset offset, const DeliveryFailure* failure);
  /// As much of the texts as there is room for.
  [[nodiscard]] DeliveryFailure kept_of(const DeliveryFailure& failure) const;
  void forget_more(Offset offset);
  void advance();
  [[nodiscard]] ItemView view(const Item& item, Offset offset) const;
  [[nodiscard]] bool has_last_chance(const Item& item) const noexcept {
    return max_deliveries_ > 1 && item.attempts + 1 >= max_deliveries_;
  }

  Offset low_;
  Offset loaded_end_;
  std::uint32_t max_deliveries_ = 0;
  std::deque<Item> items_;  ///< from low_ on
  std::map<Offset, More> more_;
  std::unordered_map<std::uint64_t, Offset> last_of_key_;
  Heap<Offset> ready_;
  Heap<Offset> last_;
  Heap<Timed> due_;
  Heap<Timed> locks_;
  std::uint32_t counts_[5] = {};
  std::uint32_t delayed_count_ = 0;
  std::size_t note_bytes_ = 0;
};

}  // namespace mallbots::broker
