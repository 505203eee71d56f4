// What the operator asks for.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "broker/control/commands.h"
#include "broker/version.h"

namespace mallbots::broker {
namespace {

// Rows per page: a row with its longest name must fit as often into a packet.
constexpr std::size_t kTopicRows = 200;
constexpr std::size_t kPartitionRows = 500;
constexpr std::size_t kClientRows = 50;
constexpr std::size_t kTopicsTextBytes = 800;

std::uint64_t disk_bytes_of(const Partition& partition) {
  std::uint64_t bytes = 0;
  if (const PartitionStore* store = partition.store())
    for (const SegmentInfo& segment : store->segments()) bytes += segment.file_bytes;
  return bytes;
}

shm::TopicRow row_of(const Topic& topic) {
  shm::TopicRow row{.name = topic.name(),
                    .topic_id = static_cast<std::uint64_t>(topic.id()),
                    .partitions = topic.partitions()};
  for (PartitionIndex i = 0; i < topic.partitions(); ++i) {
    const Partition& partition = topic.partition(i);
    row.records += partition.end_offset() - partition.start_offset();
    row.disk_bytes += disk_bytes_of(partition);
    row.memory_bytes += partition.ring().memory_bytes();
  }
  return row;
}

shm::PartitionRow row_of(const Partition& partition) {
  const PartitionStore* store = partition.store();
  return {.partition = partition.index(),
          .start_offset = partition.start_offset(),
          .end_offset = partition.end_offset(),
          .durable_offset = partition.durable_offset(),
          .segments = store == nullptr ? 0 : static_cast<std::uint32_t>(store->segments().size()),
          .disk_bytes = disk_bytes_of(partition),
          .slots_in_memory = static_cast<std::uint32_t>(std::ranges::count_if(
              partition.ring().slots(), [](const HotSlot& slot) { return slot.populated; })),
          .state = partition.readonly()};
}

std::uint32_t pins_of(const Session& session) {
  std::uint32_t pins = 0;
  const auto cells = std::min(session.entry->next_cell, shm::kSessionCells);
  for (const auto& [cell, use] : session.cells) {
    if (use == CellUse::kProducer || cell >= cells) continue;
    for (const auto& pin : session.memory().cells[cell].reader.pins)
      pins += pin.load() != 0 ? 1 : 0;
  }
  return pins;
}

std::string topics_of(const Session& session) {
  std::string text;
  for (const auto& [id, name] : session.opened) {
    if (text.size() + name.size() > kTopicsTextBytes) return text + ",...";
    text.append(text.empty() ? "" : ",").append(name);
  }
  return text;
}

Result<void> check_users(const TopicSettings& settings) {
  for (const std::string* list : {&settings.produce_allow, &settings.consume_allow})
    if (auto parsed = AllowList::parse(*list, true); !parsed)
      return std::unexpected(std::move(parsed).error());
  return {};
}

Result<void> not_internal(const Topic& topic) {
  if (!topic.is_internal()) return {};
  return fail(ErrorCode::kNotPermitted, "'" + topic.name() + "' is one of the broker's own topics");
}

}  // namespace

Result<Reply> Commands::create_topic(const Request& request, const shm::CreateTopic& message) {
  MALLBOTS_TRY(administrator(request.who, "creating a topic"));
  MALLBOTS_TRY(not_draining());
  const auto settings = new_settings(message.partitions, message.settings);
  if (!settings) return std::unexpected(settings.error());
  MALLBOTS_TRY(check_users(*settings));
  const auto topic = parts_.topics.create(message.name, *settings);
  if (!topic) return std::unexpected(topic.error());
  parts_.groups.topic_known(**topic);
  parts_.queues.topic_known(**topic);
  log_event(
      Level::kInfo, "topic created",
      {{"topic", message.name}, {"partitions", (*topic)->partitions()}, {"uid", request.who.uid}});
  return reply_with(request.id,
                    shm::CreateTopicReply{.topic_id = static_cast<std::uint64_t>((*topic)->id()),
                                          .memory_bytes = memory_cost_bytes(*settings),
                                          .disk_bytes = disk_cost_bytes(*settings).value_or(0)});
}

Result<Reply> Commands::delete_topic(const Request& request, const shm::DeleteTopic& message) {
  MALLBOTS_TRY(administrator(request.who, "deleting a topic"));
  MALLBOTS_TRY(not_draining());
  Topic* topic = parts_.topics.find(message.name);
  if (topic == nullptr) return fail(ErrorCode::kUnknownTopic, "'" + message.name + "'");
  MALLBOTS_TRY(not_internal(*topic));
  const TopicId id = topic->id();
  const auto removed = parts_.topics.remove(message.name);
  if (parts_.topics.find(id) != nullptr) return std::unexpected(removed.error());
  // Not before it is sure: a refused deletion takes nobody's ring. Until here the board tells the
  // sequencer that the topic is gone, as it tells producers with mappings of their own.
  parts_.rings.topic_gone(*topic);
  parts_.streams.topic_gone(*topic);
  parts_.groups.topic_deleted(id);
  parts_.queues.topic_deleted(id);
  std::vector<SessionIndex> users;
  for (const auto& [index, session] : parts_.sessions.all())
    if (session.opened.contains(id)) users.push_back(index);
  for (const SessionIndex index : users) {
    Session& session = *parts_.sessions.find(index);
    session.opened.erase(id);
    parts_.sessions.push(session, shm::Notice{.code = ErrorCode::kTopicGone,
                                              .topic_id = static_cast<std::uint64_t>(id),
                                              .detail = "'" + message.name + "' was deleted"});
  }
  log_event(Level::kInfo, "topic deleted",
            {{"topic", message.name}, {"uid", request.who.uid}, {"users", users.size()}});
  MALLBOTS_TRY(removed);
  return reply_with(request.id, shm::Empty{});
}

Result<Reply> Commands::alter_topic(const Request& request, const shm::AlterTopic& message) {
  MALLBOTS_TRY(administrator(request.who, "altering a topic"));
  MALLBOTS_TRY(not_draining());
  Topic* topic = parts_.topics.find(message.name);
  if (topic == nullptr) return fail(ErrorCode::kUnknownTopic, "'" + message.name + "'");
  MALLBOTS_TRY(not_internal(*topic));
  const auto settings = altered_settings(topic->settings(), message.settings);
  if (!settings) return std::unexpected(settings.error());
  MALLBOTS_TRY(check_users(*settings));
  MALLBOTS_TRY(parts_.topics.alter(message.name, *settings));
  allow_lists_.clear();
  parts_.rings.recheck(*topic,
                       [&](const Session& who) { return may(who, *topic, shm::Intent::kProduce); });
  parts_.groups.topic_known(*topic);
  parts_.queues.topic_known(*topic);
  return reply_with(request.id, shm::Empty{});
}

Result<Reply> Commands::list_topics(const Request& request, const shm::ListTopics& message) {
  shm::ListTopicsReply reply;
  for (const Topic* topic : message.internal ? parts_.topics.all() : parts_.topics.users()) {
    if (topic->name() <= message.after) continue;
    if (!may(request.who, *topic, shm::Intent::kConsume) &&
        !may(request.who, *topic, shm::Intent::kProduce))
      continue;
    if (reply.topics.size() == kTopicRows) {
      reply.more = true;
      break;
    }
    reply.topics.push_back(row_of(*topic));
    reply.topics.back().memory_bytes += parts_.streams.memory_bytes(*topic);
  }
  return reply_with(request.id, reply);
}

Result<Reply> Commands::describe_topic(const Request& request, const shm::DescribeTopic& message) {
  auto topic = allowed(request.who, message.name, shm::Intent::kConsume);
  if (!topic && topic.error().code == ErrorCode::kNotPermitted)
    topic = allowed(request.who, message.name, shm::Intent::kProduce);
  if (!topic) return std::unexpected(topic.error());
  if (message.from_partition > (*topic)->partitions())
    return fail(ErrorCode::kBadPartition, fmt::format("partition {}", message.from_partition));
  shm::DescribeTopicReply reply{.topic_id = static_cast<std::uint64_t>((*topic)->id()),
                                .settings = describe_settings((*topic)->settings())};
  const auto end = static_cast<PartitionIndex>(
      std::min<std::size_t>((*topic)->partitions(), message.from_partition + kPartitionRows));
  for (PartitionIndex i = message.from_partition; i < end; ++i)
    reply.partitions.push_back(row_of((*topic)->partition(i)));
  reply.more = end < (*topic)->partitions();
  return reply_with(request.id, reply);
}

Result<Reply> Commands::status(const Request& request, const shm::Status& /*message*/) {
  MALLBOTS_TRY(administrator(request.who, "the status"));
  std::uint32_t partitions = 0;
  const auto topics = parts_.topics.users();
  for (const Topic* topic : topics) partitions += topic->partitions();
  const auto space = parts_.disk.space(parts_.config.data_dir);
  return reply_with(
      request.id,
      shm::StatusReply{.version = kVersion,
                       .keeper_pid = static_cast<std::uint32_t>(parts_.facts.keeper_pid),
                       .broker_pid = static_cast<std::uint32_t>(getpid()),
                       .incarnation = parts_.facts.incarnation,
                       .log_epoch = parts_.topics.log_epoch(),
                       .uptime_ms = (boot_now_ns() - parts_.facts.started_ns) / kMillisecond,
                       .topics = static_cast<std::uint32_t>(topics.size()),
                       .partitions = partitions,
                       .sessions = static_cast<std::uint32_t>(parts_.sessions.count()),
                       .groups = static_cast<std::uint32_t>(parts_.groups.names().size()),
                       .memory_bytes = parts_.topics.memory_bytes() + parts_.streams.memory_bytes(),
                       .memory_max_bytes = parts_.config.memory_max_bytes,
                       .disk_bytes = parts_.topics.disk_bytes(),
                       .disk_free_bytes = space ? space->free_bytes : 0,
                       .orphan_bytes = parts_.topics.orphan_bytes(),
                       .io_engine = parts_.disk.engine(),
                       .data_dir = parts_.config.data_dir,
                       .damaged_ranges = parts_.topics.damaged_ranges(),
                       .readonly_partitions = parts_.topics.readonly_partitions()});
}

Result<Reply> Commands::list_clients(const Request& request, const shm::ListClients& message) {
  MALLBOTS_TRY(administrator(request.who, "the list of clients"));
  shm::ListClientsReply reply;
  const BootNanos now = boot_now_ns();
  for (const auto& [index, listed] : parts_.sessions.all()) {
    if (message.after_session != shm::kNoSession && index <= message.after_session) continue;
    if (reply.clients.size() == kClientRows) {
      reply.more = true;
      break;
    }
    Session& session = *parts_.sessions.find(index);
    reply.clients.push_back({.session = index,
                             .pid = static_cast<std::uint32_t>(session.pid),
                             .uid = session.uid,
                             .name = session.name,
                             .topics = topics_of(session),
                             .pins = pins_of(session),
                             .idle_ms = parts_.sessions.idle_ns(session, now) / kMillisecond});
  }
  return reply_with(request.id, reply);
}

}  // namespace mallbots::broker
