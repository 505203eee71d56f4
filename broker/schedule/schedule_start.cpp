// Schedule::start and what it is made of: what became of delayed records before this broker.
#include <algorithm>

#include "broker/schedule/schedule.h"
#include "shm/layout/stream.h"

namespace mallbots::broker {

void Schedule::attach_topics() {
  intake_.emplace(parts_.disk, delayed(), ReadUpTo::kDurable);
  lookup_.emplace(parts_.disk, delayed(), ReadUpTo::kDurable);
}

Result<void> Schedule::start() {
  journal_ = parts_.topics.find(kDelayJournal);
  Topic* const delayed = parts_.topics.find(shm::kDelayLog);
  // Without a delay log nobody has delayed anything yet; open() makes what is missing.
  if (journal_ == nullptr || delayed == nullptr) return {};
  delayed_ = delayed;
  attach_topics();
  return read_journal();
}

Result<void> Schedule::read_journal() {
  JournalReplay replay;
  LogReader reader{parts_.disk, journal(), ReadUpTo::kCommitted};
  for (bool at_end = false; !at_end;) {
    const auto batch = reader.read();
    if (!batch) return std::unexpected(batch.error());
    for (const LostRange& lost : (*batch)->lost)
      if (lost.damaged)
        parts_.say("the journal of delayed records is damaged: some may be delivered twice");
    for (const shm::RecordView& view : (*batch)->records)
      if (view.header->type != shm::RecordType::kControl ||
          !replay.add(view.header->offset, view.payload))
        parts_.say("an entry of the journal of delayed records cannot be read");
    at_end = (*batch)->at_end;
  }
  const Offset position = replay.delay_position();
  for (const DelayId id : replay.settled())
    if (id >= position) settled_before_.insert(id);
  for (const LookFrom& from : replay.look_from()) MALLBOTS_TRY(look_through(from));
  for (const PendingEntry& entry : replay.pending())
    add_timer(entry.id, {.due_ms = entry.due_ms,
                         .target = {TopicId{entry.topic_id}, entry.partition},
                         .bytes = entry.bytes});
  // What is neither pending nor to be taken in was told before.
  std::erase_if(delivered_before_, [&](const auto& one) {
    return one.first < position || settled_before_.contains(one.first);
  });
  changes_ = replay.settled().size();
  intake_->seek(position);
  return {};
}

/// Finds what was delivered to one partition and perhaps not told.
Result<void> Schedule::look_through(const LookFrom& from) {
  Topic* const topic = parts_.topics.find(TopicId{from.topic_id});
  if (topic == nullptr || from.partition >= topic->partitions() || from.offset == kNoOffset)
    return {};
  const Partition& partition = topic->partition(from.partition);
  if (partition.quarantine()) {  // for a later start, once it can be read again
    targets_[{topic->id(), from.partition}].look_from = from.offset;
    return {};
  }
  const std::uint64_t own = broker_producer_id(partition.id());
  const Offset end = partition.end_offset();  // clients go on appending
  LogReader reader{parts_.disk, partition, ReadUpTo::kCommitted};
  reader.seek(from.offset);
  while (reader.next_offset() < end) {
    const auto batch = reader.read();
    if (!batch) return std::unexpected(batch.error());
    for (const shm::RecordView& view : (*batch)->records) {
      if (view.header->producer_id != own) continue;
      if (const auto id = shm::attribute_number(view.attributes, shm::AttributeId::kSourceOffset))
        delivered_before_[*id] = {{topic->id(), from.partition}, view.header->offset};
    }
    if ((*batch)->at_end) break;
  }
  return {};
}

}  // namespace mallbots::broker
