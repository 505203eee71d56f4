#include "broker/control/group_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "broker/event_log.h"
#include "shm/concurrent/cells.h"

namespace mallbots::broker {
namespace {

// How long positions may wait for the disk when no flush of the log takes them along: short while
// they move, seldom when they rest, so that an idle daemon sleeps.
constexpr BootNanos kFlushAtLeast = 5 * kMillisecond;
constexpr BootNanos kFirstPause = 20 * kMillisecond;
constexpr BootNanos kLongestPause = 500 * kMillisecond;
constexpr int kCellReads = 64;

ResetTo reset_of(Reset reset) {
  switch (reset) {
    case Reset::kStart:
      return ResetTo::kStart;
    case Reset::kEnd:
      return ResetTo::kEnd;
    case Reset::kFail:
      return ResetTo::kFail;
  }
  return ResetTo::kStart;
}

CellHalf half_of(const shm::PositionHalf& half, std::uint64_t store) {
  return {.group_generation = half.group_generation.load(),
          .log_epoch = half.log_epoch.load(),
          .offset = half.offset.load(),
          .store = store};
}

/// Both halves with their store numbers steady. A client that never lets them rest is its own
/// loss: its position counts as never stored.
CellHalves halves_of(const shm::ReaderCell& cell) {
  for (int i = 0; i < kCellReads; ++i) {
    const std::uint64_t first = cell.halves[0].store.load();
    const std::uint64_t second = cell.halves[1].store.load();
    const CellHalves halves{half_of(cell.halves[0], first), half_of(cell.halves[1], second)};
    if (cell.halves[0].store.load() == first && cell.halves[1].store.load() == second)
      return halves;
  }
  return {};
}

}  // namespace

GroupDriver::GroupDriver(const Parts& parts, CoordinatorOptions options)
    : parts_(parts),
      coordinator_(std::make_unique<GroupCoordinator>(static_cast<GroupHost&>(*this), options)) {}

// Start
// -----------------------------------------------------------------------------------------

Result<void> GroupDriver::start(bool memory_kept, BootNanos now) {
  auto store = GroupStore::open(parts_.disk, parts_.data.path, *this);
  if (!store) return std::unexpected(std::move(store).error());
  store_ = std::move(*store);
  bool table_kept = false;
  auto table = GroupTable::open(parts_.keeper, table_kept);
  if (!table) return std::unexpected(std::move(table).error());
  table_ = std::move(*table);
  execute(coordinator_->tick(now));
  for (const Topic* topic : parts_.topics.all()) topic_known(*topic);
  auto rows = rows_to_restore(memory_kept && table_kept);
  for (const PositionRow& row : rows) run(PersistRow{.sequence = 0, .row = row});
  execute(coordinator_->restore(std::move(rows)));
  next_flush_ = now;
  return {};
}

std::vector<PositionRow> GroupDriver::rows_to_restore(bool memory_kept) {
  std::vector<PositionRow> rows;
  std::set<GroupKey> known;
  if (memory_kept) {
    for (KeptRow& kept : table_->rows()) {
      known.insert({kept.row.group, kept.row.topic, kept.row.partition});
      if (kept.row.session) {
        const Session* session = parts_.sessions.find(*kept.row.session);
        const bool same =
            session != nullptr && !session->gone && session->entry->token == kept.session_token;
        if (same)
          parts_.sessions.use_cell(*kept.row.session, kept.row.cell, CellUse::kGroup);
        else
          kept.row.session.reset();
      }
      rows.push_back(std::move(kept.row));
    }
  }
  // All of them, or those that found no place in the table.
  for (const auto& [group, stored] : store_->groups())
    for (const auto& [key, position] : stored.positions)
      if (!known.contains({group, key.first, key.second}))
        rows.push_back({.group = group,
                        .topic = key.first,
                        .partition = key.second,
                        .generation = static_cast<std::uint32_t>(stored.generation),
                        .position = position});
  std::erase_if(rows, [&](const PositionRow& row) {
    const Topic* topic = parts_.topics.find(row.topic);
    if (topic != nullptr && row.partition < topic->partitions()) return false;
    table_->forget(row.group, row.topic);
    store_->remove_position({row.group, row.topic, row.partition});
    return true;
  });
  return rows;
}

void GroupDriver::topic_known(const Topic& topic) {
  for (PartitionIndex i = 0; i < topic.partitions(); ++i) {
    const PartitionId id = topic.partition(i).id();
    std::vector<EpochStart>& starts = epoch_starts_[id];
    starts.clear();
    for (const auto& [epoch, first] : parts_.topics.epochs().starts(id))
      starts.push_back({.epoch = epoch, .first_offset = first});
  }
  execute(coordinator_->topic_known({.id = topic.id(),
                                     .name = topic.name(),
                                     .partitions = topic.partitions(),
                                     .reset = reset_of(topic.settings().reset),
                                     .memory_only = topic.settings().memory_only}));
}

void GroupDriver::topic_deleted(TopicId topic) {
  execute(coordinator_->topic_deleted(topic));
  store_->remove_topic(topic);
}

// What clients ask
// -----------------------------------------------------------------------------------------

Result<Joined> GroupDriver::join(const GroupJoin& request) {
  auto joined = coordinator_->join(request);
  flush_pause_ = kFirstPause;
  next_flush_ = std::min(next_flush_, boot_now_ns() + flush_pause_);
  return joined;
}

Result<void> GroupDriver::leave(SessionIndex session, std::uint64_t group_id) {
  auto actions = coordinator_->leave(session, group_id);
  if (!actions) return std::unexpected(std::move(actions).error());
  execute(*actions);
  return {};
}

Result<void> GroupDriver::assignment_done(SessionIndex session,
                                          const shm::AssignmentDone& message) {
  auto actions = coordinator_->assignment_done(session, message.group_id, message.number);
  if (!actions) return std::unexpected(std::move(actions).error());
  execute(*actions);
  return {};
}

Result<void> GroupDriver::commit_durable(SessionIndex session, std::uint64_t group_id,
                                         std::uint32_t request_id) {
  auto actions = coordinator_->commit_durable(session, group_id, request_id);
  if (!actions) return std::unexpected(std::move(actions).error());
  execute(*actions);
  flush_soon();
  return {};
}

void GroupDriver::session_ended(SessionIndex session) {
  execute(coordinator_->session_ended(session));
}

Result<GroupView> GroupDriver::describe(const std::string& group) {
  return coordinator_->describe(group);
}

Result<std::vector<shm::SeekRow>> GroupDriver::seek(const shm::SeekGroup& request) {
  auto sought = coordinator_->seek(request);
  if (!sought) return std::unexpected(std::move(sought).error());
  execute(sought->actions);
  flush_soon();
  return std::move(sought->rows);
}

Result<void> GroupDriver::remove(const std::string& group) {
  auto actions = coordinator_->delete_group(group);
  if (!actions) return std::unexpected(std::move(actions).error());
  execute(*actions);
  flush_soon();
  return {};
}

GroupDriver::Behind GroupDriver::behind(const GroupPartitionView& row) {
  Topic* topic = parts_.topics.find(row.topic);
  if (topic == nullptr || row.partition >= topic->partitions()) return {};
  const Partition& partition = topic->partition(row.partition);
  const LogState state = log(row.topic, row.partition);
  const Offset end = row.read_durable ? state.durable : state.end;
  const Offset unread = std::max(state.start, row.position ? row.position->offset : state.start);
  const auto stamp = partition.time_of(unread);
  return {.lag = lag_of(row.position, state, end, stamp && *stamp > 0 ? stamp : std::nullopt,
                        wall_now_ms()),
          .end = end};
}

std::optional<Offset> GroupDriver::consumed(TopicId topic, PartitionIndex partition) const {
  std::optional<Offset> least;
  const bool all_on_disk = !store_->dirty() && !store_->busy();
  for (const std::string& name : coordinator_->groups()) {
    const auto view = coordinator_->describe(name);
    if (!view) continue;
    for (const GroupPartitionView& row : view->partitions) {
      if (row.topic != topic || row.partition != partition) continue;
      const auto stored = store_->groups().find(name);
      Offset done = 0;
      if (all_on_disk && stored != store_->groups().end())
        if (const auto at = stored->second.positions.find({topic, partition});
            at != stored->second.positions.end())
          done = at->second.offset;
      least = std::min(least.value_or(kNoOffset), done);
    }
  }
  return least;
}

// Duties
// -----------------------------------------------------------------------------------------

BootNanos GroupDriver::duty(BootNanos now, bool log_flushed) {
  execute(coordinator_->tick(now));
  if (log_flushed && flush_pause_ != 0) next_flush_ = std::min(next_flush_, now + kFlushAtLeast);
  if (now >= next_flush_) {
    const std::uint64_t before = set_sequence_;
    execute(coordinator_->flush());
    start_flush();
    const bool moved = set_sequence_ != before || store_->busy();
    flush_pause_ = moved ? kFirstPause : std::min(kLongestPause, flush_pause_ * 2);
    // Without a session nobody can move a position.
    next_flush_ =
        parts_.sessions.count() == 0 || flush_pause_ == 0 ? INT64_MAX : now + flush_pause_;
  }
  if (failing_ && !store_->busy()) next_flush_ = std::min(next_flush_, store_->retry_at());
  return std::min(coordinator_->next_tick(), next_flush_);
}

bool GroupDriver::drain(BootNanos& next) {
  if (store_->busy()) return false;
  execute(coordinator_->flush());
  start_flush();  // whoever waits for it is answered
  if (store_->busy()) return false;
  if (store_->dirty()) next = std::min(next, store_->retry_at());
  return !store_->dirty();
}

/// Somebody waits for it. What cannot go now, or waits for the log's own flush, is looked at again.
void GroupDriver::flush_soon() {
  start_flush();
  flush_pause_ = kFirstPause;
  next_flush_ = std::min(next_flush_, boot_now_ns() + kFlushAtLeast);
}

void GroupDriver::synced(std::uint64_t sequence) {
  synced_sequence_ = std::max(synced_sequence_, sequence);
  execute(coordinator_->positions_synced(sequence));
}

void GroupDriver::start_flush() {
  if (store_->busy()) return;
  if (!store_->dirty()) return synced(set_sequence_);
  const std::uint64_t sequence = set_sequence_;
  if (const std::uint64_t ticket = store_->flush(); ticket != 0) tickets_[ticket] = sequence;
}

void GroupDriver::flush_done(std::uint64_t ticket, const Error* error) {
  const auto found = tickets_.find(ticket);
  const std::uint64_t sequence = found == tickets_.end() ? 0 : found->second;
  tickets_.erase(tickets_.begin(), tickets_.upper_bound(ticket));
  if (error != nullptr) {
    if (!failing_)
      log_error(Level::kError, "positions of groups not written, will try again", *error);
    failing_ = true;
    return;
  }
  if (failing_) log_event(Level::kInfo, "positions of groups are written again", {});
  failing_ = false;
  if (sequence != 0) synced(sequence);
}

// Actions
// -----------------------------------------------------------------------------------------

void GroupDriver::execute(const GroupActions& actions) {
  for (const GroupAction& action : actions)
    std::visit([this](const auto& one) { run(one); }, action);
}

void GroupDriver::run(const PersistRow& action) {
  const PositionRow& row = action.row;
  const Session* holder = row.session ? parts_.sessions.find(*row.session) : nullptr;
  if (auto set = table_->set({row, holder == nullptr ? 0 : holder->entry->token}); !set)
    log_error(Level::kError, "position kept on disk only", set.error());
  set_sequence_ = std::max(set_sequence_, action.sequence);
  const Topic* topic = parts_.topics.find(row.topic);
  if (topic == nullptr || topic->settings().memory_only) return;
  std::uint32_t& highest = generations_[row.group];
  if (row.generation > highest) {
    highest = row.generation;
    store_->set_generation(row.group, highest);
  }
  if (row.position)
    store_->set({row.group, row.topic, row.partition}, *row.position,
                topic->partition(row.partition).durable_offset());
}

void GroupDriver::run(const ForgetRows& action) {
  table_->forget(action.group, action.topic);
  set_sequence_ = std::max(set_sequence_, action.sequence);
  if (!action.topic) {
    generations_.erase(action.group);
    store_->remove_group(action.group);
    return;
  }
  const auto stored = store_->groups().find(action.group);
  if (stored == store_->groups().end()) return;
  std::vector<PartitionIndex> partitions;
  for (const auto& [key, position] : stored->second.positions)
    if (key.first == *action.topic) partitions.push_back(key.second);
  for (const PartitionIndex partition : partitions)
    store_->remove_position({action.group, *action.topic, partition});
}

void GroupDriver::run(const PushAssignment& action) {
  if (Session* session = parts_.sessions.find(action.session))
    parts_.sessions.push(*session, action.assignment);
}

void GroupDriver::run(const ExpelMember& action) {
  log_event(
      Level::kWarning, "member expelled from its group",
      {{"session", action.session}, {"group", action.group}, {"reason", action.error.sentence()}});
  if (Session* session = parts_.sessions.find(action.session))
    parts_.sessions.push(
        *session, shm::Notice{.code = action.error.code,
                              .member_id = action.member_id,
                              .detail = "group '" + action.group + "': " + action.error.detail});
}

void GroupDriver::run(const NotifySession& action) {
  if (Session* session = parts_.sessions.find(action.session))
    parts_.sessions.push(*session, action.notice);
}

void GroupDriver::run(const AnswerCommit& action) {
  Session* session = parts_.sessions.find(action.session);
  if (session == nullptr) return;
  parts_.sessions.send(*session,
                       action.error ? error_packet(action.request_id, *action.error)
                                    : reply_with(action.request_id, shm::Empty{}).packet,
                       {});
}

void GroupDriver::run(const ReportSetBack& action) {
  const Topic* topic = parts_.topics.find(action.topic);
  log_event(Level::kWarning, "position set back, its records were lost",
            {{"group", action.group},
             {"topic", topic == nullptr ? std::string_view{"?"} : std::string_view{topic->name()}},
             {"partition", action.partition},
             {"from_epoch", action.from.log_epoch},
             {"from", action.from.offset},
             {"to", action.to.offset}});
}

// What the coordinator sees
// -----------------------------------------------------------------------------------------

std::optional<std::uint32_t> GroupDriver::open_cell(SessionIndex session) {
  const auto cell = parts_.sessions.open_cell(session);
  if (cell) parts_.sessions.use_cell(session, *cell, CellUse::kGroup);
  return cell;
}

CellHalves GroupDriver::read_cell(SessionIndex session, std::uint32_t cell) {
  const shm::SessionPage* page = parts_.sessions.page(session);
  if (page == nullptr || cell >= shm::kSessionCells) return {};
  return halves_of(page->cells[cell].reader);
}

CellHalves GroupDriver::close_cell(SessionIndex session, std::uint32_t cell, CellEnd end) {
  // Its generation retires it: what a late client still stores carries one that no longer counts,
  // and the mark tells that client so.
  shm::SessionPage* const page = parts_.sessions.page(session);
  if (page != nullptr && cell < shm::kSessionCells && end == CellEnd::kTaken)
    shm::take_cell(page->header, cell);
  const CellHalves halves = read_cell(session, cell);
  if (end == CellEnd::kReturned) parts_.sessions.close_cell(session, cell);
  return halves;
}

bool GroupDriver::is_taken(SessionIndex session, std::uint32_t cell) {
  const shm::SessionPage* page = parts_.sessions.page(session);
  return page != nullptr && cell < shm::kSessionCells && shm::is_cell_taken(page->header, cell);
}

std::uint64_t GroupDriver::polls(SessionIndex session) {
  const shm::SessionPage* page = parts_.sessions.page(session);
  return page == nullptr ? 0 : page->header.polls.load();
}

LogState GroupDriver::log(TopicId id, PartitionIndex index) {
  Topic* topic = parts_.topics.find(id);
  if (topic == nullptr || index >= topic->partitions()) return {};
  const Partition& partition = topic->partition(index);
  // In this order each is at least what the one before it was bounded by.
  const Offset start = partition.start_offset();
  const Offset durable = std::max(start, partition.durable_offset());
  return {.epoch = partition.log_epoch(),
          .start = start,
          .durable = durable,
          .end = std::max(durable, partition.end_offset()),
          .quarantined = partition.quarantine().has_value()};
}

Result<Offset> GroupDriver::offset_at(TopicId id, PartitionIndex index, UnixMillis time_ms) {
  Topic* topic = parts_.topics.find(id);
  if (topic == nullptr || index >= topic->partitions()) return 0;
  const Partition& partition = topic->partition(index);
  if (const auto& why = partition.quarantine()) return std::unexpected(*why);
  return partition.find_time(time_ms);
}

std::span<const EpochStart> GroupDriver::epoch_starts(TopicId id, PartitionIndex index) {
  Topic* topic = parts_.topics.find(id);
  if (topic == nullptr || index >= topic->partitions()) return {};
  const auto found = epoch_starts_.find(topic->partition(index).id());
  if (found == epoch_starts_.end()) return {};
  return found->second;
}

}  // namespace mallbots::broker
