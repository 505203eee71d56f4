#include "broker/log/topics.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "shm/base/check.h"
#include "shm/concurrent/cells.h"
#include "shm/concurrent/partition.h"

namespace mallbots::broker {
namespace {

constexpr BootNanos kSpaceLookEvery = kSecond;
constexpr BootNanos kRetentionEvery = 5 * kSecond;

std::uint64_t random_id() {
  std::random_device device;
  std::uint64_t id = 0;
  while (id == 0) id = (std::uint64_t{device()} << 32) | device();
  return id;
}

Result<void> check_name(const std::string& name) {
  const auto refuse = [&](const char* why) { return fail(ErrorCode::kBadTopicName, why); };
  if (name.empty()) return refuse("it is empty");
  if (name.size() > shm::kMaxNameBytes) return refuse("it is longer than 200 bytes");
  if (name.front() == '.') return refuse("it begins with '.'");
  for (std::size_t i = 0; i < name.size();) {
    const auto lead = static_cast<unsigned char>(name[i]);
    if (lead < 0x20 || lead == 0x7F) return refuse("it has a control character");
    if (lead == '/') return refuse("it has a '/'");
    // Well-formed UTF-8: RFC 3629, section 4.
    const std::size_t more = lead < 0x80              ? 0
                             : (lead >> 5) == 0b110   ? 1
                             : (lead >> 4) == 0b1110  ? 2
                             : (lead >> 3) == 0b11110 ? 3
                                                      : 4;
    if (more == 4 || i + more >= name.size()) return refuse("it is not UTF-8");
    std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(name[i + k]);
      if ((next >> 6) != 0b10) return refuse("it is not UTF-8");
      point = (point << 6) | (next & 0x3FU);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
      return refuse("it is not UTF-8");
    i += more + 1;
  }
  return {};
}

template <class T>
T* at_offset(const shm::Mapping& mapping, std::size_t offset) noexcept {
  return reinterpret_cast<T*>(mapping.data() + offset);
}

shm::PartitionBoard& board_of(const shm::Mapping& board, PartitionIndex index) noexcept {
  return *at_offset<shm::PartitionBoard>(
      board, sizeof(shm::BoardHeader) + index * sizeof(shm::PartitionBoard));
}

shm::KnockLine& knock_of(const shm::Mapping& knock, PartitionIndex index) noexcept {
  return *at_offset<shm::KnockLine>(knock,
                                    sizeof(shm::KnockHeader) + index * sizeof(shm::KnockLine));
}

std::vector<std::pair<std::string, std::string>> stored_settings(const TopicSettings& settings) {
  std::vector<std::pair<std::string, std::string>> stored;
  for (shm::Setting& setting : describe_settings(settings))
    if (!setting.is_default) stored.emplace_back(std::move(setting.key), std::move(setting.value));
  return stored;
}

Result<TopicSettings> settings_of(const TopicEntry& entry) {
  std::vector<shm::Setting> settings;
  for (const auto& [key, value] : entry.settings) settings.push_back({key, value, false});
  return new_settings(static_cast<std::uint32_t>(entry.partitions.size()), settings);
}

}  // namespace

// Topic
// --------------------------------------------------------------------------------------------

Partition& Topic::partition(PartitionIndex index) {
  CHECK(index < partitions_.size());
  return *partitions_[index];
}
const Partition& Topic::partition(PartitionIndex index) const {
  CHECK(index < partitions_.size());
  return *partitions_[index];
}

Result<shm::UniqueFd> Topic::board_fd() const { return shm::reopen_read_only(board_fd_.get()); }

Result<shm::UniqueFd> Topic::knock_fd() const {
  shm::UniqueFd fd{::fcntl(knock_fd_.get(), F_DUPFD_CLOEXEC, 0)};
  if (!fd) return fail(ErrorCode::kLimitReached, "no file descriptor is free");
  return fd;
}

Result<shm::UniqueFd> Topic::slot_fd(PartitionIndex partition, std::uint64_t slot_id,
                                     bool writable) {
  SlotRing& ring = this->partition(partition).ring();
  HotSlot* const slot = ring.find_id(slot_id);
  if (slot == nullptr)
    return fail(ErrorCode::kBadArgument, "slot " + std::to_string(slot_id) + " is not there");
  MALLBOTS_TRY(ring.populate(*slot));
  if (!writable) return shm::reopen_read_only(slot->fd.get());
  shm::UniqueFd fd{::fcntl(slot->fd.get(), F_DUPFD_CLOEXEC, 0)};
  if (!fd) return fail(ErrorCode::kLimitReached, "no file descriptor is free");
  return fd;
}

void Topic::add_doorbell(SessionIndex session) {
  if (std::ranges::find(doorbells_, session) == doorbells_.end()) doorbells_.push_back(session);
}

// Start
// --------------------------------------------------------------------------------------------

Topics::Topics(const Parts& parts, TopicsOptions options) : parts_(parts), options_(options) {}
Topics::~Topics() = default;

Result<void> Topics::start(bool memory_kept,
                           const std::function<void(const std::string&)>& log_line) {
  auto epochs = EpochLog::load(parts_.disk, parts_.data.epochs_path());
  if (!epochs) return std::unexpected(std::move(epochs).error());
  epochs_ = std::move(*epochs);
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
  for (const TopicEntry& entry : catalogue->topics) {
    if (entry.state == TopicState::kDeleting) {
      MALLBOTS_TRY(remove_topic_folders(parts_.disk, parts_.data, entry.id));
      continue;
    }
    Found item;
    auto topic = build(entry, memory_kept);
    if (!topic) return std::unexpected(std::move(topic).error());
    item.topic = std::move(*topic);
    item.kept = static_cast<bool>(item.topic->board_map_);
    auto recovered = recover(*item.topic, item.kept);
    if (!recovered) return std::unexpected(std::move(recovered).error());
    item.recovered = std::move(*recovered);
    for (std::size_t i = 0; i < item.recovered.size(); ++i) {
      const RecoveredPartition& partition = item.recovered[i];
      ends.emplace_back(item.topic->partition_ids_[i], partition.end.offset);
      newest = std::max(newest, partition.newest_epoch);
      for (const RecoveryFinding& finding : partition.findings) {
        log_line(item.topic->name_ + "[" + std::to_string(i) + "]: " + finding.sentence);
        if (finding.end_offset > finding.first_offset) ++damaged_ranges_;
      }
    }
    found.push_back(std::move(item));
  }
  if (!memory_kept && !*clean && !found.empty())
    MALLBOTS_TRY(epochs_->raise(parts_.disk, newest, ends));
  for (Found& item : found) {
    Topic& topic = *item.topic;
    MALLBOTS_TRY(open_partitions(topic, item.kept, std::move(item.recovered)));
    by_id_[topic.id_] = &topic;
    topics_[topic.name_] = std::move(item.topic);
  }
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
      (settings.exclusive ? static_cast<std::uint32_t>(shm::TopicFlag::kExclusive) : 0);
  board.record_max_bytes = static_cast<std::uint32_t>(settings.record_max_bytes);
  board.stall_limit_ns = settings.stall_limit_ms * kMillisecond;
  board.flush_interval_ns = settings.flush_interval_ms * kMillisecond;
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
Result<std::vector<RecoveredPartition>> Topics::recover(const Topic& topic, bool kept) {
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
                           on_disk ? &parts_.disk : nullptr,
                           &parts_.spares,
                           on_disk ? &topic.note_map_.as<DurableNote>()[i] : nullptr};
    topic.partitions_.push_back(
        std::make_unique<Partition>(parts, PartitionIdentity{topic.id_, topic.partition_ids_[i], i},
                                    topic.settings_, parts.board.log_epoch));
    const std::string folder = parts_.data.partition_folder(topic.id_, i);
    Partition& partition = *topic.partitions_.back();
    MALLBOTS_TRY(kept ? partition.take_over(folder, std::move(recovered[i]))
                      : partition.start(folder, std::move(recovered[i])));
  }
  CRASH_POINT("topics.incarnation");
  board.incarnation.store(parts_.registry.incarnation.load());
  CRASH_POINT("topics.open_board");
  board.state.store(static_cast<std::uint32_t>(shm::BoardState::kOpen));
  return {};
}

// The catalogue
// ------------------------------------------------------------------------------------

Result<void> Topics::save() {
  Catalogue catalogue;
  for (const auto& [name, topic] : topics_) {
    TopicEntry entry;
    entry.id = topic->id_;
    entry.name = name;
    entry.created_ms = topic->created_ms_;
    entry.partitions = topic->partition_ids_;
    entry.settings = stored_settings(topic->settings_);
    catalogue.topics.push_back(std::move(entry));
  }
  for (const TopicEntry& entry : deleting_) catalogue.topics.push_back(entry);
  return save_catalogue(parts_.disk, parts_.data, catalogue);
}

Result<Topic*> Topics::create(const std::string& name, const TopicSettings& settings) {
  MALLBOTS_TRY(check_name(name));
  if (topics_.contains(name)) return fail(ErrorCode::kTopicExists, "'" + name + "'");
  std::uint64_t memory = memory_cost_bytes(settings);
  std::uint64_t disk = disk_cost_bytes(settings).value_or(0);
  for (const auto& [other, topic] : topics_) {
    memory += memory_cost_bytes(topic->settings_);
    disk += disk_cost_bytes(topic->settings_).value_or(0);
  }
  if (memory > options_.memory_max_bytes)
    return fail(ErrorCode::kMemoryFull, "with '" + name + "' the topics could take " +
                                            format_size(memory) + ", memory.max is " +
                                            format_size(options_.memory_max_bytes));
  if (disk > options_.disk_max_bytes)
    return fail(ErrorCode::kDiskBudget, "with '" + name + "' the topics could take " +
                                            format_size(disk) + ", disk.max is " +
                                            format_size(options_.disk_max_bytes));
  if (disk_full_ && !settings.memory_only)
    return fail(ErrorCode::kDiskFull, "the reserve is in use");

  TopicEntry entry;
  entry.id = TopicId{random_id()};
  entry.name = name;
  entry.created_ms = wall_now_ms();
  for (std::uint32_t i = 0; i < settings.partitions; ++i)
    entry.partitions.push_back(PartitionId{random_id()});
  entry.settings = stored_settings(settings);
  auto made = build(entry, false);
  if (!made) return std::unexpected(std::move(made).error());
  Topic& topic = **made;
  if (!settings.memory_only)
    MALLBOTS_TRY(make_topic_folders(parts_.disk, parts_.data, entry.id, settings.partitions));
  // On the list first: memory without an entry is dropped by the next broker, files without one
  // would stay for ever.
  topics_[name] = std::move(*made);
  if (auto saved = save(); !saved) {
    topics_.erase(name);
    return std::unexpected(std::move(saved).error());
  }
  if (auto opened =
          open_partitions(topic, false, std::vector<RecoveredPartition>(settings.partitions));
      !opened) {
    forget_memory(topic);
    topics_.erase(name);
    static_cast<void>(save());
    return std::unexpected(std::move(opened).error());
  }
  by_id_[topic.id_] = &topic;
  return &topic;
}

Result<void> Topics::remove(const std::string& name) {
  const auto found = topics_.find(name);
  if (found == topics_.end()) return fail(ErrorCode::kUnknownTopic, "'" + name + "'");
  Topic& topic = *found->second;
  TopicEntry entry;
  entry.id = topic.id_;
  entry.name = name;
  entry.state = TopicState::kDeleting;
  entry.partitions = topic.partition_ids_;
  deleting_.push_back(entry);
  auto gone = std::move(found->second);
  topics_.erase(found);
  if (auto saved = save(); !saved) {
    deleting_.pop_back();
    topics_[name] = std::move(gone);
    return saved;
  }
  by_id_.erase(topic.id_);
  CRASH_POINT("topics.gone");
  topic.board().state.store(static_cast<std::uint32_t>(shm::BoardState::kGone));
  for (const auto& partition : topic.partitions_) {
    static_cast<void>(partition->ring().close(false));
    partition->wake_all();
  }
  ring_doorbells(topic);
  forget_memory(topic);
  // Requests in flight still read the slots: the memory goes when they are done.
  dying_.push_back(std::move(gone));
  return {};
}

/// Buries deleted topics whose last request has completed.
void Topics::bury() {
  std::erase_if(dying_, [&](const std::unique_ptr<Topic>& topic) {
    if (std::ranges::any_of(topic->partitions_, [](const auto& p) { return p->busy(); }))
      return false;
    topic->partitions_.clear();
    if (!remove_topic_folders(parts_.disk, parts_.data, topic->id_)) return true;
    std::erase_if(deleting_, [&](const TopicEntry& entry) { return entry.id == topic->id_; });
    static_cast<void>(save());
    return true;
  });
}

void Topics::forget_memory(Topic& topic) {
  const auto id = static_cast<std::uint64_t>(topic.id_);
  for (const auto& partition : topic.partitions_)
    for (const HotSlot& slot : partition->ring().slots())
      static_cast<void>(parts_.keeper.remove(FdKind::kSlot, slot.slot_id));
  for (const FdKind kind : {FdKind::kBoard, FdKind::kKnock, FdKind::kDurableNote})
    static_cast<void>(parts_.keeper.remove(kind, id));
}

Result<void> Topics::alter(const std::string& name, const TopicSettings& settings) {
  Topic* const topic = find(name);
  if (topic == nullptr) return fail(ErrorCode::kUnknownTopic, "'" + name + "'");
  TopicSettings before = std::exchange(topic->settings_, settings);
  if (auto saved = save(); !saved) {
    topic->settings_ = std::move(before);
    return saved;
  }
  next_retention_ = 0;
  return {};
}

Topic* Topics::find(const std::string& name) {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : found->second.get();
}
Topic* Topics::find(TopicId id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}
std::vector<Topic*> Topics::all() {
  std::vector<Topic*> list;
  for (const auto& [name, topic] : topics_) list.push_back(topic.get());
  return list;
}

// Sessions
// -----------------------------------------------------------------------------------------

Result<shm::OpenProducerReply> Topics::open_producer(SessionIndex session, Topic& topic,
                                                     PartitionIndex partition) {
  const auto cell = parts_.sessions.open_cell(session);
  if (!cell) return fail(ErrorCode::kLimitReached, "the session's 2048 cells are all in use");
  shm::OpenProducerReply reply;
  reply.cell = *cell;
  reply.producer_id = random_id();
  topic.producer_cells_[session].emplace_back(partition, *cell);
  producers_[reply.producer_id] = session;
  return reply;
}

Result<std::uint32_t> Topics::open_reader(SessionIndex session) {
  const auto cell = parts_.sessions.open_cell(session);
  if (!cell) return fail(ErrorCode::kLimitReached, "the session's 2048 cells are all in use");
  return *cell;
}

void Topics::session_died(SessionIndex session) {
  for (const auto& [name, topic] : topics_) {
    const auto cells = topic->producer_cells_.find(session);
    for (const auto& partition : topic->partitions_) {
      std::vector<std::uint32_t> of_partition;
      if (cells != topic->producer_cells_.end())
        for (const auto& [index, cell] : cells->second)
          if (index == partition->index()) of_partition.push_back(cell);
      partition->session_died(session, of_partition);
    }
    if (cells != topic->producer_cells_.end()) topic->producer_cells_.erase(cells);
    std::erase(topic->doorbells_, session);
  }
  std::erase_if(producers_, [&](const auto& producer) { return producer.second == session; });
}

void Topics::wake_all() {
  for (const auto& [name, topic] : topics_) {
    for (const auto& partition : topic->partitions_) partition->wake_all();
    ring_doorbells(*topic);
  }
}

void Topics::ring_doorbells(Topic& topic) {
  for (const SessionIndex session : topic.doorbells_)
    if (shm::SessionPage* const page = parts_.sessions.page(session); page != nullptr)
      shm::wake_if_waited(page->header.doorbell);
}

// Duties
// -------------------------------------------------------------------------------------------

BootNanos Topics::duty(BootNanos now) {
  BootNanos next_look = INT64_MAX;
  for (const auto& [name, topic] : topics_) {
    for (const auto& partition : topic->partitions_) partition->duty(now, next_look);
    if (!topic->doorbells_.empty()) ring_doorbells(*topic);
  }
  if (!dying_.empty()) bury();
  hold_orphans_down();
  look_at_space(now, next_look);
  retain(now, next_look);
  parts_.disk.kick();
  return next_look;
}

/// Replaced slots that readers still pin are bounded: beyond it the oldest pin goes.
void Topics::hold_orphans_down() {
  std::uint64_t bytes = orphan_bytes();
  for (const auto& [name, topic] : topics_) {
    for (const auto& partition : topic->partitions_) {
      while (bytes > options_.orphan_max_bytes && partition->ring().revoke_oldest_orphan()) {
        static_cast<void>(partition->ring().pump([](SlotGen) { return false; }));
        const std::uint64_t left = orphan_bytes();
        if (left == bytes) break;
        bytes = left;
      }
    }
  }
}

void Topics::look_at_space(BootNanos now, BootNanos& next_look) {
  const bool any_open = std::ranges::any_of(
      topics_, [](const auto& topic) { return !topic.second->settings_.memory_only; });
  if (!any_open) return;
  // An idle log fills no disk: looked at while something is written, and while it is full.
  if (now >= next_space_look_) {
    next_space_look_ = now + kSpaceLookEvery;
    if (const auto space = parts_.disk.space(parts_.data.path)) {
      const bool full = is_full(*space, SpaceRule{}, disk_full_);
      if (full != disk_full_ && say_)
        say_(full ? "the data directory has no room left but the reserve: producers are refused"
                  : "the data directory has room again: producers are welcome");
      if (full != disk_full_)
        for (const auto& [name, topic] : topics_)
          for (const auto& partition : topic->partitions_)
            if (partition->store() != nullptr)
              partition->set_readonly(full ? ErrorCode::kDiskFull : ErrorCode::kNone);
      disk_full_ = full;
    }
  }
  if (disk_full_) next_look = std::min(next_look, next_space_look_);
}

void Topics::retain(BootNanos now, BootNanos& next_look) {
  bool bounded = false;
  for (const auto& [name, topic] : topics_) {
    const TopicSettings& settings = topic->settings_;
    bounded = bounded ||
              (!settings.memory_only &&
               (settings.retention_ms || settings.retention_bytes || settings.retention_records));
  }
  if (!bounded) return;
  if (now >= next_retention_) {
    next_retention_ = now + kRetentionEvery;
    const UnixMillis wall = wall_now_ms();
    if (wall_watch_.look(wall, now) && say_)
      say_("the wall clock jumped: retention by age pauses for an hour");
    for (const auto& [name, topic] : topics_)
      for (const auto& partition : topic->partitions_)
        partition->retain(topic->settings_, wall, wall_watch_.age_may_delete(now));
  }
  next_look = std::min(next_look, next_retention_);
}

bool Topics::park() {
  for (const auto& [name, topic] : topics_) {
    // With a timer when nobody needs to wake us: on memory topics only a seal does, and dirty disk
    // topics are flushed by the timer.
    const bool dirty =
        std::ranges::any_of(topic->partitions_, [](const auto& p) { return p->dirty(); });
    const bool timer = topic->doorbells_.empty() && (dirty || topic->settings_.memory_only);
    topic->parked_dirty_ = dirty;
    CRASH_POINT("topics.park");
    // SYNC park: seq_cst store here, then the tails are looked at once more; seq_cst load of the
    // appender after its commit. One of the two sees the other.
    topic->knock().broker.store(static_cast<std::uint32_t>(
        timer ? shm::BrokerSleep::kParkedWithTimer : shm::BrokerSleep::kParked));
  }
  for (const auto& [name, topic] : topics_) {
    for (const auto& partition : topic->partitions_) {
      const bool came_in = partition->dirty() && !topic->parked_dirty_;
      const bool awaited = partition->dirty() && !partition->busy() && partition->is_awaited();
      if (came_in || awaited || partition->is_rolled()) {
        unpark();
        return false;
      }
    }
  }
  return true;
}

void Topics::unpark() {
  for (const auto& [name, topic] : topics_) {
    CRASH_POINT("topics.unpark");
    topic->knock().broker.store(static_cast<std::uint32_t>(shm::BrokerSleep::kAwake));
  }
}

bool Topics::drain(BootNanos now, BootNanos& next_look) {
  if (drain_since_ == 0) {
    drain_since_ = now;
    for (const auto& [name, topic] : topics_) {
      CRASH_POINT("topics.close_board");
      topic->board().state.store(static_cast<std::uint32_t>(shm::BoardState::kClosed));
    }
  }
  bool done = true;
  for (const auto& [name, topic] : topics_) {
    const bool patient = now - drain_since_ < topic->settings_.stall_limit_ms * kMillisecond;
    for (const auto& partition : topic->partitions_)
      done = partition->drain(patient, next_look) && done;
    ring_doorbells(*topic);
  }
  parts_.disk.kick();
  return done && parts_.disk.in_flight() == 0;
}

Result<void> Topics::write_clean_mark() {
  return broker::write_clean_mark(parts_.disk, parts_.data, epochs_->current());
}

// Events and figures
// -------------------------------------------------------------------------------

void Topics::bad_producer(std::uint64_t producer_id, const std::string& reason) {
  if (say_) say_("a producer wrote bytes that do not check out: " + reason);
  // The id is what the bad bytes say: it may name nobody.
  if (const auto found = producers_.find(producer_id); found != producers_.end())
    parts_.sessions.expel(found->second, reason);
}

void Topics::damaged(TopicId topic, PartitionIndex partition, const BadRecords& bad) {
  ++damaged_ranges_;
  const Topic* const found = find(topic);
  if (say_)
    say_((found != nullptr ? found->name_ : std::string{"a deleted topic"}) + "[" +
         std::to_string(partition) + "]: offsets " + std::to_string(bad.first_offset) + " to " +
         std::to_string(bad.end_offset) + " are damaged: " + bad.reason);
}

void Topics::health_changed(TopicId topic, PartitionIndex partition, StoreHealth health,
                            const Error& error) {
  const Topic* const found = find(topic);
  const std::string where = (found != nullptr ? found->name_ : std::string{"a deleted topic"}) +
                            "[" + std::to_string(partition) + "]: ";
  if (say_)
    say_(where + (health == StoreHealth::kGood ? "is written to disk again" : error.sentence()));
}

std::uint64_t Topics::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, topic] : topics_) {
    bytes += topic->board_map_.size_bytes() + topic->knock_map_.size_bytes();
    for (const auto& partition : topic->partitions_) bytes += partition->ring().memory_bytes();
  }
  return bytes;
}

std::uint64_t Topics::orphan_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, topic] : topics_)
    for (const auto& partition : topic->partitions_) bytes += partition->ring().orphan_bytes();
  return bytes;
}

std::uint64_t Topics::disk_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, topic] : topics_)
    for (const auto& partition : topic->partitions_)
      if (const PartitionStore* const store = std::as_const(*partition).store(); store != nullptr)
        for (const SegmentInfo& segment : store->segments()) bytes += segment.file_bytes;
  return bytes;
}

std::uint64_t Topics::readonly_partitions() const {
  std::uint64_t count = 0;
  for (const auto& [name, topic] : topics_)
    for (PartitionIndex i = 0; i < topic->partitions_.size(); ++i)
      if (board_of(topic->board_map_, i).readonly.load() != 0) ++count;
  return count;
}

}  // namespace mallbots::broker
