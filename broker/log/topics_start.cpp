// Topics::start and what it is made of: bringing back what disk and keeper have.
#include <algorithm>
#include <atomic>
#include <thread>

#include "broker/log/topic_memory.h"
#include "broker/log/topics.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

Result<TopicSettings> settings_of(const TopicEntry& entry) {
  std::vector<shm::Setting> settings;
  settings.reserve(entry.settings.size());
  for (const auto& [key, value] : entry.settings) settings.push_back({key, value, false});
  return new_settings(static_cast<std::uint32_t>(entry.partitions.size()), settings);
}

}  // namespace

Result<void> Topics::start(bool memory_kept,
                           const std::function<void(const std::string&)>& log_line) {
  auto epochs = EpochLog::load(parts_.disk, parts_.data.epochs_path());
  if (!epochs) return std::unexpected(std::move(epochs).error());
  epochs_ = std::move(*epochs);
  MALLBOTS_TRY(make_own_session());
  names_.emplace(parts_.disk, parts_.data.producers_path(), options_.producer_keep_ns);
  MALLBOTS_TRY(names_->load());
  auto catalogue = load_catalogue(parts_.disk, parts_.data);
  if (!catalogue) return std::unexpected(std::move(catalogue).error());
  auto clean = take_clean_mark(parts_.disk, parts_.data);
  if (!clean) return std::unexpected(std::move(clean).error());

  struct Found {
    std::unique_ptr<Topic> topic;
    bool kept = false;
    std::vector<RecoveredPartition> recovered;
  };
  std::vector<Found> found;
  std::vector<std::pair<PartitionId, Offset>> ends;
  LogEpoch newest = 0;
  bool loses_records = false;
  for (const TopicEntry& entry : catalogue->topics) {
    if (entry.state == TopicState::kDeleting) {
      // The broker that wrote it may have died before the list was sure to last.
      MALLBOTS_TRY(parts_.disk.sync_folder(parts_.data.path));
      MALLBOTS_TRY(remove_topic_folders(parts_.disk, parts_.data, entry.id));
      continue;
    }
    Found item;
    auto topic = build(entry, memory_kept);
    if (!topic) return std::unexpected(std::move(topic).error());
    item.topic = std::move(*topic);
    item.kept = static_cast<bool>(item.topic->board_map_);
    auto recovered = recover(*item.topic, item.kept, clean->has_value());
    if (!recovered) return std::unexpected(std::move(recovered).error());
    item.recovered = std::move(*recovered);
    const bool loses = !memory_kept && (!*clean || item.topic->settings_.memory_only);
    loses_records = loses_records || loses;
    for (std::size_t i = 0; i < item.recovered.size(); ++i) {
      const RecoveredPartition& partition = item.recovered[i];
      ends.emplace_back(item.topic->partition_ids_[i], loses ? partition.end.offset : kNoOffset);
      newest = std::max(newest, partition.newest_epoch);
      for (const RecoveryFinding& finding : partition.findings) {
        log_line(item.topic->name_ + "[" + std::to_string(i) + "]: " + finding.sentence);
        if (finding.end_offset > finding.first_offset) ++damaged_ranges_;
      }
    }
    found.push_back(std::move(item));
  }
  if (loses_records) MALLBOTS_TRY(epochs_->raise(parts_.disk, newest, ends));
  for (Found& item : found) {
    Topic& topic = *item.topic;
    MALLBOTS_TRY(open_partitions(topic, item.kept, std::move(item.recovered)));
    by_id_[topic.id_] = &topic;
    topics_[topic.name_] = std::move(item.topic);
  }
  if (memory_kept) restore_producers();
  return follow_names(log_line);
}

/// Not with the keeper: an heir begins with its own, and only frees the words of this one.
Result<void> Topics::make_own_session() {
  auto fd = shm::create_memory("mallbots-broker-session", sizeof(shm::SessionPage));
  if (!fd) return std::unexpected(std::move(fd).error());
  auto page = shm::Mapping::of(fd->get(), sizeof(shm::SessionPage), shm::Access::kReadWrite);
  if (!page) return std::unexpected(std::move(page).error());
  own_session_ = std::move(*page);
  own_session_.as<shm::SessionPage>()->header.session = kBrokerSession;
  return {};
}

Result<std::unique_ptr<Topic>> Topics::build(const TopicEntry& entry, bool memory_kept) {
  auto settings = settings_of(entry);
  if (!settings) return std::unexpected(std::move(settings).error());
  auto topic = std::make_unique<Topic>();
  topic->id_ = entry.id;
  topic->name_ = entry.name;
  topic->settings_ = std::move(*settings);
  topic->created_ms_ = entry.created_ms;
  topic->partition_ids_ = entry.partitions;
  if (memory_kept) MALLBOTS_TRY(take_shared(*topic));
  return topic;
}

/// A predecessor's board, knock page and notes, if the keeper has all of them.
Result<void> Topics::take_shared(Topic& topic) {
  const auto id = static_cast<std::uint64_t>(topic.id_);
  const auto partitions = static_cast<std::uint32_t>(topic.partition_ids_.size());
  topic.board_fd_ = parts_.keeper.take(FdKind::kBoard, id);
  topic.knock_fd_ = parts_.keeper.take(FdKind::kKnock, id);
  topic.note_fd_ = parts_.keeper.take(FdKind::kDurableNote, id);
  // The predecessor died while it created the topic: nobody has seen its memory yet.
  if (!topic.board_fd_ || !topic.knock_fd_ || !topic.note_fd_) return {};
  MALLBOTS_TRY(map_shared(topic));
  const shm::BoardHeader& board = topic.board();
  if (board.page.magic != shm::kBoardMagic || board.page.layout_version != shm::kLayoutVersion ||
      board.topic_id != id || board.partitions != partitions)
    return fail(ErrorCode::kWrongVersion, "the kept board of topic " + topic.name_);
  return {};
}

Result<void> Topics::map_shared(Topic& topic) {
  const auto partitions = static_cast<std::uint32_t>(topic.partition_ids_.size());
  const auto map = [](const shm::UniqueFd& fd, std::size_t bytes,
                      shm::Mapping& into) -> Result<void> {
    auto mapping = shm::Mapping::of(fd.get(), bytes, shm::Access::kReadWrite);
    if (!mapping) return std::unexpected(std::move(mapping).error());
    into = std::move(*mapping);
    return into.populate(0, bytes);
  };
  MALLBOTS_TRY(map(topic.board_fd_, shm::board_bytes(partitions), topic.board_map_));
  MALLBOTS_TRY(map(topic.knock_fd_, shm::knock_bytes(partitions), topic.knock_map_));
  return map(topic.note_fd_, partitions * sizeof(DurableNote), topic.note_map_);
}

/// Fresh board, knock page and notes, filled in and with the keeper.
Result<void> Topics::make_shared_memory(Topic& topic) {
  const auto partitions = static_cast<std::uint32_t>(topic.partition_ids_.size());
  const auto make = [](const char* name, std::size_t bytes, shm::UniqueFd& into) -> Result<void> {
    auto fd = shm::create_memory(name, bytes);
    if (!fd) return std::unexpected(std::move(fd).error());
    into = std::move(*fd);
    return {};
  };
  MALLBOTS_TRY(make("mallbots-board", shm::board_bytes(partitions), topic.board_fd_));
  MALLBOTS_TRY(make("mallbots-knock", shm::knock_bytes(partitions), topic.knock_fd_));
  MALLBOTS_TRY(make("mallbots-notes", partitions * sizeof(DurableNote), topic.note_fd_));
  MALLBOTS_TRY(map_shared(topic));
  const TopicSettings& settings = topic.settings_;
  shm::BoardHeader& board = topic.board();
  board.page = {shm::kBoardMagic, shm::kLayoutVersion, shm::board_bytes(partitions)};
  board.topic_id = static_cast<std::uint64_t>(topic.id_);
  board.partitions = partitions;
  board.slots = settings.slots;
  board.slot_bytes = settings.slot_bytes;
  board.flags =
      (settings.memory_only ? static_cast<std::uint32_t>(shm::TopicFlag::kMemoryOnly) : 0) |
      (settings.header_checksum ? static_cast<std::uint32_t>(shm::TopicFlag::kHeaderChecksum) : 0) |
      (settings.exclusive ? static_cast<std::uint32_t>(shm::TopicFlag::kExclusive) : 0) |
      (settings.sequenced ? static_cast<std::uint32_t>(shm::TopicFlag::kSequenced) : 0) |
      (settings.events ? static_cast<std::uint32_t>(shm::TopicFlag::kEvents) : 0);
  board.record_max_bytes = static_cast<std::uint32_t>(settings.record_max_bytes);
  tell_times(board, settings);
  for (PartitionIndex i = 0; i < partitions; ++i) {
    shm::PartitionBoard& partition = board_of(topic.board_map_, i);
    partition.partition_id = static_cast<std::uint64_t>(topic.partition_ids_[i]);
    partition.log_epoch = epochs_->current();
    for (shm::SlotEntry& entry : partition.entries) {
      CRASH_POINT("topics.make_board");
      entry.n.store(shm::kNoSlot);
    }
  }
  topic.knock().page = {shm::kKnockMagic, shm::kLayoutVersion, shm::knock_bytes(partitions)};
  const auto id = static_cast<std::uint64_t>(topic.id_);
  MALLBOTS_TRY(parts_.keeper.put(FdKind::kBoard, id, topic.board_fd_.get()));
  MALLBOTS_TRY(parts_.keeper.put(FdKind::kKnock, id, topic.knock_fd_.get()));
  return parts_.keeper.put(FdKind::kDurableNote, id, topic.note_fd_.get());
}

/// Reads what is on disk, partitions in parallel; nothing for memory topics.
Result<std::vector<RecoveredPartition>> Topics::recover(const Topic& topic, bool kept, bool clean) {
  const std::size_t count = topic.partition_ids_.size();
  std::vector<RecoveredPartition> recovered(count);
  if (topic.settings_.memory_only) return recovered;
  std::vector<Result<RecoveredPartition>> results(count);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      const auto index = static_cast<PartitionIndex>(i);
      RecoverRequest request;
      request.folder = parts_.data.partition_folder(topic.id_, index);
      request.identity = {topic.id_, topic.partition_ids_[i], index};
      request.clean = clean;
      if (kept) {
        request.cut_at = board_of(topic.board_map_, index).durable_offset.load();
        request.note = load_note(topic.note_map_.as<DurableNote>()[i]);
      }
      results[i] = recover_partition(parts_.disk, request);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < std::min<std::size_t>(options_.recovery_threads, count); ++i)
      threads.emplace_back(work);
    work();
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!results[i]) return std::unexpected(std::move(results[i]).error());
    recovered[i] = std::move(*results[i]);
  }
  return recovered;
}

/// What direct producers can do to their slots is no reason to serve nobody.
Result<void> Topics::take_over(const Topic& topic, Partition& partition,
                               RecoveredPartition recovered) {
  auto taken = partition.take_over(parts_.data.partition_folder(topic.id_, partition.index()),
                                   std::move(recovered));
  if (taken) return taken;
  Error why = std::move(taken).error();
  why.detail = topic.name_ + "/" + std::to_string(partition.index()) + " in memory: " + why.detail;
  const bool by_producers = !topic.settings_.sequenced && !topic.is_internal();
  if (why.code != ErrorCode::kCorrupt || !by_producers) return std::unexpected(std::move(why));
  why.detail +=
      "; the partition is in quarantine until its topic is deleted, or mallbotsd is stopped and "
      "started, which keeps what is durable";
  if (say_) say_(why.sentence());
  partition.put_in_quarantine(std::move(why));
  return {};
}

Result<void> Topics::open_partitions(Topic& topic, bool kept,
                                     std::vector<RecoveredPartition> recovered) {
  if (!kept) MALLBOTS_TRY(make_shared_memory(topic));
  shm::BoardHeader& board = topic.board();
  for (PartitionIndex i = 0; i < topic.partition_ids_.size(); ++i) {
    const bool on_disk = !topic.settings_.memory_only;
    Partition::Parts parts{{parts_.keeper, parts_.sessions, parts_.registry},
                           board,
                           board_of(topic.board_map_, i),
                           knock_of(topic.knock_map_, i),
                           *this,
                           own_session_.as<shm::SessionPage>(),
                           on_disk ? &parts_.disk : nullptr,
                           &parts_.spares,
                           on_disk ? &topic.note_map_.as<DurableNote>()[i] : nullptr};
    topic.partitions_.push_back(
        std::make_unique<Partition>(parts, PartitionIdentity{topic.id_, topic.partition_ids_[i], i},
                                    topic.settings_, parts.board.log_epoch));
    Partition& partition = *topic.partitions_.back();
    MALLBOTS_TRY(kept ? take_over(topic, partition, std::move(recovered[i]))
                      : partition.start(parts_.data.partition_folder(topic.id_, i),
                                        std::move(recovered[i])));
  }
  CRASH_POINT("topics.incarnation");
  board.incarnation.store(parts_.registry.incarnation.load());
  CRASH_POINT("topics.open_board");
  board.state.store(static_cast<std::uint32_t>(shm::BoardState::kOpen));
  return {};
}

}  // namespace mallbots::broker
