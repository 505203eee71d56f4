#include "broker/log/slot_ring.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>

#include "shm/base/check.h"
#include "shm/concurrent/cells.h"
#include "shm/concurrent/partition.h"
#include "shm/concurrent/reclaim.h"

namespace mallbots::broker {
namespace {

/// Open and ready: what an active partition always has.
constexpr std::uint64_t kReadyAhead = 1;

bool is_sealed(const HotSlot& slot) noexcept {
  return shm::load_word_seq_cst(slot.header()).sealed();
}

}  // namespace

Result<HotSlot> SlotRing::make_slot(SlotGen slot_gen, std::optional<shm::LogEnd> base) {
  HotSlot slot;
  slot.slot_gen = slot_gen;
  CRASH_POINT("slot_ring.next_id");
  slot.slot_id = host_.registry.next_slot_id.fetch_add(1);
  const std::size_t bytes = shm::kPageBytes + options_.slot_bytes;
  auto fd = shm::create_memory("mallbots-slot", bytes);
  if (!fd) return std::unexpected(std::move(fd).error());
  auto mapping = shm::Mapping::of(fd->get(), bytes, shm::Access::kReadWrite);
  if (!mapping) return std::unexpected(std::move(mapping).error());
  slot.fd = std::move(*fd);
  slot.mapping = std::move(*mapping);
  MALLBOTS_TRY(slot.mapping.populate(0, shm::kPageBytes));
  shm::init_slot(slot.header(),
                 {slot_gen, options_.partition_id, options_.log_epoch, data_units(), base});
  MALLBOTS_TRY(host_.keeper.put(FdKind::kSlot, slot.slot_id, slot.fd.get()));
  if (host_.share != nullptr) host_.share->add(slot.slot_id, slot.fd.get(), bytes);
  return slot;
}

Result<void> SlotRing::start(shm::LogEnd base) {
  CHECK(slots_.empty());
  auto first = make_slot(0, base);
  if (!first) return std::unexpected(std::move(first).error());
  slots_.push_back(std::move(*first));
  open_ = 0;
  CRASH_POINT("slot_ring.start_hints");
  board_.oldest_hint.store(0);
  board_.open_hint.store(0);
  shm::post_slot(board_, options_.slots, 0, slots_.back().slot_id);
  return {};
}

/// Looks at the memory and changes nothing in it. All of it is taken, whatever is found: the keeper
/// drops what nobody took.
Result<void> SlotRing::take_slots() {
  Result<void> found{};
  const auto contradicts = [&](SlotGen slot_gen, const char* what) {
    if (found) found = fail(ErrorCode::kCorrupt, "slot " + std::to_string(slot_gen) + what);
  };
  for (std::uint32_t i = 0; i < options_.slots; ++i) {
    const shm::SlotEntry& entry = board_.entries[i];
    HotSlot slot;
    slot.slot_gen = entry.n.load();
    slot.slot_id = entry.slot_id.load();
    if (slot.slot_gen == shm::kNoSlot || entry.state.load() == 0) continue;
    slot.fd = host_.keeper.take(FdKind::kSlot, slot.slot_id);
    if (!slot.fd) {
      contradicts(slot.slot_gen, " is on the board but not kept");
      continue;
    }
    auto mapping = shm::Mapping::of(slot.fd.get(), shm::kPageBytes + options_.slot_bytes,
                                    shm::Access::kReadWrite);
    if (!mapping) return std::unexpected(std::move(mapping).error());
    slot.mapping = std::move(*mapping);
    if (!shm::is_slot_of(slot.header(), options_.partition_id, data_units()) ||
        shm::load_slot_gen(slot.header()) != slot.slot_gen)
      contradicts(slot.slot_gen, "'s header contradicts the board");
    slots_.push_back(std::move(slot));
  }
  std::ranges::sort(slots_, {}, &HotSlot::slot_gen);
  for (std::size_t i = 1; i < slots_.size(); ++i)
    if (slots_[i].slot_gen != slots_[i - 1].slot_gen + 1)
      contradicts(slots_[i].slot_gen, " is not in sequence on the board");
  return found;
}

Result<void> SlotRing::take_over() {
  if (auto taken = take_slots(); !taken) {
    untouched_.assign(std::move_iterator{slots_.begin()}, std::move_iterator{slots_.end()});
    slots_.clear();
    return taken;
  }
  for (HotSlot& slot : slots_) {
    shm::unmark_retiring(slot.header());
    // The predecessor itself may have died as the holder. Its cells went with it.
    static_cast<void>(
        shm::free_word_of_dead(slot.header(), slot.slot_gen, kBrokerSession, [](std::uint32_t) {}));
    if (host_.share != nullptr)
      host_.share->add(slot.slot_id, slot.fd.get(), slot.mapping.size_bytes());
    slot.fenced = is_sealed(slot);
  }
  if (!slots_.empty()) open_ = slots_.front().slot_gen;
  drop_stale_notes();
  return {};
}

HotSlot* SlotRing::find(SlotGen slot_gen) noexcept {
  if (slots_.empty() || slot_gen < slots_.front().slot_gen) return nullptr;
  const SlotGen index = slot_gen - slots_.front().slot_gen;
  return index < slots_.size() ? &slots_[index] : nullptr;
}

HotSlot* SlotRing::find_id(std::uint64_t slot_id) noexcept {
  const auto found = std::ranges::find(slots_, slot_id, &HotSlot::slot_id);
  return found == slots_.end() ? nullptr : &*found;
}

/// Tells the slot behind a sealed one where it begins.
bool SlotRing::pass_base(HotSlot& from) {
  HotSlot* const next = find(from.slot_gen + 1);
  if (next == nullptr) return false;
  if (shm::load_base(next->header(), next->slot_gen)) return true;
  const auto end = shm::log_end(from.header(), from.slot_gen);
  // Only damage by a producer leaves a sealed slot without an end; the base of the slot itself is
  // then the best that is known, and the persister reports what lies between.
  const auto base = end ? end : shm::load_base(from.header(), from.slot_gen);
  if (!base) return false;
  shm::store_base(next->header(), next->slot_gen, *base);
  return true;
}

bool SlotRing::pump(const std::function<bool(SlotGen)>& may_retire) {
  bool changed = release_orphans();
  if (closed_ || slots_.empty()) return changed;
  for (;;) {
    while (slots_.back().slot_gen < open_ + kReadyAhead) {
      if (slots_.size() == options_.slots && !may_retire(slots_.front().slot_gen)) return changed;
      if (!add_ready()) return changed;
      changed = true;
    }
    HotSlot* const open = find(open_);
    CHECK(open != nullptr);
    if (!is_sealed(*open) || !pass_base(*open)) return changed;
    ++open_;
    CRASH_POINT("slot_ring.open_hint");
    board_.open_hint.store(open_);
    changed = true;
  }
}

/// Posts the next slot; the oldest makes room if the ring is full. False: no memory for it now.
bool SlotRing::add_ready() {
  std::optional<HotSlot> memory;
  if (slots_.size() == options_.slots) {
    // The open slot itself is never retired: with two slots, the next one waits for its seal.
    if (slots_.front().slot_gen >= open_ && !is_sealed(slots_.front())) return false;
    if (!retire_oldest(memory)) return false;
  }
  const SlotGen slot_gen = slots_.empty() ? open_ : slots_.back().slot_gen + 1;
  if (memory) {
    memory->slot_gen = slot_gen;
    shm::init_slot(memory->header(), {slot_gen, options_.partition_id, options_.log_epoch,
                                      data_units(), std::nullopt});
  } else {
    auto made = make_slot(slot_gen, std::nullopt);
    if (!made) return false;
    memory = std::move(*made);
  }
  slots_.push_back(std::move(*memory));
  shm::post_slot(board_, options_.slots, slot_gen, slots_.back().slot_id);
  return true;
}

bool SlotRing::retire_oldest(std::optional<HotSlot>& reusable) {
  HotSlot& oldest = slots_.front();
  // The slot behind it must know its base before this one goes.
  if (slots_.size() > 1 && !pass_base(oldest)) return false;
  shm::mark_retiring(oldest.header(), oldest.slot_gen);
  const bool stays = is_pinned(oldest.slot_gen) || has_note(oldest.slot_id);
  CRASH_POINT("slot_ring.oldest_hint");
  board_.oldest_hint.store(oldest.slot_gen + 1);
  shm::withdraw_slot(board_, options_.slots, oldest.slot_gen);
  if (stays)
    orphans_.push_back(std::move(oldest));
  else if (oldest.fenced)
    drop(oldest);
  else
    reusable = std::move(oldest);
  slots_.pop_front();
  if (open_ < slots_.front().slot_gen) open_ = slots_.front().slot_gen;
  return true;
}

bool SlotRing::is_pinned(SlotGen slot_gen) const {
  const std::uint64_t pin =
      shm::pin_of(static_cast<std::uint64_t>(options_.partition_id), slot_gen);
  bool found = false;
  host_.sessions.for_each([&](SessionIndex, shm::SessionPage& page, std::uint32_t cells) {
    for (std::uint32_t i = 0; i < cells && !found; ++i)
      found = shm::is_pinned(page.cells[i].reader, pin);
  });
  return found;
}

bool SlotRing::release_orphans() {
  const auto gone = std::ranges::remove_if(orphans_, [&](HotSlot& slot) {
    if (is_pinned(slot.slot_gen) || has_note(slot.slot_id)) return false;
    drop(slot);
    return true;
  });
  const bool any = !gone.empty();
  orphans_.erase(gone.begin(), gone.end());
  return any;
}

bool SlotRing::revoke_oldest_orphan() {
  if (orphans_.empty()) return false;
  HotSlot& slot = orphans_.front();
  if (is_pinned(slot.slot_gen)) {
    const auto pin = shm::pin_of(static_cast<std::uint64_t>(options_.partition_id), slot.slot_gen);
    host_.sessions.for_each([&](SessionIndex, shm::SessionPage& page, std::uint32_t cells) {
      for (std::uint32_t i = 0; i < cells; ++i) shm::revoke_pin(page.cells[i].reader, pin);
    });
  }
  // A fenced holder that still stores into it has a mapping of its own.
  drop(slot);
  orphans_.erase(orphans_.begin());
  return true;
}

void SlotRing::drop(HotSlot& slot) {
  if (host_.share != nullptr) host_.share->remove(slot.slot_id);
  // A keeper that is gone keeps nothing: then this broker is about to drain anyway.
  static_cast<void>(host_.keeper.remove(FdKind::kSlot, slot.slot_id));
}

// --- Stalls, deaths, fences

std::vector<shm::FenceNote*> SlotRing::notes() {
  std::vector<shm::FenceNote*> own;
  for (shm::FenceNote& note : host_.registry.fences)
    if (note.partition_id.load() == static_cast<std::uint64_t>(options_.partition_id))
      own.push_back(&note);
  return own;
}

bool SlotRing::has_note(std::uint64_t slot_id) const {
  return std::ranges::any_of(host_.registry.fences, [&](const shm::FenceNote& note) {
    return note.partition_id.load() == static_cast<std::uint64_t>(options_.partition_id) &&
           note.slot_id == slot_id;
  });
}

/// No fence goes without its note, so the session that was fenced most often gives its notes up: an
/// expelled session appends nothing any more, and nobody goes on with its sequences.
void SlotRing::make_room_for_note() {
  std::map<SessionIndex, std::size_t> fences;
  for (const shm::FenceNote& note : host_.registry.fences)
    ++fences[static_cast<SessionIndex>(note.session)];
  const auto most =
      std::ranges::max_element(fences, {}, [](const auto& entry) { return entry.second; });
  host_.sessions.expel(most->first, "it was fenced " + std::to_string(most->second) +
                                        " times, and no more fences can be noted");
  for (shm::FenceNote& note : host_.registry.fences) {
    if (note.session != most->first) continue;
    // no crash point: 4,096 fences lead here; what is left of the notes goes with their session
    note.partition_id.store(0);
  }
}

void SlotRing::note_fence(HotSlot& slot, SessionIndex holder, std::uint32_t tail_units) {
  slot.fenced = true;
  // A note says which halves of a session's cells no commit confirmed. The broker's own session has
  // an heir that reads the slots instead, and never ends, so that nobody would take its notes away.
  if (holder == kBrokerSession) return;
  const auto find_free = [&] {
    return std::ranges::find_if(host_.registry.fences, [](const shm::FenceNote& note) {
      return note.partition_id.load() == 0;
    });
  };
  auto note = find_free();
  if (note == std::end(host_.registry.fences)) {
    make_room_for_note();
    note = find_free();
  }
  note->slot_gen = slot.slot_gen;
  note->session = holder;
  note->tail_units = tail_units;
  note->slot_id = slot.slot_id;
  CRASH_POINT("slot_ring.note");
  note->partition_id.store(static_cast<std::uint64_t>(options_.partition_id));
}

void SlotRing::remove_note(const HotSlot& slot, SessionIndex holder) {
  for (shm::FenceNote* const note : notes()) {
    if (note->slot_id != slot.slot_id || note->session != holder) continue;
    CRASH_POINT("slot_ring.unnote");
    note->partition_id.store(0);
  }
}

/// A note of a predecessor whose fence never happened, or that a commit overtook, would void what
/// is committed (docs/decisions/0006, rule 5).
void SlotRing::drop_stale_notes() {
  for (shm::FenceNote* const note : notes()) {
    const HotSlot* const slot = find_id(note->slot_id);
    if (slot == nullptr) continue;  // it was retired since, which takes a seal
    const shm::Word word = shm::load_word_seq_cst(slot->header());
    if (word.sealed() && word.tail_units() == note->tail_units) continue;
    CRASH_POINT("slot_ring.stale_note");
    note->partition_id.store(0);
  }
}

void SlotRing::forget_notes() {
  for (shm::FenceNote* const note : notes()) {
    CRASH_POINT("slot_ring.forget_notes");
    note->partition_id.store(0);
  }
}

void SlotRing::forget_slots() {
  for (const HotSlot& slot : slots_)
    static_cast<void>(host_.keeper.remove(FdKind::kSlot, slot.slot_id));
  for (const HotSlot& slot : untouched_)
    static_cast<void>(host_.keeper.remove(FdKind::kSlot, slot.slot_id));
}

void SlotRing::fence_slot(HotSlot& slot) {
  // Sealed at tail 0 it passes its base on, so the base must be known first; before the slot ahead
  // is sealed it is not, and shm::fence leaves the word alone.
  HotSlot* const before = slot.slot_gen > 0 ? find(slot.slot_gen - 1) : nullptr;
  if (before != nullptr && is_sealed(*before)) static_cast<void>(pass_base(*before));
  static_cast<void>(shm::fence(
      slot.header(), slot.slot_gen,
      [&](SessionIndex holder, std::uint32_t tail) { note_fence(slot, holder, tail); },
      [&](SessionIndex holder) { remove_note(slot, holder); }));
}

bool SlotRing::fence_stalled(BootNanos now, BootNanos& next_look) {
  HotSlot* const slot = find(open_);
  if (slot == nullptr) return false;
  const shm::Word word = shm::load_word_seq_cst(slot->header());
  const shm::Lease lease{board_.lease.load()};
  const bool leased = lease.held() && word.owned() && word.owner() == lease.holder();
  if (word.sealed() || !word.owned() || leased) {
    watched_word_ = 0;
    return false;
  }
  const shm::SessionPage* const page = host_.sessions.page(word.owner());
  const std::uint64_t acquires = page == nullptr ? 0 : page->header.acquires.load();
  // One long hold, not many short ones: word and counter both stand still.
  if (word.bits != watched_word_ || acquires != watched_acquires_) {
    watched_word_ = word.bits;
    watched_acquires_ = acquires;
    watched_since_ = now;
  }
  if (now - watched_since_ < options_.stall_limit_ns) {
    next_look = std::min(next_look, watched_since_ + options_.stall_limit_ns);
    return false;
  }
  fence_slot(*slot);
  watched_word_ = 0;
  return true;
}

void SlotRing::session_died(SessionIndex dead, std::span<const std::uint32_t> producer_cells) {
  shm::SessionPage* const page = host_.sessions.page(dead);
  const auto void_above = [&](SlotGen slot_gen, std::uint32_t tail_units) {
    if (page == nullptr) return;
    for (const std::uint32_t cell : producer_cells) {
      shm::ProducerCell& producer = page->cells[cell].producer;
      for (std::uint8_t half = 0; half < 2; ++half) {
        const auto stored = shm::load_sequence(producer, half);
        if (stored && stored->slot_gen == slot_gen && stored->end_units > tail_units)
          shm::void_sequence(producer, half);
      }
    }
  };
  for (HotSlot& slot : slots_)
    shm::free_word_of_dead(slot.header(), slot.slot_gen, dead, [&](std::uint32_t tail_units) {
      void_above(slot.slot_gen, tail_units);
    });
  for (shm::FenceNote* const note : notes()) {
    if (note->session != dead) continue;
    void_above(note->slot_gen, note->tail_units);
    CRASH_POINT("slot_ring.note_of_dead");
    note->partition_id.store(0);
  }
}

std::uint64_t SlotRing::last_sequence(SessionIndex session, std::uint32_t cell) {
  const shm::SessionPage* const page = host_.sessions.page(session);
  if (page == nullptr) return 0;
  const std::vector<shm::FenceNote*> noted = notes();
  std::uint64_t last = 0;
  for (std::uint8_t half = 0; half < 2; ++half) {
    const auto stored = shm::load_sequence(page->cells[cell].producer, half);
    if (!stored || stored->sequence <= last) continue;
    const bool is_void = std::ranges::any_of(noted, [&](const shm::FenceNote* note) {
      return note->session == session && note->slot_gen == stored->slot_gen &&
             stored->end_units > note->tail_units;
    });
    const HotSlot* const slot = find(stored->slot_gen);
    const bool ahead =
        slot != nullptr && stored->end_units > shm::load_word_seq_cst(slot->header()).tail_units();
    if (!is_void && !ahead) last = stored->sequence;
  }
  return last;
}

void SlotRing::seal(SlotGen slot_gen) {
  if (HotSlot* const slot = find(slot_gen); slot != nullptr) fence_slot(*slot);
}

void SlotRing::fence_holders() {
  for (HotSlot& slot : slots_)
    if (shm::load_word_seq_cst(slot.header()).owned()) fence_slot(slot);
}

void SlotRing::fence_session(SessionIndex session) {
  for (HotSlot& slot : slots_)
    if (shm::load_word_seq_cst(slot.header()).owned_by(session)) fence_slot(slot);
}

bool SlotRing::close(bool patient) {
  closed_ = true;
  for (HotSlot& slot : slots_) {
    const shm::Word word = shm::load_word_seq_cst(slot.header());
    if (word.sealed()) continue;
    if (word.owned() && patient) return false;
    fence_slot(slot);
  }
  return true;
}

// --- Figures

Offset SlotRing::end_offset() const noexcept {
  Offset end = 0;
  for (const HotSlot& slot : slots_) {
    if (slot.slot_gen < open_) continue;
    if (const auto here = shm::log_end(slot.header(), slot.slot_gen))
      end = std::max(end, here->next_offset);
  }
  return end;
}

Offset SlotRing::oldest_offset() const noexcept {
  if (slots_.empty()) return 0;
  const auto base = shm::load_base(slots_.front().header(), slots_.front().slot_gen);
  return base ? base->next_offset : end_offset();
}

std::uint64_t SlotRing::memory_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const HotSlot& slot : slots_)
    bytes += shm::kPageBytes + (slot.populated ? options_.slot_bytes : 0);
  bytes += untouched_.size() * (shm::kPageBytes + options_.slot_bytes);
  return bytes + orphan_bytes();
}

std::uint64_t SlotRing::orphan_bytes() const noexcept {
  return orphans_.size() * (shm::kPageBytes + options_.slot_bytes);
}

void SlotRing::populate_ahead() {
  for (HotSlot& slot : slots_) {
    if (slot.slot_gen < open_ || slot.populated) continue;
    // A partition that is not written costs nothing.
    if (slot.slot_gen == open_ && shm::load_word_seq_cst(slot.header()).tail_units() == 0) return;
    if (!populate(slot)) return;
  }
}

Result<void> SlotRing::populate(HotSlot& slot) {
  if (slot.populated) return {};
  MALLBOTS_TRY(slot.mapping.populate(shm::kPageBytes, options_.slot_bytes));
  slot.populated = true;
  return {};
}

}  // namespace mallbots::broker
