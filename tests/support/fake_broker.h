// FakeBroker: the broker's slot duties without disk, socket and keeper, for tests of shm/ with all
// roles as threads over one mapping, or as forked processes over one memfd.
//
// All shared pages of one topic lie in one block (FakeMemory): board, knock page, session pages and
// a number of slot memories per partition; a slot id names a memory by its remainder. Calls of
// FakeBroker may come from any thread of the process that made it (a lock inside); what it hands
// out (parts, seats, cells) is used as shm/ says. An impossible request aborts the test program.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "shm/concurrent/append.h"
#include "shm/concurrent/partition.h"
#include "shm/concurrent/read.h"
#include "shm/region/memory.h"

namespace mallbots::test {

struct FakeTopic {
  std::uint32_t partitions = 1;
  std::uint32_t slots = 4;      ///< K
  std::uint32_t memories = 12;  ///< per partition; those behind K take the place of replaced ones
  std::uint64_t slot_bytes = 64 * 1024;
  std::uint32_t sessions = 16;
  std::uint32_t ready = 2;  ///< how many slots pump() keeps unsealed, the open one included
  BootNanos stall_limit_ns = INT64_MAX;
  bool durable_follows = true;  ///< pump() moves the durable offset to what is committed
  bool shared = false;          ///< a memfd instead of plain memory: for fork()
};

/// The shared pages at one address; made anew for each mapping of them.
class FakeMemory final : public shm::SlotSource {
 public:
  FakeMemory(std::byte* base, const FakeTopic& topic) noexcept : base_(base), topic_(topic) {}
  [[nodiscard]] static std::size_t bytes(const FakeTopic& topic) noexcept;

  [[nodiscard]] shm::BoardHeader& header() const noexcept;
  [[nodiscard]] shm::PartitionBoard& board(PartitionIndex partition) const noexcept;
  [[nodiscard]] shm::KnockHeader& knock_header() const noexcept;
  [[nodiscard]] shm::KnockLine& knock(PartitionIndex partition) const noexcept;
  [[nodiscard]] shm::SessionPage& page(SessionIndex session) const noexcept;
  [[nodiscard]] shm::SlotMemory slot(std::uint32_t memory) const noexcept;

  /// Each session has one producer cell and three reader cells per partition.
  [[nodiscard]] shm::ProducerCell& producer_cell(SessionIndex session,
                                                 PartitionIndex partition = 0) const noexcept;
  [[nodiscard]] shm::ReaderCell& reader_cell(SessionIndex session, PartitionIndex partition = 0,
                                             std::uint32_t which = 0) const noexcept;
  [[nodiscard]] shm::ProducerSeat seat(SessionIndex session,
                                       PartitionIndex partition = 0) const noexcept;
  [[nodiscard]] shm::PartitionParts parts(SessionIndex session,
                                          PartitionIndex partition = 0) noexcept;

  [[nodiscard]] shm::SlotMemory map_slot(std::uint64_t slot_id) override;
  void drop_slot(shm::SlotMemory memory) override;
  /// From now on map_slot gives nothing (or something again).
  void refuse(bool yes) noexcept { refuse_.store(yes); }
  /// How often map_slot was asked, and how many slots were mapped and not dropped yet.
  [[nodiscard]] std::uint64_t asked() const noexcept { return asked_.load(); }
  [[nodiscard]] std::int64_t mapped() const noexcept { return mapped_.load(); }

 private:
  std::byte* base_;
  FakeTopic topic_;
  std::atomic<bool> refuse_{false};
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::int64_t> mapped_{0};
};

class FakeBroker {
 public:
  explicit FakeBroker(const FakeTopic& topic = {});
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;
  ~FakeBroker();

  [[nodiscard]] FakeMemory& memory() noexcept { return *memory_; }
  /// The memfd of a shared topic, which a forked child maps anew.
  [[nodiscard]] int memory_fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const FakeTopic& topic() const noexcept { return topic_; }

  /// All that is due: bases, ready slots, orphans, durable offset, stalled holders. True if a slot
  /// was posted.
  bool pump();
  /// Seals the open slot whoever holds it.
  void seal_open(PartitionIndex partition = 0);
  void session_died(SessionIndex session);
  /// The session says that it is in no append now: memory it was fenced in may be re-used.
  void reattach(SessionIndex session);
  void revoke(SessionIndex session);
  [[nodiscard]] shm::Lease grant_lease(SessionIndex session, PartitionIndex partition = 0);
  /// Drain: closes the board and seals everything.
  void close();
  /// The topic is deleted.
  void remove();
  void set_durable(Offset offset, PartitionIndex partition = 0);
  void set_readonly(ErrorCode why, PartitionIndex partition = 0);
  /// Takes all pins of the session away.
  void revoke_pins(SessionIndex session);

  [[nodiscard]] SlotGen open_slot(PartitionIndex partition = 0);
  [[nodiscard]] SlotGen oldest_slot(PartitionIndex partition = 0);
  /// Slot `slot_gen`, which must be on the board.
  [[nodiscard]] shm::SlotMemory find(SlotGen slot_gen, PartitionIndex partition = 0);
  [[nodiscard]] Offset end_offset(PartitionIndex partition = 0);
  /// The highest sequence of a session that the log holds, as a broker judges it after its death.
  [[nodiscard]] std::uint64_t accepted_sequence(SessionIndex session, PartitionIndex partition = 0);
  [[nodiscard]] std::size_t orphans(PartitionIndex partition = 0);
  [[nodiscard]] std::size_t notes(PartitionIndex partition = 0);

 private:
  struct Slot {
    SlotGen slot_gen;
    std::uint32_t memory;
    bool zombie = false;  ///< a living session was fenced in it: may store into it for ever
  };
  struct Note {
    SessionIndex session;
    SlotGen slot_gen;
    std::uint32_t tail_units;
    std::uint32_t memory;
  };
  struct Partition {
    std::deque<Slot> slots;  ///< ascending without gaps
    std::vector<Slot> orphans;
    std::vector<std::uint32_t> free;
    std::vector<Note> notes;
    std::uint64_t ids = 0;
    std::uint64_t watched_word = 0;
    std::uint64_t watched_acquires = 0;
    BootNanos watched_since = 0;
  };

  [[nodiscard]] shm::SlotHeader& header_of(const Slot& slot) const noexcept {
    return *memory_->slot(slot.memory).header;
  }
  [[nodiscard]] bool is_pinned(PartitionIndex partition, SlotGen slot_gen) const noexcept;
  [[nodiscard]] Slot& open_of(Partition& state) const noexcept;
  void set_bases(Partition& state) noexcept;
  bool add_slot(PartitionIndex partition, Partition& state);
  [[nodiscard]] std::optional<std::uint32_t> retire_oldest(PartitionIndex partition,
                                                           Partition& state);
  bool fence_slot(PartitionIndex partition, Partition& state, Slot& slot);
  void fence_holder(PartitionIndex partition, Partition& state, SessionIndex holder);
  void fence_stalled(PartitionIndex partition, Partition& state);
  void release_orphans(PartitionIndex partition, Partition& state);
  void drop_notes(Partition& state, SessionIndex session);
  void wake_all(PartitionIndex partition) noexcept;

  FakeTopic topic_;
  shm::UniqueFd fd_;
  shm::Mapping mapping_;
  std::unique_ptr<std::byte[], void (*)(std::byte*)> plain_;
  std::unique_ptr<FakeMemory> memory_;
  std::mutex lock_;
  std::vector<Partition> partitions_;
  std::uint64_t leases_ = 0;
};

/// A thread that pumps until it is destroyed.
class PumpThread {
 public:
  explicit PumpThread(FakeBroker& broker);

 private:
  std::jthread thread_;
};

}  // namespace mallbots::test
