// RingLane: one ingest ring as its producer has it: entries under way, their data, their answers.
//
// Its owner's thread. Waits only in wait(). The ring outlives the session that opened it as long as
// this object does, so that an outcome can be asked for after the broker is gone.
//
// The answers are the broker's; nothing here is checked twice.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "clients/internal/topic_memory.h"
#include "shm/concurrent/encode.h"
#include "shm/concurrent/ingest.h"

namespace mallbots::client {

/// What is handed in as one entry; spans are read during the call only.
struct RingRequest {
  shm::IngestKind kind = shm::IngestKind::kAppend;
  std::span<const shm::RecordInput> records{};
  std::span<const std::byte> request{};
  std::array<std::uint64_t, shm::kIngestArguments> arguments{};
  std::uint64_t sequence = 0;  ///< 0: the next one
  std::uint64_t expected = kNoOffset;
  bool await_durable = false;
};

class RingLane {
 public:
  /// `producer_id` 0: a new identity. Waits until what an earlier owner of the same identity handed
  /// in has its answers. Errors: as the broker answers OpenRing, Timeout, Corrupt, BadMessage.
  [[nodiscard]] static Result<std::shared_ptr<RingLane>> open(const TopicMemory& topic,
                                                              const shm::OpenRing& wanted,
                                                              Deadline deadline);

  enum class Step : std::uint8_t { kHandedIn, kFull, kTooLarge, kClosed };
  /// Never waits; a system call only if the sequencer sleeps. kHandedIn: `number` names the entry.
  [[nodiscard]] Step hand_in(const RingRequest& request, std::uint64_t& number) noexcept;
  /// Of an entry since whose hand_in() fewer than 128 others followed.
  [[nodiscard]] std::optional<shm::IngestOutcome> answer(std::uint64_t number) const noexcept {
    return shm::load_answer(ring(), number);
  }
  /// True: it is not in the log and never will be.
  [[nodiscard]] bool withdraw(std::uint64_t number) noexcept {
    return shm::withdraw(ring(), number);
  }
  /// True: the broker gives no answer any more. Ask for one once more after it.
  [[nodiscard]] bool is_closed() const noexcept { return shm::is_closed(ring()); }
  /// Until entry `number` is answered, the ring closed, or the deadline; as the strategy says.
  void wait(std::uint64_t number, shm::WaitStrategy strategy, Deadline deadline) noexcept;
  /// Looks for the answer as fast as the core can, that often.
  [[nodiscard]] bool spin(std::uint64_t number, std::uint32_t polls) const noexcept;

  /// Takes the answers that came; true if nothing is under way.
  bool harvest() noexcept;
  /// The oldest entry without an answer; only while harvest() is false.
  [[nodiscard]] std::uint64_t oldest() const noexcept { return oldest_; }

  [[nodiscard]] std::uint32_t place() const noexcept { return place_; }
  [[nodiscard]] std::uint64_t producer_id() const noexcept { return producer_id_; }
  /// Last sequence accepted, as far as answers were harvested.
  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return accepted_; }
  /// The last record that is known to be in the log; kNoOffset: none.
  struct LastRecord {
    Offset offset = kNoOffset;
    UnixMillis timestamp_ms = 0;
    LogEpoch log_epoch = 0;  ///< of the memory that the ring belongs to
  };
  [[nodiscard]] LastRecord last_record() const noexcept { return last_; }
  /// As it was before the last entry that appended something.
  [[nodiscard]] LastRecord record_before() const noexcept { return before_; }

 private:
  /// What this side remembers of an entry under way.
  struct Place {
    std::uint64_t last_sequence = 0;  ///< of its records; 0: it has none
    std::uint32_t data_at = 0;
    std::uint32_t records = 0;
  };
  explicit RingLane(const TopicMemory& topic) : topic_(&topic.header()) {}
  [[nodiscard]] shm::IngestRing& ring() const noexcept { return *memory_.as<shm::IngestRing>(); }
  [[nodiscard]] std::byte* data() const noexcept {
    return memory_.data() + sizeof(shm::IngestRing);
  }
  [[nodiscard]] Place& place_of(std::uint64_t number) noexcept {
    return places_[number % shm::kIngestEntries];
  }
  [[nodiscard]] bool find_room(std::size_t bytes) noexcept;
  [[nodiscard]] bool sleeps(std::uint64_t number) const noexcept;

  const shm::BoardHeader* topic_;
  shm::Mapping memory_;
  shm::UniqueFd wake_;
  std::uint32_t data_bytes_ = 0;
  std::uint32_t place_ = 0;
  std::uint64_t producer_id_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t oldest_ = 0;
  std::size_t write_at_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t assigned_ = 0;  ///< highest sequence under way
  LastRecord last_;
  LastRecord before_;
  std::array<Place, shm::kIngestEntries> places_{};
};

}  // namespace mallbots::client
