// What producers and consumers of a topic ask for.
#include <fmt/format.h>

#include "broker/control/commands.h"

namespace mallbots::broker {

Result<Reply> Commands::open_topic(const Request& request, const shm::OpenTopic& message) {
  if (message.intent != shm::Intent::kConsume && message.intent != shm::Intent::kProduce)
    return fail(ErrorCode::kBadArgument, "a topic is opened to consume or to produce");
  const auto topic = allowed(request.who, message.name, message.intent);
  if (!topic) return std::unexpected(topic.error());
  // A producer that hands in knocks nobody: the sequencer does, for it.
  const bool knocks = message.intent == shm::Intent::kProduce && !(*topic)->settings().sequenced;
  const bool has_knock = knocks || is_administrator(request.who.uid);
  std::vector<shm::UniqueFd> fds;
  auto board = (*topic)->board_fd();
  if (!board) return std::unexpected(std::move(board).error());
  fds.push_back(std::move(*board));
  if (has_knock) {
    auto knock = (*topic)->knock_fd();
    if (!knock) return std::unexpected(std::move(knock).error());
    fds.push_back(std::move(*knock));
  } else {
    (*topic)->add_doorbell(request.who.index);
  }
  request.who.opened.insert_or_assign((*topic)->id(), (*topic)->name());
  return reply_with(request.id,
                    shm::OpenTopicReply{.topic_id = static_cast<std::uint64_t>((*topic)->id()),
                                        .partitions = (*topic)->partitions(),
                                        .slots = (*topic)->settings().slots,
                                        .slot_bytes = (*topic)->settings().slot_bytes,
                                        .has_knock = has_knock},
                    std::move(fds));
}

Result<Reply> Commands::get_slot(const Request& request, const shm::GetSlot& message) {
  // Who appends directly has to read what is there (sequence, room); who hands in does not.
  auto topic = served(request.who, message.topic_id, message.partition, shm::Intent::kProduce);
  const bool writable = topic.has_value() && !(*topic)->settings().sequenced;
  if (topic ? !writable : topic.error().code == ErrorCode::kNotPermitted)
    topic = served(request.who, message.topic_id, message.partition, shm::Intent::kConsume);
  if (!topic) return std::unexpected(topic.error());
  auto slot = (*topic)->slot_fd(message.partition, message.slot_id, writable);
  if (!slot) return std::unexpected(std::move(slot).error());
  std::vector<shm::UniqueFd> fds;
  fds.push_back(std::move(*slot));
  return reply_with(request.id, shm::Empty{}, std::move(fds));
}

Result<Reply> Commands::open_producer(const Request& request, const shm::OpenProducer& message) {
  const auto topic =
      served(request.who, message.topic_id, message.partition, shm::Intent::kProduce);
  if (!topic) return std::unexpected(topic.error());
  if ((*topic)->settings().sequenced)
    return fail(ErrorCode::kBadArgument,
                "topic '" + (*topic)->name() + "' has ingest=sequenced: records are handed in");
  auto opened = parts_.topics.open_producer(request.who.index, **topic, message.partition,
                                            {message.producer_id, message.epoch});
  if (!opened) return std::unexpected(std::move(opened).error());
  parts_.sessions.use_cell(request.who.index, opened->cell, CellUse::kProducer);
  return reply_with(request.id, *opened);
}

Result<Reply> Commands::open_ring(const Request& request, const shm::OpenRing& message) {
  const auto topic =
      served(request.who, message.topic_id, message.partition, shm::Intent::kProduce);
  if (!topic) return std::unexpected(topic.error());
  MALLBOTS_TRY(not_draining());
  if (!(*topic)->settings().sequenced)
    return fail(ErrorCode::kBadArgument,
                "topic '" + (*topic)->name() + "' has ingest=direct: it takes no ingest rings");
  if (message.scope != 0)
    return fail(ErrorCode::kBadArgument, "the rings of this topic have no scope");
  auto opened = parts_.rings.open(request.who, **topic, message);
  if (!opened) return std::unexpected(std::move(opened).error());
  std::vector<shm::UniqueFd> fds;
  fds.push_back(std::move(opened->memory));
  fds.push_back(std::move(opened->wake));
  return reply_with(request.id, opened->reply, std::move(fds));
}

Result<Reply> Commands::close_ring(const Request& request, const shm::CloseRing& message) {
  MALLBOTS_TRY(parts_.rings.close(request.who.index, message.ring));
  return reply_with(request.id, shm::Empty{});
}

Result<Reply> Commands::name_producer(const Request& request, const shm::NameProducer& message) {
  MALLBOTS_TRY(not_draining());
  const auto topic = allowed(request.who, message.topic_id, 0, shm::Intent::kProduce);
  if (!topic) return std::unexpected(topic.error());
  const auto holder = parts_.topics.name_producer(**topic, message.name);
  if (!holder) return std::unexpected(holder.error());
  return reply_with(request.id, shm::NameProducerReply{.producer_id = holder->producer_id,
                                                       .epoch = holder->epoch});
}

Result<Reply> Commands::take_lease(const Request& request, const shm::TakeLease& message) {
  const auto topic =
      served(request.who, message.topic_id, message.partition, shm::Intent::kProduce);
  if (!topic) return std::unexpected(topic.error());
  if (!(*topic)->settings().exclusive)
    return fail(
        ErrorCode::kBadArgument,
        fmt::format("topic '{}' has producers=shared, nobody may hold it alone", (*topic)->name()));
  const auto lease =
      (*topic)->partition(message.partition).take_lease(request.who.index, message.take_over);
  if (!lease) return std::unexpected(lease.error());
  return reply_with(request.id, shm::TakeLeaseReply{.lease = lease->bits});
}

Result<Reply> Commands::open_reader(const Request& request, const shm::OpenReader& message) {
  const auto topic =
      allowed(request.who, message.topic_id, message.partition, shm::Intent::kConsume);
  if (!topic) return std::unexpected(topic.error());
  const auto cell = parts_.topics.open_reader(request.who.index);
  if (!cell) return std::unexpected(cell.error());
  parts_.sessions.use_cell(request.who.index, *cell, CellUse::kReader);
  return reply_with(request.id, shm::OpenReaderReply{.cell = *cell});
}

Result<Reply> Commands::close_cell(const Request& request, const shm::CloseCell& message) {
  switch (parts_.sessions.use_of(request.who.index, message.cell)) {
    case CellUse::kReader:
      parts_.sessions.close_cell(request.who.index, message.cell);
      return reply_with(request.id, shm::Empty{});
    case CellUse::kProducer:  // what it says is needed for as long as the session may append
      return reply_with(request.id, shm::Empty{});
    case CellUse::kFree:
      // Given out before the broker was restarted: what it was for is not known any more.
      if (message.cell < request.who.entry->next_cell) return reply_with(request.id, shm::Empty{});
      break;
    case CellUse::kGroup:
      break;
  }
  return fail(ErrorCode::kBadArgument, fmt::format("cell {} is not yours to close", message.cell));
}

Result<Reply> Commands::find_segment(const Request& request, const shm::FindSegment& message) {
  const auto topic =
      served(request.who, message.topic_id, message.partition, shm::Intent::kConsume);
  if (!topic) return std::unexpected(topic.error());
  std::vector<shm::UniqueFd> fds(1);
  const auto found =
      (*topic)->partition(message.partition).find_segment(message.offset, fds.front());
  if (!found) return std::unexpected(found.error());
  return reply_with(request.id, *found, std::move(fds));
}

Result<Reply> Commands::end_of_epoch(const Request& request, const shm::EndOfEpoch& message) {
  auto topic = allowed(request.who, message.topic_id, message.partition, shm::Intent::kProduce);
  if (!topic && topic.error().code == ErrorCode::kNotPermitted)
    topic = allowed(request.who, message.topic_id, message.partition, shm::Intent::kConsume);
  if (!topic) return std::unexpected(topic.error());
  const Partition& partition = (*topic)->partition(message.partition);
  const Position durable{message.log_epoch, partition.durable_offset()};
  const auto taken = parts_.topics.epochs().truncated_to(partition.id(), durable);
  return reply_with(request.id, shm::EndOfEpochReply{.offset = taken.value_or(durable.offset)});
}

Result<Reply> Commands::find_time(const Request& request, const shm::FindTime& message) {
  const auto topic =
      served(request.who, message.topic_id, message.partition, shm::Intent::kConsume);
  if (!topic) return std::unexpected(topic.error());
  const auto offset = (*topic)->partition(message.partition).find_time(message.time_ms);
  if (!offset) return std::unexpected(offset.error());
  return reply_with(request.id, shm::FindTimeReply{.offset = *offset});
}

Result<Reply> Commands::list_streams(const Request& request, const shm::ListStreams& message) {
  constexpr std::uint32_t kRowsOfAPage = 1024;
  const auto topic =
      served(request.who, message.topic_id, message.partition, shm::Intent::kConsume);
  if (!topic) return std::unexpected(topic.error());
  if (!(*topic)->settings().events)
    return fail(ErrorCode::kBadArgument,
                "topic '" + (*topic)->name() + "' does not have type=events");
  const auto streams = parts_.streams.of(**topic, message.partition);
  if (!streams) return std::unexpected(streams.error());
  return reply_with(request.id, (*streams)->table().list(message.from, kRowsOfAPage));
}

}  // namespace mallbots::broker
