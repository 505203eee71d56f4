// Sequencer: the thread that serves the ingest rings of all sequenced topics, and the only one that
// appends to them what is handed in.
//
// One turn looks at every ring once, in turn, and serves up to 32 entries or 1 MiB of each, so a
// ring that is full, stuck or hostile delays the others by that much at most. A ring whose
// partition has no room now is looked at again after 1 ms, one beyond its session's rate when it
// has the right again. When nothing was found for `spin`, the sequencer parks: the boards say so,
// every ring is looked at once more, and it sleeps until an eventfd is written (protocol section 6,
// SYNC sequencer-park). An idle instance costs nothing, one without sequenced topics not even a
// thread.
//
// What belongs to whom:
//   this thread      rings (position, last sequence), lanes, admissions, the entry being served
//   control thread   slots (roll, retire, persist), boards, the registry, opening and closing
//   both             counters (atomics); what SlotShare guards
//
// All methods are the control thread's. Those that change what is served return when the sequencer
// has taken it over, between two rings: within about a millisecond. The thread ends with the
// object.
//
// Errors: LimitReached (no descriptor, no thread), MemoryFull.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "broker/sequencer/lane.h"
#include "broker/sequencer/rebuild.h"
#include "shm/base/clock.h"
#include "shm/layout/ingest.h"
#include "shm/layout/registry.h"

namespace mallbots::broker {

/// How much a session may hand in: bytes a second, an entry counts 256 at the least; what it did
/// not use for a tenth of a second is gone. Shared by the rings of a session; sequencer thread.
class IngestBudget {
 public:
  explicit IngestBudget(std::uint64_t bytes_per_second) noexcept
      : rate_(bytes_per_second), left_(static_cast<std::int64_t>(bytes_per_second / 10)) {}

  void spend(std::uint64_t bytes) noexcept { left_ -= static_cast<std::int64_t>(bytes + 256); }
  [[nodiscard]] bool is_spent() const noexcept { return left_ <= 0; }
  /// Earns what is due by now; when there will be something to spend (`now`: there is).
  [[nodiscard]] BootNanos refill(BootNanos now) noexcept;

 private:
  std::uint64_t rate_;
  std::int64_t left_;
  BootNanos refilled_ = 0;
};

/// A ring as the control thread hands it over.
struct RingParts {
  std::shared_ptr<shm::Mapping> memory;  ///< an IngestRing and its data
  std::uint32_t data_bytes = 0;
  PartitionId partition{};
  SessionIndex session = 0;
  std::uint64_t producer_id = 0;
  std::uint16_t producer_epoch = 0;
  std::uint64_t scope = 0;
  std::uint64_t last_sequence = 0;  ///< accepted so far
  Offset end_offset = 0;  ///< of what it has appended; 0: nothing, or memory has no record of it
  std::shared_ptr<IngestBudget> budget;
  /// After a restart: the first entry without an answer is in the log already.
  std::optional<AppendedBefore> appended_before;
};

struct SequencerCounters {
  std::atomic<std::uint64_t> entries{0};  ///< answered, however
  std::atomic<std::uint64_t> records{0};  ///< appended
  std::atomic<std::uint64_t> parks{0};
  std::array<std::atomic<std::uint64_t>, 128> refused{};  ///< by ErrorCode
};

class Sequencer {
 public:
  struct Options {
    int broker_eventfd = -1;  ///< wakes the control thread
    int wake_fd = -1;         ///< what clients write to wake the sequencer
    BootNanos spin_ns = 50'000;
  };
  [[nodiscard]] static Result<std::unique_ptr<Sequencer>> make(const Options& options);
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;
  ~Sequencer();

  /// Starts the thread, once. What is added before it, is there from its first turn on.
  [[nodiscard]] Result<void> serve();
  /// Rings of it may come from now on. Again is the same.
  void add_partition(PartitionId partition, const LaneParts& parts);
  /// Its rings are closed as they are; nothing is appended to it when this returns.
  void remove_partition(PartitionId partition);

  /// `ring` is its place in the registry; of a partition that was added.
  void add_ring(std::uint32_t ring, RingParts parts);
  /// `serve_rest`: what was handed in before is served first, in turns; else nothing more is.
  void close_ring(std::uint32_t ring, bool serve_rest);

  /// Another eventfd that wakes the sequencer: of a user who is not trusted with the shared one.
  [[nodiscard]] Result<void> watch(int eventfd);
  void forget(int eventfd);

  [[nodiscard]] const SequencerCounters& counters() const noexcept;

 private:
  class Thread;
  explicit Sequencer(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

}  // namespace mallbots::broker
