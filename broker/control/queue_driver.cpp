#include "broker/control/queue_driver.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/control/dead_letter_record.h"
#include "shm/base/crash_point.h"
#include "shm/base/dead_letter.h"

namespace mallbots::broker {
namespace {

constexpr const char* kJournalTopic = "_queues";
constexpr std::size_t kJournalBatchBytes = std::size_t{256} * 1024;
/// How much is looked at to learn the keys of the next records.
constexpr std::size_t kKeyBytes = std::size_t{64} * 1024;
constexpr std::size_t kLetterBytes = std::size_t{16} * 1024;
constexpr std::uint64_t kSmallestLetterSlot = std::uint64_t{128} * 1024;

TopicSettings journal_settings() {
  TopicSettings settings;
  settings.slot_bytes = kMiB;
  settings.record_max_bytes = settings.slot_bytes / 2;
  settings.segment_bytes = 8 * kMiB;
  settings.given = {"slot.bytes", "segment.bytes"};
  return settings;
}

}  // namespace

QueueDriver::QueueDriver(const Parts& parts, QueuesOptions options)
    : parts_(parts), queues_(static_cast<QueueHost&>(*this), options) {}

// Start
// -----------------------------------------------------------------------------------------

Result<void> QueueDriver::start(bool memory_kept, BootNanos now) {
  for (const Topic* topic : parts_.topics.users()) topic_known(*topic);
  if (const Topic* topic = parts_.topics.find(kJournalTopic); topic != nullptr) {
    journal_ = topic->id();
    MALLBOTS_TRY(replay(memory_kept, now));
  }
  queues_.started(memory_kept, now);
  return {};
}

Result<void> QueueDriver::replay(bool memory_kept, BootNanos now) {
  const Partition& partition = *find(journal_, 0);
  // What a power cut could take back counts, too, if the memory was kept: it is in the log.
  LogReader log{parts_.disk, partition, ReadUpTo::kCommitted};
  log.seek(partition.start_offset());
  for (;;) {
    const auto batch = log.read();
    if (!batch) return std::unexpected(batch.error());
    for (const LostRange& lost : (*batch)->lost)
      if (lost.damaged)
        log_event(Level::kError, "the queue journal is damaged: what it held is forgotten",
                  {{"first_offset", lost.first}, {"end_offset", lost.end}});
    for (const shm::RecordView& record : (*batch)->records) {
      const auto done = queues_.replay(record.payload, memory_kept, now);
      if (!done)
        log_error(Level::kError, "an entry of the queue journal is left out", done.error());
    }
    if ((*batch)->at_end) return {};
  }
}

void QueueDriver::topic_known(const Topic& topic) {
  ResetTo reset = ResetTo::kStart;
  if (topic.settings().reset == Reset::kEnd) reset = ResetTo::kEnd;
  if (topic.settings().reset == Reset::kFail) reset = ResetTo::kFail;
  queues_.topic_known({.id = topic.id(),
                       .name = topic.name(),
                       .partitions = topic.partitions(),
                       .reset = reset,
                       .memory_only = topic.settings().memory_only});
}

void QueueDriver::topic_deleted(TopicId topic) {
  queues_.topic_deleted(topic);
  std::erase_if(readers_, [&](const auto& one) { return one.first.first == topic; });
}

Result<shm::JoinQueueReply> QueueDriver::join(Session& who, const shm::JoinQueue& message) {
  if (journal_ == TopicId{}) {
    const auto topic = parts_.topics.internal(kJournalTopic, journal_settings());
    if (!topic) return std::unexpected(topic.error());
    journal_ = (*topic)->id();
  }
  return queues_.join({.holder = {.session = who.index, .token = who.entry->token},
                       .group = message.group,
                       .topics = message.topics,
                       .max_in_flight = message.max_in_flight,
                       .lock_ms = message.lock_ms,
                       .max_deliveries = message.max_deliveries},
                      boot_now_ns());
}

BootNanos QueueDriver::duty() {
  // Not the time at which the turn began: locks are ended by the time of each message, and one that
  // is given must not seem to begin before the one that has ended.
  const BootNanos next = queues_.duty(boot_now_ns());
  for (Topic* topic : parts_.topics.all())
    if (topic->settings().memory_only) topic->set_watched(queues_.waits_for(topic->id()));
  if (covered_) {
    Partition& journal = *find(journal_, 0);
    if (journal.durable_offset() >= covered_->end) {
      static_cast<void>(journal.drop_before(covered_->floor));
      covered_.reset();
    }
  }
  return next;
}

std::int64_t QueueDriver::age_ms(const QueueView& row) {
  Partition* const partition = find(row.identity.topic, row.identity.partition);
  if (partition == nullptr || row.left == 0) return 0;
  const auto stamp = partition->time_of(std::max(row.low, partition->start_offset()));
  return stamp && *stamp > 0 ? std::max<std::int64_t>(0, wall_now_ms() - *stamp) : 0;
}

// Logs
// -----------------------------------------------------------------------------------------

Partition* QueueDriver::find(TopicId id, PartitionIndex index) {
  Topic* const topic = parts_.topics.find(id);
  return topic == nullptr || index >= topic->partitions() ? nullptr : &topic->partition(index);
}

LogReader& QueueDriver::reader(TopicId topic, PartitionIndex partition) {
  auto& reader = readers_[{topic, partition}];
  if (!reader)
    reader = std::make_unique<LogReader>(parts_.disk, *find(topic, partition), ReadUpTo::kDurable);
  return *reader;
}

LogState QueueDriver::log(TopicId id, PartitionIndex index) {
  const Partition* const partition = find(id, index);
  if (partition == nullptr) return {};
  const Offset start = partition->start_offset();
  const Offset durable = std::max(start, partition->durable_offset());
  return {.epoch = partition->log_epoch(),
          .start = start,
          .durable = durable,
          .end = std::max(durable, partition->end_offset()),
          .quarantined = partition->quarantine().has_value()};
}

QueueHost::Keys QueueDriver::read_keys(TopicId id, PartitionIndex index, Offset from) {
  Keys keys{.records = {}, .next = from};
  if (find(id, index) == nullptr) return keys;
  LogReader& log = reader(id, index);
  log.seek(from);
  const auto batch = log.read(kKeyBytes);
  if (!batch) {
    complain({.group = {}, .topic = id, .partition = index}, batch.error().sentence());
    return keys;
  }
  for (const shm::RecordView& record : (*batch)->records) {
    if (record.header->type != shm::RecordType::kData &&
        record.header->type != shm::RecordType::kTombstone)
      continue;
    // A context keeps those to itself; a member could not read them.
    if ((record.header->flags & shm::kInternalEvent) != 0) continue;
    const std::uint64_t key = record.key.empty() ? 0 : std::max<std::uint64_t>(1, xxh3(record.key));
    keys.records.emplace_back(record.header->offset, key);
  }
  keys.next = std::max(from, log.next_offset());
  return keys;
}

Offset QueueDriver::settle(TopicId id, PartitionIndex index, Position low) {
  const Partition* const partition = find(id, index);
  if (partition == nullptr) return low.offset;
  std::vector<EpochStart> starts;
  for (const auto& [epoch, first] : parts_.topics.epochs().starts(partition->id()))
    starts.push_back({.epoch = epoch, .first_offset = first});
  return settle_position(low, log(id, index), starts).position.offset;
}

Result<Offset> QueueDriver::offset_at(TopicId id, PartitionIndex index, UnixMillis time_ms) {
  const Partition* const partition = find(id, index);
  if (partition == nullptr) return 0;
  if (const auto& why = partition->quarantine()) return std::unexpected(*why);
  return partition->find_time(time_ms);
}

// The journal
// -----------------------------------------------------------------------------------------

std::size_t QueueDriver::journal(std::span<const std::vector<std::byte>> payloads) {
  Partition* const partition = find(journal_, 0);
  if (partition == nullptr) return 0;
  std::size_t written = 0;
  while (written < payloads.size()) {
    std::vector<shm::RecordInput> records;
    std::size_t bytes = 0;
    for (std::size_t i = written; i < payloads.size() && bytes < kJournalBatchBytes; ++i) {
      records.push_back({.payload = payloads[i], .type = shm::RecordType::kControl});
      bytes += payloads[i].size() + shm::kRecordHeaderBytes;
    }
    CRASH_POINT("queues.journal");
    const WriteOutcome outcome = partition->writer().append(records);
    if (outcome.status != WriteStatus::kAppended) {
      if (outcome.status == WriteStatus::kReadOnly)
        complain({}, "the queue journal cannot be written");
      break;
    }
    written += records.size();
  }
  return written;
}

Offset QueueDriver::journal_end() {
  const Partition* const partition = find(journal_, 0);
  return partition == nullptr ? 0 : partition->end_offset();
}

bool QueueDriver::is_durable(Offset changes) {
  const Partition* const partition = find(journal_, 0);
  return partition == nullptr || partition->durable_offset() >= changes;
}

void QueueDriver::journal_covered(Offset floor, Offset end) {
  covered_ = {.floor = floor, .end = end};
}

// Clients
// -----------------------------------------------------------------------------------------

void QueueDriver::send(SessionIndex session, const shm::Grants& grants) {
  if (Session* who = parts_.sessions.find(session)) parts_.sessions.push(*who, grants);
}

void QueueDriver::send(SessionIndex session, const shm::Settled& settled) {
  if (Session* who = parts_.sessions.find(session)) parts_.sessions.push(*who, settled);
}

bool QueueDriver::is_alive(const Holder& holder) {
  const Session* const session = parts_.sessions.find(holder.session);
  return session != nullptr && !session->gone && session->entry->token == holder.token;
}

void QueueDriver::report(const QueueIdentity& queue, const std::string& sentence) {
  const Topic* const topic = parts_.topics.find(queue.topic);
  log_event(Level::kWarning, sentence,
            {{"group", queue.group},
             {"topic", topic == nullptr ? std::string_view{"?"} : std::string_view{topic->name()}},
             {"partition", queue.partition}});
}

/// What may be said on every turn is said now and then.
void QueueDriver::complain(const QueueIdentity& queue, const std::string& sentence) {
  std::uint64_t dropped = 0;
  if (brake_.pass(boot_now_ns(), dropped)) report(queue, sentence);
}

// Dead letters
// -----------------------------------------------------------------------------------------

std::optional<Offset> QueueDriver::write_letter(const LetterOrder& order) {
  Topic* const source = parts_.topics.find(order.queue.topic);
  if (source == nullptr || order.queue.partition >= source->partitions()) return kNoOffset;
  LogReader& log = reader(order.queue.topic, order.queue.partition);
  log.seek(order.offset);
  const shm::RecordView* found = nullptr;
  while (found == nullptr) {
    const auto batch = log.read(kLetterBytes);
    if (!batch) {
      complain(order.queue, batch.error().sentence());
      return std::nullopt;
    }
    for (const shm::RecordView& record : (*batch)->records)
      if (record.header->offset == order.offset) found = &record;
    if (found == nullptr && (log.next_offset() > order.offset || (*batch)->at_end))
      return kNoOffset;
  }
  Topic* const letters = letters_of(order.queue, *source);
  if (letters == nullptr) return std::nullopt;
  return append_letter(*letters, *source, order, *found);
}

Topic* QueueDriver::letters_of(const QueueIdentity& queue, const Topic& source) {
  const std::string name = dead_letter_topic(source.name(), queue.group);
  if (Topic* known = parts_.topics.find(name)) {
    if (!known->settings().events && !known->settings().exclusive) return known;
    complain(queue, "'" + name + "' cannot take dead letters: type=events or producers=exclusive");
    return nullptr;
  }
  TopicSettings settings;
  settings.slot_bytes = std::max(2 * source.settings().slot_bytes, kSmallestLetterSlot);
  settings.record_max_bytes = settings.slot_bytes / 2;
  settings.segment_bytes = std::max(settings.segment_bytes, settings.slot_bytes);
  settings.memory_only = source.settings().memory_only;
  settings.produce_allow = source.settings().produce_allow;
  settings.consume_allow = source.settings().consume_allow;
  settings.given = {"slot.bytes", "segment.bytes", "storage", "produce.allow", "consume.allow"};
  const auto made = parts_.topics.create(name, settings);
  if (!made) {
    complain(queue, "no topic for dead letters: " + made.error().sentence());
    return nullptr;
  }
  log_event(Level::kInfo, "topic of dead letters created", {{"topic", name}});
  topic_known(**made);
  parts_.topic_made(**made);
  return *made;
}

std::optional<Offset> QueueDriver::append_letter(Topic& letters, const Topic& source,
                                                 const LetterOrder& order,
                                                 const shm::RecordView& record) {
  const auto attributes = letter_attributes(record.attributes, source.name(), order);
  Partition& partition = letters.partition(0);
  CRASH_POINT("queues.letter");
  const WriteOutcome outcome = partition.writer().append({.payload = record.payload,
                                                          .key = record.key,
                                                          .attributes = attributes,
                                                          .type = record.header->type},
                                                         {.flush = true});
  if (outcome.status == WriteStatus::kAppended) return outcome.offset;
  if (outcome.status == WriteStatus::kTooLarge || outcome.status == WriteStatus::kReadOnly)
    complain(order.queue, "a dead letter cannot be written to '" + letters.name() + "': " +
                              (outcome.status == WriteStatus::kTooLarge ? "it is too large"
                                                                        : "appends are refused"));
  return std::nullopt;
}

Topic* QueueDriver::known_letters_of(const QueueIdentity& queue) {
  const Topic* const source = parts_.topics.find(queue.topic);
  if (source == nullptr) return nullptr;
  return parts_.topics.find(dead_letter_topic(source->name(), queue.group));
}

bool QueueDriver::is_letter_durable(const QueueIdentity& queue, Offset letter) {
  Topic* const letters = known_letters_of(queue);
  return letters != nullptr && letters->partition(0).durable_offset() > letter;
}

bool QueueDriver::has_letter(const QueueIdentity& queue, Offset letter) {
  Topic* const letters = known_letters_of(queue);
  // In quarantine nobody knows: a second letter is written when its memory is gone.
  return letters != nullptr &&
         (letters->partition(0).quarantine() || letters->partition(0).end_offset() > letter);
}

}  // namespace mallbots::broker
