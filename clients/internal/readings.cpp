#include "clients/internal/readings.h"

#include <algorithm>
#include <utility>

namespace mallbots::client {

Reading* Readings::find(const TopicPartition& where) const noexcept {
  for (const auto& reading : readings_)
    if (reading->where == where) return reading.get();
  return nullptr;
}

Reading* Readings::find(std::uint64_t topic_id, PartitionIndex partition) const noexcept {
  for (const auto& reading : readings_)
    if (reading->where.partition == partition && reading->topic->topic_id() == topic_id)
      return reading.get();
  return nullptr;
}

Result<TopicMemory*> Readings::topic(const std::string& name, Deadline deadline) {
  const auto found = topics_.find(name);
  if (found != topics_.end() && found->second->state() != shm::BoardState::kGone)
    return found->second.get();
  auto opened = TopicMemory::open(*link_, name, shm::Intent::kConsume, deadline);
  if (!opened) return std::unexpected(std::move(opened).error());
  if (found == topics_.end()) return topics_.emplace(name, std::move(*opened)).first->second.get();
  release_deleted();
  deleted_.push_back(std::exchange(found->second, std::move(*opened)));
  return found->second.get();
}

void Readings::release_deleted() {
  std::erase_if(deleted_, [&](const auto& topic) {
    return std::ranges::none_of(readings_,
                                [&](const auto& reading) { return reading->topic == topic.get(); });
  });
}

TopicMemory* Readings::known_topic(std::uint64_t topic_id) const noexcept {
  for (const auto& [name, topic] : topics_)
    if (topic->topic_id() == topic_id) return topic.get();
  return nullptr;
}

bool Readings::durable_only(const TopicMemory& topic, bool in_group) const noexcept {
  if (topic.has(shm::TopicFlag::kMemoryOnly)) return false;
  return options_.read == ReadLevel::kDurable || (options_.read == ReadLevel::kDefault && in_group);
}

Reading& Readings::add(TopicMemory& topic, PartitionIndex partition, Offset next) {
  auto reading = std::make_unique<Reading>();
  reading->where = {topic.name(), partition};
  reading->topic = &topic;
  reading->kept = {topic.board(partition).log_epoch, next};
  return *readings_.emplace_back(std::move(reading));
}

bool Readings::remove(const Reading& reading) {
  const auto found = std::find_if(readings_.begin(), readings_.end(),
                                  [&](const auto& own) { return own.get() == &reading; });
  if (found == readings_.end()) return true;
  const auto gone = std::move(*found);
  readings_.erase(found);
  if (!gone->cursor || gone->in_group) return true;
  const std::uint32_t cell = gone->cursor->cell();
  gone->cursor.reset();
  return link_->is_attached() &&
         link_->ask_on<shm::Empty>(gone->topic->attachment(), shm::CloseCell{cell},
                                   Deadline::after_ms(1'000));
}

void Readings::remove_all() {
  while (!readings_.empty() && remove(*readings_.back())) {
  }
  readings_.clear();
}

void Readings::remove_group() {
  std::erase_if(readings_, [](const auto& reading) { return reading->in_group; });
}

Result<Offset> Readings::find_start(Reading& reading, const Start& start, Deadline deadline) {
  TopicMemory& topic = *reading.topic;
  const PartitionIndex partition = reading.where.partition;
  switch (start.at) {
    case Start::At::kStart:
      return topic.board(partition).start_offset.load();
    case Start::At::kEnd:
      return reading.cursor->find_end(deadline);
    case Start::At::kOffset: {
      const auto offset = static_cast<Offset>(start.value);
      MALLBOTS_TRY(reading.cursor->check_offset(offset, deadline));
      return offset;
    }
    case Start::At::kTime: {
      const auto found = link_->ask_on<shm::FindTimeReply>(
          topic.attachment(), shm::FindTime{topic.topic_id(), partition, start.value}, deadline);
      if (!found) return std::unexpected(found.error());
      return found->offset;
    }
  }
  return fail(ErrorCode::kBadArgument, "an unknown place to start at");
}

// Cursors
// -----------------------------------------------------------------------------------------

void Readings::keep_position(Reading& reading) {
  if (!reading.cursor) return;
  reading.kept.offset = reading.cursor->next_offset();
  reading.cursor.reset();
}

Result<void> Readings::make_cursor(Reading& reading, Deadline deadline,
                                   std::vector<Setback>& setbacks) {
  TopicMemory& topic = *reading.topic;
  const PartitionIndex partition = reading.where.partition;
  if (partition >= topic.partitions())
    return fail(ErrorCode::kBadPartition, topic.place(partition));
  const LogEpoch epoch = topic.board(partition).log_epoch;
  if (!reading.in_group && reading.kept.log_epoch != epoch) {
    const auto survived = topic.end_of_epoch(partition, reading.kept.log_epoch, deadline);
    if (!survived) return std::unexpected(survived.error());
    if (*survived < reading.kept.offset) {
      setbacks.push_back({ErrorCode::kTruncated, reading.where, *survived, reading.kept.offset});
      reading.kept.offset = *survived;
    }
  }
  reading.kept.log_epoch = epoch;
  std::uint32_t cell = 0;
  if (reading.group_cell) {
    cell = *reading.group_cell;
  } else {
    const auto opened = link_->ask_on<shm::OpenReaderReply>(
        topic.attachment(), shm::OpenReader{topic.topic_id(), partition}, deadline);
    if (!opened) return std::unexpected(opened.error());
    cell = opened->cell;
  }
  if (cell >= shm::kSessionCells)
    return fail(ErrorCode::kBadMessage, "the broker named cell " + std::to_string(cell));
  reading.cursor =
      std::make_unique<Cursor>(topic, partition, cell,
                               CursorOptions{.durable_only = durable_only(topic, reading.in_group),
                                             .verify_memory = options_.verify_memory,
                                             .internal_events = options_.internal_events,
                                             .disk_buffer_bytes = options_.disk_buffer_bytes});
  reading.cursor->go_to(reading.kept.offset);
  return {};
}

Result<void> Readings::complete(Deadline deadline, std::vector<Setback>& setbacks) {
  for (const auto& reading : readings_)
    if (!reading->cursor) MALLBOTS_TRY(make_cursor(*reading, deadline, setbacks));
  return {};
}

Readings::Attached Readings::reattach(Deadline deadline, std::vector<Error>& gone) {
  Attached outcome = Attached::kSame;
  for (const auto& topic : deleted_) {
    const auto ended = std::erase_if(
        readings_, [&](const auto& reading) { return reading->topic == topic.get(); });
    if (ended != 0) gone.push_back({ErrorCode::kTopicGone, topic->name()});
  }
  deleted_.clear();
  for (auto next = topics_.begin(); next != topics_.end();) {
    TopicMemory& topic = *next->second;
    const auto own = [&](const auto& reading) { return reading->topic == &topic; };
    if (!topic.is_stale()) {
      ++next;
      continue;
    }
    const auto reopened = topic.reopen(deadline);
    if (!reopened) {
      const ErrorCode code = reopened.error().code;
      if (code == ErrorCode::kConnectionLost || code == ErrorCode::kTimeout) return Attached::kAway;
      gone.push_back(reopened.error());
      std::erase_if(readings_, own);
      next = topics_.erase(next);
      continue;
    }
    ++next;
    if (*reopened == TopicMemory::Reopened::kSame) {
      if (outcome == Attached::kSame) outcome = Attached::kResumed;
      continue;
    }
    outcome = Attached::kAnew;
    for (const auto& reading : readings_)
      if (own(reading)) keep_position(*reading);
    topic.release_old();
  }
  return outcome;
}

}  // namespace mallbots::client
