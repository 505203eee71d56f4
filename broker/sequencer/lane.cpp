#include "broker/sequencer/lane.h"

#include <algorithm>

namespace mallbots::broker {

Lane::Lane(const LaneParts& parts, shm::SessionPage& own, int broker_eventfd) : parts_(parts) {
  const SharedPartition& partition = parts_.partition;
  shared_ = {.topic = &partition.topic,
             .board = &partition.board,
             .knock_header = &partition.knock_header,
             .knock = &partition.knock,
             .session = &own,
             .slots = this,
             .broker_eventfd = broker_eventfd};
  appender_.emplace(shared_, shm::ProducerSeat{&cell_, 0, {}});
}

bool Lane::hashes_bodies() const noexcept {
  return (topic().flags & static_cast<std::uint32_t>(shm::TopicFlag::kHeaderChecksum)) == 0;
}

ErrorCode Lane::readonly() const noexcept {
  const std::uint64_t code = parts_.partition.board.readonly.load();
  return code == 0 || code > 0xFFFF ? ErrorCode::kIo : static_cast<ErrorCode>(code);
}

shm::AppendOutcome Lane::append(std::span<const shm::RecordInput> records, const Order& order) {
  // Before the commit, so that the wake which comes with it starts the flush.
  if (order.await_durable) static_cast<void>(shm::prepare_wait(parts_.partition.knock.durable));
  appender_->speak_for(order.author, order.last_sequence);
  const shm::AppendOptions options{.expected_offset = order.expected_offset,
                                   .sequence = order.sequence,
                                   .await_durable = order.await_durable};
  return records.size() == 1 ? appender_->append(records.front(), options)
                             : appender_->append_batch(records, options);
}

void Lane::ask_for_flush() noexcept {
  static_cast<void>(shm::prepare_wait(parts_.partition.knock.durable));
  appender_->ask_for_flush();
}

shm::SlotMemory Lane::map_slot(std::uint64_t slot_id) {
  const auto memory_of = [](Slot& slot) {
    ++slot.users;
    return shm::SlotMemory{slot.memory.as<shm::SlotHeader>(), slot.memory.data() + shm::kPageBytes};
  };
  // What was retired for good goes; what is used again in place is still shared.
  std::erase_if(slots_, [&](const Slot& slot) {
    return slot.users == 0 && !parts_.partition.slots.has(slot.slot_id);
  });
  if (const auto known = std::ranges::find(slots_, slot_id, &Slot::slot_id); known != slots_.end())
    return memory_of(*known);
  auto mapping = parts_.partition.slots.map(slot_id);
  if (!mapping || !mapping->populate(0, mapping->size_bytes())) return {};
  slots_.push_back({slot_id, std::move(*mapping), 0});
  return memory_of(slots_.back());
}

void Lane::drop_slot(shm::SlotMemory memory) {
  const auto slot = std::ranges::find_if(
      slots_, [&](const Slot& one) { return one.memory.as<shm::SlotHeader>() == memory.header; });
  if (slot != slots_.end() && slot->users > 0) --slot->users;
}

}  // namespace mallbots::broker
