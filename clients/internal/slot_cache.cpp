#include "clients/internal/slot_cache.h"

#include <algorithm>

#include "shm/layout/slot.h"

namespace mallbots::client {

SlotCache::SlotCache(const TopicMemory& topic, PartitionIndex partition, shm::Access access)
    : topic_(&topic),
      partition_(partition),
      access_(access),
      slot_bytes_(shm::kPageBytes + topic.header().slot_bytes) {
  slots_.reserve(topic.header().slots + std::size_t{4});
}

shm::PartitionParts SlotCache::board_parts() const noexcept {
  shm::PartitionParts parts;
  parts.topic = &topic_->header();
  parts.board = &topic_->board(partition_);
  return parts;
}

bool SlotCache::has(std::uint64_t slot_id) const noexcept {
  return std::any_of(slots_.begin(), slots_.end(),
                     [&](const Slot& slot) { return slot.slot_id == slot_id; });
}

SlotCache::Slot* SlotCache::find(std::uint64_t slot_id) noexcept {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const Slot& slot) { return slot.slot_id == slot_id; });
  return found == slots_.end() ? nullptr : &*found;
}

shm::SlotMemory SlotCache::map_slot(std::uint64_t slot_id) {
  Slot* slot = find(slot_id);
  if (slot == nullptr) {
    if (deadline_.has_passed() || !fetch(slot_id, deadline_)) return {};
    slot = find(slot_id);
  }
  ++slot->users;
  wants_prefetch_ = true;
  return {slot->memory.as<shm::SlotHeader>(), slot->memory.data() + shm::kPageBytes};
}

void SlotCache::drop_slot(shm::SlotMemory memory) {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.memory.as<shm::SlotHeader>() == memory.header;
  });
  if (found != slots_.end() && found->users > 0) --found->users;
}

Result<void> SlotCache::fetch(std::uint64_t slot_id, Deadline deadline) {
  trim();
  std::vector<shm::UniqueFd> fds;
  const auto reply = topic_->link().ask_on<shm::Empty>(
      topic_->attachment(), shm::GetSlot{topic_->topic_id(), partition_, slot_id}, deadline, &fds);
  if (!reply) {
    // The caller tries again until its deadline; not as fast as it can while nobody answers.
    if (reply.error().code == ErrorCode::kConnectionLost)
      static_cast<void>(topic_->link().ensure(Deadline::after_ms(1)));
    return std::unexpected(reply.error());
  }
  if (fds.size() != 1)
    return fail(ErrorCode::kBadMessage, "the broker's answer to GetSlot has another form");
  MALLBOTS_TRY(shm::check_memory(fds[0].get(), slot_bytes_));
  auto memory = shm::Mapping::of(fds[0].get(), slot_bytes_, access_);
  if (!memory) return std::unexpected(std::move(memory).error());
  MALLBOTS_TRY(memory->populate(0, slot_bytes_));
  slots_.push_back({slot_id, std::move(*memory), 0});
  return {};
}

bool SlotCache::is_behind() const noexcept {
  const auto parts = board_parts();
  const SlotGen open = parts.board->open_hint.load();
  for (SlotGen slot_gen = open; slot_gen <= open + kAhead; ++slot_gen) {
    const auto slot_id = shm::slot_on_board(parts, slot_gen);
    if (slot_id && !has(*slot_id)) return true;
  }
  return false;
}

void SlotCache::prefetch(Deadline deadline) {
  wants_prefetch_ = false;
  const auto parts = board_parts();
  const SlotGen open = parts.board->open_hint.load();
  for (SlotGen slot_gen = open; slot_gen <= open + kAhead; ++slot_gen) {
    const auto slot_id = shm::slot_on_board(parts, slot_gen);
    // One that cannot be had now is asked for again when it is needed.
    if (slot_id && !has(*slot_id) && !fetch(*slot_id, deadline)) return;
  }
}

void SlotCache::trim() {
  const auto parts = board_parts();
  std::erase_if(slots_, [&](const Slot& slot) {
    if (slot.users > 0) return false;
    for (std::uint32_t i = 0; i < parts.topic->slots; ++i) {
      const shm::SlotEntry& entry = parts.board->entries[i];
      if (entry.n.load() != shm::kNoSlot && entry.slot_id.load() == slot.slot_id) return false;
    }
    return true;
  });
}

}  // namespace mallbots::client
