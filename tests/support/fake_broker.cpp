#include "tests/support/fake_broker.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "shm/base/check.h"
#include "shm/concurrent/cells.h"
#include "shm/concurrent/reclaim.h"

namespace mallbots::test {
namespace {

constexpr std::uint32_t kCellsPerPartition = 4;
constexpr std::uint64_t kPartitionSalt = 0x5EED'0000'0000'0001ULL;

std::size_t to_page(std::size_t bytes) noexcept {
  return (bytes + shm::kPageBytes - 1) / shm::kPageBytes * shm::kPageBytes;
}
std::size_t knock_at(const FakeTopic& topic) noexcept {
  return to_page(shm::board_bytes(topic.partitions));
}
std::size_t pages_at(const FakeTopic& topic) noexcept {
  return knock_at(topic) + to_page(shm::knock_bytes(topic.partitions));
}
std::size_t slots_at(const FakeTopic& topic) noexcept {
  return pages_at(topic) + topic.sessions * to_page(sizeof(shm::SessionPage));
}

}  // namespace

// Memory -----------------------------------------------------------------------------------------

std::size_t FakeMemory::bytes(const FakeTopic& topic) noexcept {
  return slots_at(topic) + std::size_t{topic.partitions} * topic.memories *
                               (shm::kPageBytes + to_page(topic.slot_bytes));
}

shm::BoardHeader& FakeMemory::header() const noexcept {
  return *reinterpret_cast<shm::BoardHeader*>(base_);
}
shm::PartitionBoard& FakeMemory::board(PartitionIndex partition) const noexcept {
  return reinterpret_cast<shm::PartitionBoard*>(base_ + sizeof(shm::BoardHeader))[partition];
}
shm::KnockHeader& FakeMemory::knock_header() const noexcept {
  return *reinterpret_cast<shm::KnockHeader*>(base_ + knock_at(topic_));
}
shm::KnockLine& FakeMemory::knock(PartitionIndex partition) const noexcept {
  return reinterpret_cast<shm::KnockLine*>(&knock_header() + 1)[partition];
}
shm::SessionPage& FakeMemory::page(SessionIndex session) const noexcept {
  return *reinterpret_cast<shm::SessionPage*>(base_ + pages_at(topic_) +
                                              session * to_page(sizeof(shm::SessionPage)));
}
shm::SlotMemory FakeMemory::slot(std::uint32_t memory) const noexcept {
  std::byte* const at =
      base_ + slots_at(topic_) + memory * (shm::kPageBytes + to_page(topic_.slot_bytes));
  return {reinterpret_cast<shm::SlotHeader*>(at), at + shm::kPageBytes};
}

shm::ProducerCell& FakeMemory::producer_cell(SessionIndex session,
                                             PartitionIndex partition) const noexcept {
  return page(session).cells[partition * kCellsPerPartition].producer;
}
shm::ReaderCell& FakeMemory::reader_cell(SessionIndex session, PartitionIndex partition,
                                         std::uint32_t which) const noexcept {
  return page(session).cells[partition * kCellsPerPartition + 1 + which].reader;
}
shm::ProducerSeat FakeMemory::seat(SessionIndex session, PartitionIndex partition) const noexcept {
  return {.cell = &producer_cell(session, partition),
          .author = {.producer_id = std::uint64_t{session} + 1}};
}
shm::PartitionParts FakeMemory::parts(SessionIndex session, PartitionIndex partition) noexcept {
  return {.topic = &header(),
          .board = &board(partition),
          .knock_header = &knock_header(),
          .knock = &knock(partition),
          .session = &page(session),
          .slots = this};
}

shm::SlotMemory FakeMemory::map_slot(std::uint64_t slot_id) {
  asked_.fetch_add(1);
  if (refuse_.load()) return {};
  mapped_.fetch_add(1);
  return slot(static_cast<std::uint32_t>(slot_id % (topic_.partitions * topic_.memories)));
}
void FakeMemory::drop_slot(shm::SlotMemory memory) {
  CHECK(memory.header != nullptr);
  mapped_.fetch_sub(1);
}

// Broker -----------------------------------------------------------------------------------------

FakeBroker::FakeBroker(const FakeTopic& topic)
    : topic_(topic),
      plain_(nullptr, [](std::byte* bytes) { std::free(bytes); }),
      partitions_(topic.partitions) {
  const std::size_t bytes = FakeMemory::bytes(topic_);
  std::byte* base = nullptr;
  if (topic_.shared) {
    auto fd = shm::create_memory("fake_broker", bytes);
    CHECK(fd.has_value());
    auto mapping = shm::Mapping::of(fd->get(), bytes, shm::Access::kReadWrite);
    CHECK(mapping.has_value());
    fd_ = std::move(*fd);
    mapping_ = std::move(*mapping);
    base = mapping_.data();
  } else {
    plain_.reset(static_cast<std::byte*>(std::aligned_alloc(shm::kPageBytes, bytes)));
    base = plain_.get();
    CHECK(base != nullptr);
    std::memset(base, 0, bytes);
  }
  memory_ = std::make_unique<FakeMemory>(base, topic_);
  shm::BoardHeader& header = memory_->header();
  header.page = {shm::kBoardMagic, shm::kLayoutVersion, shm::board_bytes(topic_.partitions)};
  header.partitions = topic_.partitions;
  header.slots = topic_.slots;
  header.slot_bytes = topic_.slot_bytes;
  header.record_max_bytes = static_cast<std::uint32_t>(topic_.slot_bytes / 2);
  header.stall_limit_ns = topic_.stall_limit_ns;
  header.state.store(static_cast<std::uint32_t>(shm::BoardState::kOpen));
  for (std::uint32_t session = 0; session < topic_.sessions; ++session)
    memory_->page(static_cast<SessionIndex>(session)).header.session = session;
  for (PartitionIndex index = 0; index < topic_.partitions; ++index) {
    shm::PartitionBoard& board = memory_->board(index);
    board.partition_id = kPartitionSalt + index;
    board.log_epoch = 1;
    for (shm::SlotEntry& entry : board.entries) entry.n.store(shm::kNoSlot);
    for (std::uint32_t i = 0; i < topic_.memories; ++i)
      partitions_[index].free.push_back((index + 1) * topic_.memories - 1 - i);
  }
  pump();
}

FakeBroker::~FakeBroker() = default;

bool FakeBroker::is_pinned(PartitionIndex partition, SlotGen slot_gen) const noexcept {
  const std::uint64_t pin = shm::pin_of(memory_->board(partition).partition_id, slot_gen);
  for (std::uint32_t session = 0; session < topic_.sessions; ++session)
    for (std::uint32_t which = 0; which + 1 < kCellsPerPartition; ++which)
      if (shm::is_pinned(memory_->reader_cell(static_cast<SessionIndex>(session), partition, which),
                         pin))
        return true;
  return false;
}

FakeBroker::Slot& FakeBroker::open_of(Partition& state) const noexcept {
  for (Slot& slot : state.slots)
    if (!shm::load_word_seq_cst(header_of(slot)).sealed()) return slot;
  return state.slots.back();
}

/// A slot behind a sealed one begins where that one ends.
void FakeBroker::set_bases(Partition& state) noexcept {
  for (std::size_t i = 1; i < state.slots.size(); ++i) {
    const Slot& before = state.slots[i - 1];
    const Slot& slot = state.slots[i];
    if (!shm::load_word_seq_cst(header_of(before)).sealed()) return;
    if (shm::load_base(header_of(slot), slot.slot_gen)) continue;
    const auto end = shm::log_end(header_of(before), before.slot_gen);
    CHECK(end.has_value());
    shm::store_base(header_of(slot), slot.slot_gen, *end);
  }
}

/// Memory for one more slot out of the oldest one, if that may go.
std::optional<std::uint32_t> FakeBroker::retire_oldest(PartitionIndex partition, Partition& state) {
  Slot& oldest = state.slots.front();
  shm::SlotHeader& header = header_of(oldest);
  shm::PartitionBoard& board = memory_->board(partition);
  const auto end = shm::log_end(header, oldest.slot_gen);
  if (state.slots.size() < 2 || !shm::load_word_seq_cst(header).sealed() || !end ||
      board.durable_offset.load() < end->next_offset)
    return std::nullopt;
  // set_bases has run: the next slot knows where it begins.
  bool busy = oldest.zombie || is_pinned(partition, oldest.slot_gen);
  if (!busy) {
    shm::mark_retiring(header, oldest.slot_gen);
    busy = is_pinned(partition, oldest.slot_gen);
    if (busy) shm::unmark_retiring(header);
  }
  if (busy && state.free.empty()) return std::nullopt;
  board.oldest_hint.store(oldest.slot_gen + 1);
  shm::withdraw_slot(board, topic_.slots, oldest.slot_gen);
  std::uint32_t memory = oldest.memory;
  if (busy) {
    state.orphans.push_back(oldest);
    memory = state.free.back();
    state.free.pop_back();
  }
  state.slots.pop_front();
  return memory;
}

bool FakeBroker::add_slot(PartitionIndex partition, Partition& state) {
  std::optional<std::uint32_t> memory;
  if (state.slots.size() == topic_.slots) {
    memory = retire_oldest(partition, state);
  } else if (!state.free.empty()) {
    memory = state.free.back();
    state.free.pop_back();
  }
  if (!memory) return false;
  shm::PartitionBoard& board = memory_->board(partition);
  Slot slot{state.slots.empty() ? 0 : state.slots.back().slot_gen + 1, *memory};
  std::optional<shm::LogEnd> base;
  if (slot.slot_gen == 0) base.emplace();
  shm::init_slot(header_of(slot),
                 {.slot_gen = slot.slot_gen,
                  .partition_id = PartitionId{board.partition_id},
                  .log_epoch = board.log_epoch,
                  .data_units = static_cast<std::uint32_t>(topic_.slot_bytes / shm::kUnitBytes),
                  .base = base});
  const std::uint64_t id = ++state.ids * topic_.partitions * topic_.memories + slot.memory;
  state.slots.push_back(slot);
  shm::post_slot(board, topic_.slots, slot.slot_gen, id);
  shm::wake_if_waited(memory_->knock(partition).room);
  return true;
}

/// Memory that a reader pinned or a zombie could store into, once neither is so any more.
void FakeBroker::release_orphans(PartitionIndex partition, Partition& state) {
  std::erase_if(state.orphans, [&](Slot& orphan) {
    shm::mark_retiring(header_of(orphan), orphan.slot_gen);
    if (orphan.zombie || is_pinned(partition, orphan.slot_gen)) return false;
    state.free.push_back(orphan.memory);
    return true;
  });
}

bool FakeBroker::fence_slot(PartitionIndex partition, Partition& state, Slot& slot) {
  set_bases(state);  // a slot sealed at tail 0 must know its own base first
  const bool fenced = shm::fence(
      header_of(slot), slot.slot_gen,
      [&](SessionIndex holder, std::uint32_t tail_units) {
        state.notes.push_back({holder, slot.slot_gen, tail_units, slot.memory});
        slot.zombie = true;
      },
      [&](SessionIndex) {
        state.notes.pop_back();
        slot.zombie = std::ranges::any_of(
            state.notes, [&](const Note& note) { return note.memory == slot.memory; });
      });
  if (fenced) {
    set_bases(state);
    wake_all(partition);
  }
  return fenced;
}

void FakeBroker::fence_holder(PartitionIndex partition, Partition& state, SessionIndex holder) {
  for (Slot& slot : state.slots)
    if (const shm::Word word = shm::load_word_seq_cst(header_of(slot));
        !word.sealed() && word.owned_by(holder))
      fence_slot(partition, state, slot);
}

void FakeBroker::fence_stalled(PartitionIndex partition, Partition& state) {
  Slot& open = open_of(state);
  const shm::Word word = shm::load_word_seq_cst(header_of(open));
  const shm::Lease lease{memory_->board(partition).lease.load()};
  if (!word.owned() || word.sealed() || (lease.held() && word.owned_by(lease.holder()))) {
    state.watched_word = 0;
    return;
  }
  const std::uint64_t acquires = memory_->page(word.owner()).header.acquires.load();
  const BootNanos now = boot_now_ns();
  if (state.watched_word != word.bits || state.watched_acquires != acquires) {
    state.watched_word = word.bits;
    state.watched_acquires = acquires;
    state.watched_since = now;
  } else if (now - state.watched_since >= topic_.stall_limit_ns) {
    fence_slot(partition, state, open);
    state.watched_word = 0;
  }
}

void FakeBroker::wake_all(PartitionIndex partition) noexcept {
  shm::KnockLine& knock = memory_->knock(partition);
  shm::wake_if_waited(knock.data);
  shm::wake_if_waited(knock.room);
  shm::wake_if_waited(knock.durable);
}

bool FakeBroker::pump() {
  const std::lock_guard guard{lock_};
  bool posted = false;
  if (memory_->header().state.load() != static_cast<std::uint32_t>(shm::BoardState::kOpen))
    return false;
  for (PartitionIndex index = 0; index < topic_.partitions; ++index) {
    Partition& state = partitions_[index];
    shm::PartitionBoard& board = memory_->board(index);
    if (state.slots.empty()) add_slot(index, state);
    set_bases(state);
    if (topic_.durable_follows) {
      const Slot& open = open_of(state);
      if (const auto end = shm::log_end(header_of(open), open.slot_gen);
          end && end->next_offset > board.durable_offset.load()) {
        board.durable_offset.store(end->next_offset);
        shm::wake_if_waited(memory_->knock(index).durable);
      }
    }
    release_orphans(index, state);
    const auto unsealed = [&] {
      return std::ranges::count_if(state.slots, [&](const Slot& slot) {
        return !shm::load_word_seq_cst(header_of(slot)).sealed();
      });
    };
    while (unsealed() < topic_.ready && add_slot(index, state)) posted = true;
    set_bases(state);
    board.open_hint.store(open_of(state).slot_gen);
    if (topic_.stall_limit_ns != INT64_MAX) fence_stalled(index, state);
  }
  return posted;
}

void FakeBroker::seal_open(PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  Partition& state = partitions_[partition];
  fence_slot(partition, state, open_of(state));
}

void FakeBroker::session_died(SessionIndex session) {
  const std::lock_guard guard{lock_};
  for (PartitionIndex index = 0; index < topic_.partitions; ++index) {
    Partition& state = partitions_[index];
    shm::ProducerCell& cell = memory_->producer_cell(session, index);
    const auto void_above = [&](SlotGen slot_gen, std::uint32_t tail_units) {
      for (const std::uint8_t half : {std::uint8_t{0}, std::uint8_t{1}})
        if (const auto stored = shm::load_sequence(cell, half);
            stored && stored->slot_gen == slot_gen && stored->end_units > tail_units)
          shm::void_sequence(cell, half);
    };
    for (Slot& slot : state.slots)
      shm::free_word_of_dead(header_of(slot), slot.slot_gen, session,
                             [&](std::uint32_t tail) { void_above(slot.slot_gen, tail); });
    for (const Note& note : state.notes)
      if (note.session == session) void_above(note.slot_gen, note.tail_units);
    drop_notes(state, session);
    for (std::uint32_t which = 0; which + 1 < kCellsPerPartition; ++which)
      shm::clear_cell(memory_->reader_cell(session, index, which));
    wake_all(index);
  }
}

void FakeBroker::drop_notes(Partition& state, SessionIndex session) {
  std::erase_if(state.notes, [&](const Note& note) { return note.session == session; });
  const auto judge = [&](Slot& slot) {
    slot.zombie = std::ranges::any_of(state.notes,
                                      [&](const Note& note) { return note.memory == slot.memory; });
  };
  std::ranges::for_each(state.slots, judge);
  std::ranges::for_each(state.orphans, judge);
}

void FakeBroker::reattach(SessionIndex session) {
  const std::lock_guard guard{lock_};
  for (Partition& state : partitions_) drop_notes(state, session);
}

void FakeBroker::revoke(SessionIndex session) {
  const std::lock_guard guard{lock_};
  memory_->page(session).header.revoked.store(1);
  for (PartitionIndex index = 0; index < topic_.partitions; ++index)
    fence_holder(index, partitions_[index], session);
}

shm::Lease FakeBroker::grant_lease(SessionIndex session, PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  shm::PartitionBoard& board = memory_->board(partition);
  const shm::Lease old{board.lease.load()};
  const shm::Lease lease = shm::Lease::of(++leases_, session);
  board.lease.store(lease.bits);
  if (old.held()) fence_holder(partition, partitions_[partition], old.holder());
  return lease;
}

void FakeBroker::close() {
  const std::lock_guard guard{lock_};
  memory_->header().state.store(static_cast<std::uint32_t>(shm::BoardState::kClosed));
  for (PartitionIndex index = 0; index < topic_.partitions; ++index) {
    for (Slot& slot : partitions_[index].slots) fence_slot(index, partitions_[index], slot);
    wake_all(index);
  }
}

void FakeBroker::remove() {
  const std::lock_guard guard{lock_};
  memory_->header().state.store(static_cast<std::uint32_t>(shm::BoardState::kGone));
  for (PartitionIndex index = 0; index < topic_.partitions; ++index) {
    Partition& state = partitions_[index];
    for (Slot& slot : state.slots) {
      fence_slot(index, state, slot);
      shm::withdraw_slot(memory_->board(index), topic_.slots, slot.slot_gen);
    }
    wake_all(index);
  }
}

void FakeBroker::set_durable(Offset offset, PartitionIndex partition) {
  memory_->board(partition).durable_offset.store(offset);
  shm::wake_if_waited(memory_->knock(partition).durable);
}

void FakeBroker::set_readonly(ErrorCode why, PartitionIndex partition) {
  memory_->board(partition).readonly.store(static_cast<std::uint64_t>(why));
}

void FakeBroker::revoke_pins(SessionIndex session) {
  const std::lock_guard guard{lock_};
  for (PartitionIndex index = 0; index < topic_.partitions; ++index)
    for (std::uint32_t which = 0; which + 1 < kCellsPerPartition; ++which) {
      shm::ReaderCell& cell = memory_->reader_cell(session, index, which);
      for (const auto& pin : cell.pins)
        if (const std::uint64_t held = pin.load(); held != 0) shm::revoke_pin(cell, held);
    }
}

SlotGen FakeBroker::open_slot(PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  return open_of(partitions_[partition]).slot_gen;
}

SlotGen FakeBroker::oldest_slot(PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  return partitions_[partition].slots.front().slot_gen;
}

shm::SlotMemory FakeBroker::find(SlotGen slot_gen, PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  for (const Slot& slot : partitions_[partition].slots)
    if (slot.slot_gen == slot_gen) return memory_->slot(slot.memory);
  CHECK(!"that slot is on the board");
  return {};
}

Offset FakeBroker::end_offset(PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  Partition& state = partitions_[partition];
  set_bases(state);
  const Slot& open = open_of(state);
  const auto end = shm::log_end(header_of(open), open.slot_gen);
  CHECK(end.has_value());
  return end->next_offset;
}

std::uint64_t FakeBroker::accepted_sequence(SessionIndex session, PartitionIndex partition) {
  std::uint64_t highest = 0;
  for (const std::uint8_t half : {std::uint8_t{0}, std::uint8_t{1}})
    if (const auto stored = shm::load_sequence(memory_->producer_cell(session, partition), half))
      highest = std::max(highest, stored->sequence);
  return highest;
}

std::size_t FakeBroker::orphans(PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  return partitions_[partition].orphans.size();
}

std::size_t FakeBroker::notes(PartitionIndex partition) {
  const std::lock_guard guard{lock_};
  return partitions_[partition].notes.size();
}

// Pump -------------------------------------------------------------------------------------------

PumpThread::PumpThread(FakeBroker& broker)
    : thread_([&broker](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          broker.pump();
          std::this_thread::sleep_for(std::chrono::microseconds(20));
        }
      }) {}

}  // namespace mallbots::test
