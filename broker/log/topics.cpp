#include "broker/log/topics.h"

#include <algorithm>
#include <utility>

#include "broker/log/random_id.h"
#include "broker/log/topic_memory.h"
#include "broker/log/topic_name.h"
#include "shm/base/check.h"
#include "shm/concurrent/partition.h"

namespace mallbots::broker {
namespace {

constexpr BootNanos kSpaceLookEvery = kSecond;
constexpr BootNanos kRetentionEvery = 5 * kSecond;

std::vector<std::pair<std::string, std::string>> stored_settings(const TopicSettings& settings) {
  std::vector<std::pair<std::string, std::string>> stored;
  for (shm::Setting& setting : describe_settings(settings))
    if (!setting.is_default) stored.emplace_back(std::move(setting.key), std::move(setting.value));
  return stored;
}

}  // namespace

Topics::Topics(const Parts& parts, TopicsOptions options) : parts_(parts), options_(options) {}
Topics::~Topics() = default;

// --- The catalogue

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
  MALLBOTS_TRY(check_topic_name(name));
  if (topics_.contains(name)) return fail(ErrorCode::kTopicExists, "'" + name + "'");
  return make(name, settings);
}

Result<Topic*> Topics::internal(const std::string& name, const TopicSettings& settings) {
  CHECK(is_internal_name(name));
  if (Topic* const known = find(name); known != nullptr) return known;
  return make(name, settings);
}

Result<Topic*> Topics::make(const std::string& name, const TopicSettings& settings) {
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
  auto saved = save();
  if (!saved && stays(topic.id_)) {
    deleting_.pop_back();
    topics_[name] = std::move(gone);
    return saved;
  }
  topic.in_doubt_ = !saved;
  by_id_.erase(topic.id_);
  names_->forget(topic.id_);
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
  return saved;
}

/// Whether the next start would serve it: an error may have come behind the rename, and that start
/// deletes what the topic took from then on. False, too, if nobody can tell.
bool Topics::stays(TopicId id) {
  const auto found = load_catalogue(parts_.disk, parts_.data);
  return found && std::ranges::any_of(found->topics, [id](const TopicEntry& entry) {
           return entry.id == id && entry.state == TopicState::kLive;
         });
}

/// Buries deleted topics whose last request has completed.
void Topics::bury() {
  std::erase_if(dying_, [&](const std::unique_ptr<Topic>& topic) {
    if (std::ranges::any_of(topic->partitions_, [](const auto& p) { return p->busy(); }))
      return false;
    topic->partitions_.clear();
    // Records go after their entry, never before; the next start removes what stays.
    if (topic->in_doubt_ && !save()) return true;
    if (!remove_topic_folders(parts_.disk, parts_.data, topic->id_)) return true;
    std::erase_if(deleting_, [&](const TopicEntry& entry) { return entry.id == topic->id_; });
    static_cast<void>(save());
    return true;
  });
}

void Topics::forget_memory(Topic& topic) {
  const auto id = static_cast<std::uint64_t>(topic.id_);
  for (const auto& partition : topic.partitions_) {
    partition->ring().forget_notes();
    std::erase_if(producers_, [&](const auto& one) { return one.first.second == partition->id(); });
    partition->ring().forget_slots();
  }
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
  tell_times(topic->board(), settings);
  for (const auto& partition : topic->partitions_) partition->alter(settings);
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
  list.reserve(topics_.size());
  for (const auto& [name, topic] : topics_) list.push_back(topic.get());
  return list;
}

std::vector<Topic*> Topics::users() {
  std::vector<Topic*> list = all();
  std::erase_if(list, [](const Topic* topic) { return topic->is_internal(); });
  return list;
}

// --- Sessions

Result<std::uint32_t> Topics::open_reader(SessionIndex session) {
  const auto cell = parts_.sessions.open_cell(session);
  if (!cell) return fail(ErrorCode::kLimitReached, "the session's 2048 cells are all in use");
  return *cell;
}

void Topics::session_died(SessionIndex session) {
  std::map<PartitionId, std::vector<std::uint32_t>> cells;
  for (const auto& [id, seat] : producers_)
    if (seat.session == session) cells[id.second].push_back(seat.cell);
  for (const auto& [name, topic] : topics_) {
    for (const auto& partition : topic->partitions_)
      partition->session_died(session, cells[partition->id()]);
    std::erase(topic->doorbells_, session);
  }
  for (const auto& [id, seat] : producers_)
    if (seat.session == session) names_->touch(id.first);
  std::erase_if(producers_, [&](const auto& one) { return one.second.session == session; });
}

void Topics::session_expelled(SessionIndex session) {
  for (const auto& [name, topic] : topics_)
    for (const auto& partition : topic->partitions_) partition->session_expelled(session);
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

// --- Duties

BootNanos Topics::duty(BootNanos now) {
  BootNanos next_look = INT64_MAX;
  read_on_names(now, next_look);  // before slots are used again
  for (const auto& [name, topic] : topics_) {
    for (const auto& partition : topic->partitions_) partition->duty(now, next_look);
    if (topic->wants_all()) {
      for (const auto& partition : topic->partitions_) partition->note_tail();
      ring_doorbells(*topic);
    }
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
            if (partition->store() != nullptr && !topic->is_internal())
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
    bounded = bounded || (!settings.memory_only &&
                          (settings.retention_ms || settings.retention_bytes ||
                           settings.retention_records || settings.retention_consumed));
  }
  if (!bounded) return;
  if (now >= next_retention_) {
    next_retention_ = now + kRetentionEvery;
    const UnixMillis wall = wall_now_ms();
    if (wall_watch_.look(wall, now) && say_)
      say_("the wall clock jumped: retention by age pauses for an hour");
    for (const auto& [name, topic] : topics_)
      for (const auto& partition : topic->partitions_)
        partition->retain(topic->settings_, wall, wall_watch_.age_may_delete(now),
                          consumed(*topic, partition->index()));
  }
  next_look = std::min(next_look, next_retention_);
}

bool Topics::park() {
  for (const auto& [name, topic] : topics_) {
    // With a timer when nobody needs to wake us: on memory topics only a seal does, and dirty disk
    // topics are flushed by the timer. Whoever sleeps on a doorbell needs us for every record.
    const bool timed =
        std::ranges::any_of(topic->partitions_, [](const auto& p) { return p->is_timed(); });
    const bool timer = !topic->wants_all() && (timed || topic->settings_.memory_only);
    CRASH_POINT("topics.park");
    // SYNC park: seq_cst store here, then the tails are looked at once more; seq_cst load of the
    // appender after its commit. One of the two sees the other.
    topic->knock().broker.store(static_cast<std::uint32_t>(
        timer ? shm::BrokerSleep::kParkedWithTimer : shm::BrokerSleep::kParked));
  }
  for (const auto& [name, topic] : topics_) {
    for (const auto& partition : topic->partitions_) {
      // What the duties saw has its timer or its request; all else came in behind them.
      const bool came_in = partition->dirty() && !partition->is_timed();
      const bool awaited = partition->dirty() && partition->is_awaited();
      if (came_in || awaited || partition->is_rolled() ||
          (topic->wants_all() && partition->has_moved())) {
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
  // What this cannot save, the next start reads from the log.
  if (const auto saved = names_->finish(); !saved && say_)
    say_("names of producers: " + saved.error().sentence());
  // A failing disk ends the drain with records in memory, and so does quarantine: their offsets
  // will be given out again, so the next start has to raise the epoch.
  for (const auto& [name, topic] : topics_)
    for (const auto& partition : topic->partitions_) {
      if (const auto& why = partition->quarantine(); why && !topic->settings_.memory_only)
        return std::unexpected(*why);
      if (partition->dirty())
        return fail(ErrorCode::kIo, name + "[" + std::to_string(partition->index()) +
                                        "]: committed records did not reach the disk");
    }
  return broker::write_clean_mark(parts_.disk, parts_.data, epochs_->current());
}

// --- Events and figures

void Topics::bad_producer(std::uint64_t producer_id, const std::string& reason) {
  if (say_) say_("a producer wrote bytes that do not check out: " + reason);
  // The id is what the bad bytes say: it may name nobody.
  const auto found = producers_.lower_bound({producer_id, PartitionId{0}});
  if (found != producers_.end() && found->first.first == producer_id)
    parts_.sessions.expel(found->second.session, reason);
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
  // A footer that failed leaves the health as it was.
  const bool well = health == StoreHealth::kGood && error.code == ErrorCode::kNone;
  if (say_) say_(where + (well ? "is written to disk again" : error.sentence()));
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

std::uint64_t Topics::quarantined_partitions() const {
  std::uint64_t count = 0;
  for (const auto& [name, topic] : topics_)
    for (const auto& partition : topic->partitions_) count += partition->quarantine() ? 1 : 0;
  return count;
}

std::uint64_t Topics::readonly_partitions() const {
  std::uint64_t count = 0;
  for (const auto& [name, topic] : topics_)
    for (PartitionIndex i = 0; i < topic->partitions_.size(); ++i)
      if (board_of(topic->board_map_, i).readonly.load() != 0) ++count;
  return count;
}

}  // namespace mallbots::broker
