#include "tests/broker/groups/fake_groups.h"

#include <algorithm>

namespace mallbots::test {

using broker::GroupCoordinator;

FakeGroups::FakeGroups(broker::CoordinatorOptions options) : options_(options) { start_broker(); }

std::string FakeGroups::all_violations() const {
  std::string all;
  for (const std::string& violation : violations_) all += violation + "\n";
  return all;
}

// The world
// -----------------------------------------------------------------------------------------

TopicId FakeGroups::add_topic(const std::string& name, std::uint32_t partitions,
                              broker::ResetTo reset, bool memory_only) {
  const TopicId id{next_topic_++};
  topics_[id] = {id, name, partitions, reset, memory_only};
  const LogEpoch epoch = epochs_.empty() ? 0 : epochs_.back().epoch;
  for (PartitionIndex i = 0; i < partitions; ++i) {
    logs_[{id, i}] = {.epoch = epoch, .start = 0, .durable = 100, .end = 100};
  }
  execute(coordinator_->topic_known(topics_[id]));
  return id;
}

void FakeGroups::delete_topic(TopicId topic) {
  execute(coordinator_->topic_deleted(topic));
  std::erase_if(open_, [&](const auto& entry) { return std::get<1>(entry.first) == topic; });
  std::erase_if(ended_at_, [&](const auto& entry) { return std::get<1>(entry.first) == topic; });
  topics_.erase(topic);
  // Clients hear TopicGone from the board.
  for (auto& [session, client] : clients_) {
    for (auto& [name, membership] : client.groups) {
      std::erase_if(membership.reading,
                    [&](const auto& entry) { return entry.first.first == topic; });
      for (shm::Assignment& message : membership.inbox) {
        std::erase_if(message.partitions,
                      [&](const auto& given) { return TopicId{given.topic_id} == topic; });
      }
    }
  }
}

LogState& FakeGroups::log_of(TopicId topic, PartitionIndex partition) {
  return logs_.at({topic, partition});
}

void FakeGroups::pass_time(BootNanos nanoseconds) {
  for (BootNanos left = nanoseconds; left > 0; left -= kSecond) {
    now_ += std::min(left, kSecond);
    for (auto& [session, client] : clients_) {
      if (client.alive && !client.stuck) ++client.polls;
    }
    execute(coordinator_->tick(now_));
  }
}

void FakeGroups::flush() { execute(coordinator_->flush()); }
void FakeGroups::sync() { execute(coordinator_->positions_synced(last_sequence_)); }

void FakeGroups::start_broker() {
  ++options_.incarnation;
  last_sequence_ = 0;
  coordinator_ = std::make_unique<GroupCoordinator>(*this, options_);
  execute(coordinator_->tick(now_));
  for (const auto& [id, topic] : topics_) execute(coordinator_->topic_known(topic));
  std::vector<PositionRow> rows;
  for (auto& [key, row] : rows_) {
    rows.push_back(row);
    if (row.session && !clients_[*row.session].alive) rows.back().session.reset();
  }
  execute(coordinator_->restore(rows));
}

void FakeGroups::restart_broker() {
  // What stood in no cell is only in the rows now, up to durable: it will be read again.
  for (auto& [key, ended] : ended_at_) {
    const auto row = rows_.find(key);
    if (row == rows_.end() || !row->second.position) continue;
    const auto open = open_.find(key);
    const bool in_cell =
        open != open_.end() &&
        std::ranges::any_of(clients_[open->second.session].cells[open->second.cell].halves,
                            [](const broker::CellHalf& half) { return half.store != 0; });
    if (!in_cell) ended = std::min(ended, row->second.position->offset);
  }
  for (auto& [session, client] : clients_) {
    // What the old broker sent and the client did not take went with its socket.
    for (auto& [group, membership] : client.groups) membership.inbox.clear();
  }
  start_broker();
}

void FakeGroups::power_cut() {
  for (auto& [session, client] : clients_) client = {};
  open_.clear();
  ended_at_.clear();
  const LogEpoch epoch = epochs_.empty() ? 1 : epochs_.back().epoch + 1;
  Offset cut = 0;
  for (auto& [key, log] : logs_) {
    log.epoch = epoch;
    log.end = log.durable;
    cut = std::max(cut, log.durable);
  }
  epochs_.push_back({epoch, cut});
  start_broker();
}

void FakeGroups::execute(const GroupActions& actions) {
  for (const broker::GroupAction& action : actions) {
    std::visit([&](const auto& kind) { on(kind); }, action);
  }
}

// Clients
// -----------------------------------------------------------------------------------------

Result<shm::JoinGroupReply> FakeGroups::join(SessionIndex session, const std::string& group,
                                             std::vector<std::string> topics, std::string instance,
                                             bool read_durable) {
  FakeClient& client = clients_[session];
  client.alive = true;
  broker::GroupJoin request{session,           group, std::move(instance),
                            std::move(topics), 0,     read_durable};
  auto joined = coordinator_->join(request);
  if (!joined) return std::unexpected(joined.error());
  FakeClient::Membership& membership = client.groups[group];
  if (membership.fenced) membership = {};  // it has heard of it by now
  membership.request = request;
  membership.group_id = joined->reply.group_id;
  group_ids_[group] = joined->reply.group_id;
  execute(joined->actions);
  return joined->reply;
}

void FakeGroups::rejoin_all() {
  for (auto& [session, client] : clients_) {
    if (!client.alive) continue;
    std::vector<std::string> without_topics;
    for (auto& [group, membership] : client.groups) {
      if (membership.fenced) continue;
      std::vector<std::string> topics = membership.request.topics;
      std::erase_if(topics, [&](const std::string& name) {
        return std::ranges::none_of(topics_, [&](const auto& t) { return t.second.name == name; });
      });
      if (topics.empty()) {
        without_topics.push_back(group);
        continue;
      }
      const auto joined = join(session, group, topics, membership.request.instance,
                               membership.request.read_durable);
      if (!joined) violation("a second join was refused: " + joined.error().sentence());
    }
    for (const std::string& group : without_topics) leave(session, group);
  }
}

void FakeGroups::leave(SessionIndex session, const std::string& group) {
  FakeClient& client = clients_[session];
  const auto membership = client.groups.find(group);
  if (membership == client.groups.end()) return;
  const std::uint64_t id = membership->second.group_id;
  client.groups.erase(membership);  // it stops reading, then says so
  auto left = coordinator_->leave(session, id);
  if (left) execute(*left);
}

void FakeGroups::kill(SessionIndex session) {
  FakeClient& client = clients_[session];
  client.alive = false;
  client.groups.clear();
  execute(coordinator_->session_ended(session));
  for (const auto& [cell, state] : client.cells) {
    if (state.open) violation("a cell of a dead session was left open");
  }
  client = {};
}

bool FakeGroups::poll(SessionIndex session, const std::string& group) {
  FakeClient& client = clients_[session];
  const auto found = client.groups.find(group);
  if (!client.alive || found == client.groups.end()) return false;
  FakeClient::Membership& membership = found->second;
  if (membership.fenced) {
    client.groups.erase(found);
    return true;
  }
  if (membership.inbox.empty()) return false;
  const shm::Assignment message = membership.inbox.front();
  membership.inbox.pop_front();
  std::erase_if(membership.reading, [&](const auto& entry) {
    return std::ranges::none_of(message.partitions, [&](const auto& given) {
      return TopicId{given.topic_id} == entry.first.first && given.partition == entry.first.second;
    });
  });
  for (const shm::AssignedPartition& given : message.partitions) {
    begin_reading(session, group, given);
  }
  auto done = coordinator_->assignment_done(session, membership.group_id, message.number);
  if (done) {
    execute(*done);
  } else if (done.error().code != ErrorCode::kFenced) {
    violation("assignment_done was refused: " + done.error().sentence());
  }
  return true;
}

void FakeGroups::poll_all() {
  for (bool again = true; again;) {
    again = false;
    for (auto& [session, client] : clients_) {
      std::vector<std::string> names;
      names.reserve(client.groups.size());
      for (const auto& [group, membership] : client.groups) names.push_back(group);
      for (const std::string& group : names) again = poll(session, group) || again;
    }
  }
}

void FakeGroups::begin_reading(SessionIndex session, const std::string& group,
                               const shm::AssignedPartition& assigned) {
  const FakeClient::ReadingKey key{TopicId{assigned.topic_id}, assigned.partition};
  for (auto& [other, client] : clients_) {
    const auto membership = client.groups.find(group);
    if (other == session || !client.alive || membership == client.groups.end()) continue;
    if (!membership->second.fenced && membership->second.reading.contains(key)) {
      violation("two members read one partition");
    }
  }
  auto& reading = clients_[session].groups[group].reading;
  const auto had = reading.find(key);
  if (had != reading.end() && had->second.assigned.group_generation == assigned.group_generation) {
    return;
  }
  reading[key] = {assigned, assigned.offset};
}

void FakeGroups::consume(SessionIndex session, const std::string& group, Offset records) {
  FakeClient& client = clients_[session];
  const auto membership = client.groups.find(group);
  if (!client.alive || membership == client.groups.end()) return;
  for (auto& [key, reading] : membership->second.reading) {
    const auto log = logs_.find(key);
    if (log == logs_.end() || reading.next == kNoOffset) continue;
    const bool durable = membership->second.request.read_durable;
    const Offset end = durable ? log->second.durable : log->second.end;
    const Offset next = std::max(reading.next, log->second.start);
    if (next >= end) continue;
    reading.next = std::min(end, next + records);
    store(session, reading);
  }
}

void FakeGroups::store(SessionIndex session, FakeClient::Reading& reading) {
  auto& halves = clients_[session].cells[reading.assigned.cell].halves;
  const auto [lower, higher] = std::minmax(halves[0].store, halves[1].store);
  auto& half = halves[halves[0].store == lower ? 0 : 1];
  const LogEpoch epoch =
      logs_.at({TopicId{reading.assigned.topic_id}, reading.assigned.partition}).epoch;
  half = {reading.assigned.group_generation, epoch, reading.next, higher + 1};
}

std::set<std::string> FakeGroups::reading(SessionIndex session, const std::string& group) {
  std::set<std::string> names;
  for (const auto& [key, reading] : clients_[session].groups[group].reading) {
    names.insert(topics_.at(key.first).name + "/" + std::to_string(key.second));
  }
  return names;
}

std::optional<Offset> FakeGroups::row_offset(const std::string& group, TopicId topic,
                                             PartitionIndex partition) const {
  const auto row = rows_.find({group, topic, partition});
  if (row == rows_.end() || !row->second.position) return std::nullopt;
  return row->second.position->offset;
}

// Actions, with the referee
// -----------------------------------------------------------------------------------------

std::string FakeGroups::group_name(SessionIndex, std::uint64_t group_id) {
  for (const auto& [name, id] : group_ids_) {
    if (id == group_id) return name;
  }
  return {};
}

void FakeGroups::on(const broker::PersistRow& action) {
  said_.rows.push_back(action);
  if (action.sequence != ++last_sequence_) violation("a row's sequence leaves a gap");
  const PositionRow& row = action.row;
  const RowKey key{row.group, row.topic, row.partition};
  if (row.position && row.position->offset > log(row.topic, row.partition).durable) {
    violation("a position above durable was persisted");
  }
  const auto before = rows_.find(key);
  if (before != rows_.end()) {
    if (row.generation < before->second.generation) violation("a generation fell");
    if (row.generation == before->second.generation && row.position && before->second.position &&
        row.position->offset < before->second.position->offset) {
      violation("a position fell within its generation");
    }
  }
  rows_[key] = row;
}

void FakeGroups::on(const broker::ForgetRows& action) {
  if (action.sequence != ++last_sequence_) violation("a removal's sequence leaves a gap");
  std::erase_if(rows_, [&](const auto& entry) {
    const auto& [group, topic, partition] = entry.first;
    return group == action.group && (!action.topic || *action.topic == topic);
  });
  std::erase_if(ended_at_, [&](const auto& entry) {
    const auto& [group, topic, partition] = entry.first;
    return group == action.group && (!action.topic || *action.topic == topic);
  });
}

void FakeGroups::on(const broker::PushAssignment& action) {
  said_.pushed.push_back(action);
  if (action.assignment.number <= last_assignment_) violation("an assignment's number fell");
  last_assignment_ = action.assignment.number;
  const std::string group = group_name(action.session, action.assignment.group_id);
  for (const shm::AssignedPartition& given : action.assignment.partitions) {
    check_granted({group, TopicId{given.topic_id}, given.partition}, action.session, given);
  }
  clients_[action.session].groups[group].inbox.push_back(action.assignment);
}

void FakeGroups::check_granted(const RowKey& key, SessionIndex session,
                               const shm::AssignedPartition& given) {
  const auto row = rows_.find(key);
  if (row == rows_.end() || row->second.generation != given.group_generation ||
      row->second.session != session || row->second.cell != given.cell) {
    violation("an assignment went out before its row");
  }
  if (!clients_[session].cells[given.cell].open) violation("an assigned cell is closed");
  const auto open = open_.find(key);
  if (open != open_.end()) {
    if (open->second.session != session || open->second.cell != given.cell ||
        open->second.generation != given.group_generation) {
      violation("a partition has two open cells");
    }
    return;
  }
  open_[key] = {session, given.cell, given.group_generation};
  const auto ended = ended_at_.find(key);
  const LogState state = log(std::get<1>(key), std::get<2>(key));
  if (ended != ended_at_.end() && given.offset != kNoOffset && given.offset != ended->second &&
      ended->second >= state.start) {
    violation("the new holder begins at " + std::to_string(given.offset) +
              ", the old one ended at " + std::to_string(ended->second));
  }
  if (given.offset != kNoOffset) ended_at_[key] = given.offset;
}

void FakeGroups::on(const broker::ExpelMember& action) {
  said_.expelled.push_back(action);
  FakeClient& client = clients_[action.session];
  const auto membership = client.groups.find(action.group);
  if (membership != client.groups.end()) membership->second.fenced = true;
}

// broker::GroupHost
// -----------------------------------------------------------------------------------------

std::optional<std::uint32_t> FakeGroups::open_cell(SessionIndex session) {
  FakeClient& client = clients_[session];
  if (!client.alive) violation("a cell of a dead session was opened");
  for (std::uint32_t cell = 0; cell < cells_max; ++cell) {
    const auto known = client.cells.find(cell);
    if (known != client.cells.end() && (known->second.open || known->second.taken)) continue;
    client.cells[cell] = {};
    return cell;
  }
  return std::nullopt;
}

CellHalves FakeGroups::read_cell(SessionIndex session, std::uint32_t cell) {
  const auto found = clients_[session].cells.find(cell);
  if (found == clients_[session].cells.end() || !found->second.open) {
    violation("a closed cell was read");
    return {};
  }
  return found->second.halves;
}

CellHalves FakeGroups::close_cell(SessionIndex session, std::uint32_t cell, CellEnd end) {
  FakeClient& client = clients_[session];
  const auto found = client.cells.find(cell);
  if (found == client.cells.end() || !found->second.open) {
    violation("a closed cell was closed");
    return {};
  }
  for (const auto& [group, membership] : client.groups) {
    if (!client.alive || end != CellEnd::kReturned) break;
    for (const auto& [key, reading] : membership.reading) {
      if (reading.assigned.cell == cell)
        violation("a cell that its client uses counts as returned");
    }
  }
  found->second.open = false;
  found->second.taken = end != CellEnd::kReturned;
  found->second.marked = end == CellEnd::kTaken;
  for (auto entry = open_.begin(); entry != open_.end(); ++entry) {
    const OpenCell& open = entry->second;
    if (open.session != session || open.cell != cell) continue;
    // The client's own idea of its position, not what the halves are taken to say.
    for (const broker::CellHalf& half : found->second.halves) {
      if (half.store == 0 || half.group_generation != open.generation) continue;
      Offset& ended = ended_at_[entry->first];
      ended = std::max(ended, half.offset);
    }
    open_.erase(entry);
    break;
  }
  return found->second.halves;
}

bool FakeGroups::is_taken(SessionIndex session, std::uint32_t cell) {
  const auto found = clients_[session].cells.find(cell);
  return found != clients_[session].cells.end() && found->second.marked;
}

std::uint64_t FakeGroups::polls(SessionIndex session) { return clients_[session].polls; }

LogState FakeGroups::log(TopicId topic, PartitionIndex partition) {
  const auto found = logs_.find({topic, partition});
  if (found == logs_.end() || !topics_.contains(topic)) {
    violation("the log of an unknown partition was asked for");
    return {};
  }
  return found->second;
}

Result<Offset> FakeGroups::offset_at(TopicId topic, PartitionIndex partition, UnixMillis time_ms) {
  if (unreadable.contains(partition)) return fail(ErrorCode::kIo, "open 0000000001.seg");
  const LogState state = log(topic, partition);
  return std::clamp<Offset>(static_cast<Offset>(time_ms), state.start, state.end);
}

std::span<const broker::EpochStart> FakeGroups::epoch_starts(TopicId, PartitionIndex) {
  return epochs_;
}

}  // namespace mallbots::test
