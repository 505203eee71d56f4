// Topics: producers, their seats and their names.
#include <set>

#include "broker/log/random_id.h"
#include "broker/log/topics.h"
#include "shm/base/crash_point.h"
#include "shm/concurrent/cells.h"

namespace mallbots::broker {

Result<shm::OpenProducerReply> Topics::open_producer(SessionIndex session, Topic& topic,
                                                     PartitionIndex partition,
                                                     ProducerNames::Holder wanted) {
  Partition& log = topic.partition(partition);
  const bool named = wanted.epoch != 0;
  if (named && !names_->is_current(topic.id(), wanted))
    return fail(ErrorCode::kNameTaken, topic.name() + "[" + std::to_string(partition) + "]");
  shm::OpenProducerReply reply;
  reply.producer_epoch = static_cast<std::uint16_t>(wanted.epoch);
  auto known = producers_.find({wanted.producer_id, log.id()});
  const bool same = known != producers_.end() && known->second.session == session;
  if (named && known != producers_.end() && !same) unseat(topic, known);
  if (named) {
    const auto last = names_->last_sequence(topic.id(), partition, wanted.producer_id);
    if (!last) return std::unexpected(last.error());
    reply.last_sequence = *last;
    reply.end_offset = log.end_offset();
  }
  if (same) {
    reply.cell = known->second.cell;
    reply.producer_id = wanted.producer_id;
    if (!named) reply.last_sequence = log.ring().last_sequence(session, reply.cell);
    reply.end_offset = log.end_offset();  // behind all up to last_sequence: read after it
    return reply;
  }
  const auto cell = parts_.sessions.open_cell(session);
  if (!cell) return fail(ErrorCode::kLimitReached, "the session's 2048 cells are all in use");
  reply.cell = *cell;
  reply.producer_id = named ? wanted.producer_id : random_id();
  shm::ProducerCell& seat = parts_.sessions.page(session)->cells[*cell].producer;
  CRASH_POINT("topics.producer_partition");
  seat.partition_id.store(static_cast<std::uint64_t>(log.id()));
  CRASH_POINT("topics.producer");
  seat.producer_id.store(reply.producer_id);
  producers_[{reply.producer_id, log.id()}] = {session, *cell};
  return reply;
}

Result<ProducerNames::Holder> Topics::name_producer(Topic& topic, const std::string& name) {
  if (topic.settings().memory_only)
    return fail(ErrorCode::kUnsupported,
                "topic " + topic.name() + " has storage=memory: it remembers no producers");
  if (topic.settings().sequenced)
    return fail(ErrorCode::kUnsupported,
                "topic " + topic.name() + " has ingest=sequenced: names are for direct ingest");
  ProducerNames::Partitions partitions;
  for (const auto& partition : topic.partitions_) partitions.push_back(partition.get());
  const auto is_seated = [&](std::uint64_t id) {
    const auto seat = producers_.lower_bound({id, PartitionId{0}});
    return seat != producers_.end() && seat->first.first == id;
  };
  auto taken = names_->take(topic.id(), partitions, name, is_seated);
  if (!taken) return taken;
  for (auto seat = producers_.lower_bound({taken->producer_id, PartitionId{0}});
       seat != producers_.end() && seat->first.first == taken->producer_id;)
    seat = unseat(topic, seat);
  return taken;
}

/// Whoever sits there appends nothing more, and all that it has committed can be seen.
Topics::Seats::iterator Topics::unseat(Topic& topic, Seats::iterator seat) {
  if (shm::SessionPage* const page = parts_.sessions.page(seat->second.session); page != nullptr)
    shm::take_seat(page->cells[seat->second.cell].producer);
  for (const auto& partition : topic.partitions_)
    if (partition->id() == seat->first.second)
      partition->ring().fence_session(seat->second.session);
  return producers_.erase(seat);
}

void Topics::read_on_names(BootNanos now, BootNanos& next_look) {
  const auto done = names_->duty(now, next_look);
  if (!done && !names_failing_ && say_) say_("names of producers: " + done.error().sentence());
  names_failing_ = !done;
}

/// Who was given which cell, as the predecessor wrote it into the cells; and no notes of partitions
/// that went with it.
void Topics::restore_producers() {
  std::set<std::uint64_t> partitions;
  for (const auto& [name, topic] : topics_)
    for (const PartitionId id : topic->partition_ids_)
      partitions.insert(static_cast<std::uint64_t>(id));
  parts_.sessions.for_each([&](SessionIndex session, shm::SessionPage& page, std::uint32_t cells) {
    for (std::uint32_t i = 0; i < cells; ++i) {
      const shm::ProducerCell& cell = page.cells[i].producer;
      const std::uint64_t partition = cell.partition_id.load();
      const std::uint64_t producer = cell.producer_id.load();
      // A reader's cell has pins there: no pin is a partition's random id.
      if (producer != 0 && producer != shm::kSeatTaken && partitions.contains(partition))
        producers_.try_emplace({producer, PartitionId{partition}}, Seat{session, i});
    }
  });
  for (shm::FenceNote& note : parts_.registry.fences) {
    if (partitions.contains(note.partition_id.load())) continue;
    CRASH_POINT("topics.note_of_gone");
    note.partition_id.store(0);
  }
}

/// How far the log has what producers with names sent.
Result<void> Topics::follow_names(const std::function<void(const std::string&)>& log_line) {
  for (const auto& [name, topic] : topics_) {
    ProducerNames::Partitions partitions;
    for (const auto& partition : topic->partitions_) partitions.push_back(partition.get());
    MALLBOTS_TRY(names_->follow(topic->id_, partitions, [&, &name = name](const std::string& what) {
      log_line(name + ": " + what);
    }));
  }
  names_->forget_unfollowed();
  return {};
}

}  // namespace mallbots::broker
