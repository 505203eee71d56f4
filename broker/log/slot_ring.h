// SlotRing: the hot memory of one partition, slot by slot: what is open, what is ready ahead, what
// is sealed and still readable, what was replaced and not yet let go (protocol sections 2, 5).
//
// Control thread only. Everything here may be cut short by a crash of the broker: the next one
// finds the memory with the keeper and goes on (take_over). Slots are put with the keeper before
// they stand on the board, and removed after they do not.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "broker/keeper/link.h"
#include "broker/log/session_pages.h"
#include "broker/log/slot_share.h"
#include "shm/base/clock.h"
#include "shm/concurrent/slot_word.h"
#include "shm/layout/board.h"
#include "shm/layout/registry.h"
#include "shm/region/memory.h"

namespace mallbots::broker {

/// One slot as the broker has it.
struct HotSlot {
  SlotGen slot_gen = 0;
  std::uint64_t slot_id = 0;
  shm::UniqueFd fd;
  shm::Mapping mapping;
  bool populated = false;
  /// Sealed under a holder that may live, or by a predecessor that did not say: somebody may still
  /// store into it, so it is never initialised in place.
  bool fenced = false;

  [[nodiscard]] shm::SlotHeader& header() const noexcept { return *mapping.as<shm::SlotHeader>(); }
  [[nodiscard]] std::span<const std::byte> data() const noexcept {
    return {mapping.data() + shm::kPageBytes, mapping.size_bytes() - shm::kPageBytes};
  }
};

/// Shared by all rings of an instance.
struct RingHost {
  KeeperLink& keeper;
  SessionPages& sessions;
  shm::Registry& registry;
  SlotShare* share = nullptr;  ///< of this partition, if another thread appends to it
};

class SlotRing {
 public:
  struct Options {
    PartitionId partition_id{};
    LogEpoch log_epoch = 1;
    std::uint32_t slots = 4;
    std::uint64_t slot_bytes = 0;
    BootNanos stall_limit_ns = kSecond;
  };
  SlotRing(const RingHost& host, shm::PartitionBoard& board, const Options& options) noexcept
      : host_(host), board_(board), options_(options) {}

  /// A partition without memory: slot 0 begins at `base`. Errors: MemoryFull, LimitReached.
  [[nodiscard]] Result<void> start(shm::LogEnd base);
  /// A predecessor's memory, as the board and the keeper have it. Corrupt: it contradicts itself;
  /// then it stays with the keeper as it is, and the ring has no slots.
  [[nodiscard]] Result<void> take_over();

  /// Sets bases behind sealed slots, keeps a slot READY behind the open one, retires what
  /// `may_retire` allows. True if the board changed (knock `room` and `data`). `may_retire(n)`:
  /// slot n is on disk, with no I/O in flight, or needs not be.
  [[nodiscard]] bool pump(const std::function<bool(SlotGen slot_gen)>& may_retire);

  /// An unsealed slot whose word a session holds without any sign of life for stall.limit is
  /// sealed. True if one was. `next_look` is lowered to when to look again.
  [[nodiscard]] bool fence_stalled(BootNanos now, BootNanos& next_look);
  void set_stall_limit(BootNanos limit_ns) noexcept { options_.stall_limit_ns = limit_ns; }
  /// The process of `dead` is proven dead: frees words it holds, voids halves of its cells that no
  /// commit confirmed. Call before its page goes.
  void session_died(SessionIndex dead, std::span<const std::uint32_t> producer_cells);
  /// Seals slot `slot_gen` whoever holds it (bad record, drain, take-over of a lease).
  void seal(SlotGen slot_gen);
  /// Fences whoever holds a word (a lease has moved).
  void fence_holders();
  /// Fences that session where it holds a word (a seat of it was taken, or its lease has ended).
  void fence_session(SessionIndex session);
  /// The last sequence that the partition accepted through that cell; 0: none. Its producer must
  /// not append meanwhile.
  [[nodiscard]] std::uint64_t last_sequence(SessionIndex session, std::uint32_t cell);
  /// The partition is gone: nobody asks for its notes any more.
  void forget_notes();
  /// The partition is gone: the keeper lets go of its slots.
  void forget_slots();
  /// Seals all that is open or ready, and posts nothing any more. A holder keeps its word until
  /// `patient` is false. True once everything is sealed.
  [[nodiscard]] bool close(bool patient);

  [[nodiscard]] const std::deque<HotSlot>& slots() const noexcept { return slots_; }
  [[nodiscard]] HotSlot* find(SlotGen slot_gen) noexcept;
  [[nodiscard]] HotSlot* find_id(std::uint64_t slot_id) noexcept;
  /// The first slot that is not sealed.
  [[nodiscard]] SlotGen open_slot_gen() const noexcept { return open_; }
  /// Offset behind the last committed record.
  [[nodiscard]] Offset end_offset() const noexcept;
  /// First offset still in memory.
  [[nodiscard]] Offset oldest_offset() const noexcept;
  /// Bytes of memory that were touched, and those of replaced slots still pinned.
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept;
  [[nodiscard]] std::uint64_t orphan_bytes() const noexcept;
  /// Takes the pins of the oldest replaced slot away, or lets go of it if only a fenced holder may
  /// still have it mapped. False: there is none.
  bool revoke_oldest_orphan();
  /// Touches what is appended to next, if another thread of the broker does.
  void populate_ahead();
  /// Touches all pages, so that memory is charged to the broker and not to the client.
  [[nodiscard]] Result<void> populate(HotSlot& slot);

 private:
  [[nodiscard]] Result<void> take_slots();
  [[nodiscard]] Result<HotSlot> make_slot(SlotGen slot_gen, std::optional<shm::LogEnd> base);
  [[nodiscard]] bool add_ready();
  [[nodiscard]] bool retire_oldest(std::optional<HotSlot>& reusable);
  [[nodiscard]] bool is_pinned(SlotGen slot_gen) const;
  [[nodiscard]] bool has_note(std::uint64_t slot_id) const;
  void note_fence(HotSlot& slot, SessionIndex holder, std::uint32_t tail_units);
  void make_room_for_note();
  void drop_stale_notes();
  void remove_note(const HotSlot& slot, SessionIndex holder);
  [[nodiscard]] std::vector<shm::FenceNote*> notes();
  void drop(HotSlot& slot);
  bool release_orphans();
  void fence_slot(HotSlot& slot);
  bool pass_base(HotSlot& from);
  [[nodiscard]] std::uint32_t data_units() const noexcept {
    return static_cast<std::uint32_t>(options_.slot_bytes / shm::kUnitBytes);
  }

  RingHost host_;
  shm::PartitionBoard& board_;
  Options options_;
  std::deque<HotSlot> slots_;       ///< ascending, without gaps; the last one or two are unsealed
  std::vector<HotSlot> orphans_;    ///< off the board, still pinned or held by a zombie
  std::vector<HotSlot> untouched_;  ///< what a take-over found to contradict itself
  SlotGen open_ = 0;
  bool closed_ = false;
  // The stall watch: who held which word since when.
  std::uint64_t watched_word_ = 0;
  std::uint64_t watched_acquires_ = 0;
  BootNanos watched_since_ = 0;
};

}  // namespace mallbots::broker
