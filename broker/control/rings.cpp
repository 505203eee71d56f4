#include "broker/control/rings.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "broker/control/reply.h"
#include "broker/event_log.h"
#include "shm/base/check.h"
#include "shm/concurrent/ingest.h"

namespace mallbots::broker {
namespace {

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) CHECK(getrandom(&id, sizeof id, 0) == static_cast<ssize_t>(sizeof id));
  return id;
}

}  // namespace

Result<std::unique_ptr<Rings>> Rings::make(const Parts& parts, const Limits& limits) {
  std::unique_ptr<Rings> rings{new Rings{parts, limits}};
  MALLBOTS_TRY(rings->open_wake());
  auto sequencer =
      Sequencer::make({.broker_eventfd = parts.broker_eventfd, .wake_fd = rings->wake_.get()});
  if (!sequencer) return std::unexpected(std::move(sequencer).error());
  rings->sequencer_ = std::move(*sequencer);
  return rings;
}

/// Clients hold it over restarts of the broker.
Result<void> Rings::open_wake() {
  wake_ = parts_.keeper.take(FdKind::kSequencerWake, 0);
  if (wake_) return {};
  wake_ = shm::UniqueFd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake_) return fail(ErrorCode::kLimitReached, std::string{"eventfd: "} + strerror(errno));
  return parts_.keeper.put(FdKind::kSequencerWake, 0, wake_.get());
}

// --- After a restart

Result<void> Rings::take_left() {
  for (std::uint32_t place = 0; place < shm::kMaxRings; ++place) {
    shm::RingEntry& entry = parts_.registry.rings[place];
    if (entry.partition_id.load() == 0) continue;
    Ring ring{.session = entry.session,
              .partition = PartitionId{entry.partition_id.load()},
              .producer_id = entry.producer_id,
              .fd = parts_.keeper.take(FdKind::kRing, place)};
    const Session* const session = parts_.sessions.find(ring.session);
    if (!ring.fd || session == nullptr || session->gone) {
      entry.partition_id.store(0);
      continue;
    }
    auto memory = shm::Mapping::of(ring.fd.get(), shm::ingest_ring_bytes(entry.data_bytes),
                                   shm::Access::kReadWrite);
    if (!memory) return std::unexpected(std::move(memory).error());
    ring.memory = std::make_shared<shm::Mapping>(std::move(*memory));
    if (session->wake) MALLBOTS_TRY(sequencer_->watch(session->wake.get()));
    rings_.emplace(place, std::move(ring));
  }
  return {};
}

Result<void> Rings::restore() {
  MALLBOTS_TRY(take_left());
  for (Topic* const topic : parts_.topics.all()) {
    if (!topic->settings().sequenced) continue;
    for (PartitionIndex i = 0; i < topic->partitions(); ++i) serve_left(*topic, i);
  }
  // The partition went with its topic, or cannot be appended to. The sequencer never had them.
  std::vector<std::uint32_t> lost;
  for (const auto& [place, ring] : rings_)
    if (!sequencer_knows_.contains(ring.partition)) lost.push_back(place);
  for (const std::uint32_t place : lost) {
    shm::close_ring(*rings_.at(place).memory->as<shm::IngestRing>());
    drop(place, false);
  }
  if (sequencer_knows_.empty()) return {};
  return sequencer_->serve();
}

/// The rings of one partition, with what the slots tell of their producers.
void Rings::serve_left(Topic& topic, PartitionIndex partition) {
  const PartitionId id = topic.partition(partition).id();
  std::map<std::uint64_t, ProducerHistory> history;
  for (const auto& [place, ring] : rings_) {
    if (ring.partition != id) continue;
    const auto& memory = *ring.memory->as<shm::IngestRing>();
    const std::uint64_t next = shm::first_unanswered(memory);
    ProducerHistory& producer = history[ring.producer_id];
    if (shm::look_at(memory, next) == shm::IngestState::kTaken)
      producer.wanted = memory.entries[next % shm::kIngestEntries].sequence;
  }
  read_history(topic.partition(partition).ring(), history);
  if (history.empty()) return;
  if (const auto known = know_partition(topic, partition); !known) {
    // Their rings are closed, as those of a partition that is no more; it is said, and said when
    // one opens. An entry that a predecessor appended has no answer that could be told any more.
    log_error(Level::kError, "ingest rings closed", known.error());
    for (const auto& [place, ring] : rings_)
      if (ring.partition == id && history[ring.producer_id].found)
        shm::answer(*ring.memory->as<shm::IngestRing>(),
                    shm::first_unanswered(*ring.memory->as<shm::IngestRing>()),
                    {.code = static_cast<std::uint32_t>(ErrorCode::kInDoubt)});
    return;
  }
  for (const auto& [place, ring] : rings_) {
    if (ring.partition != id) continue;
    const ProducerHistory& producer = history[ring.producer_id];
    const shm::RingEntry& entry = parts_.registry.rings[place];
    const auto noted = ring.memory->as<shm::IngestRing>()->header.last_sequence.load();
    sequencer_->add_ring(place, {.memory = ring.memory,
                                 .data_bytes = entry.data_bytes,
                                 .partition = id,
                                 .session = ring.session,
                                 .producer_id = ring.producer_id,
                                 .producer_epoch = entry.producer_epoch,
                                 .scope = entry.scope,
                                 .last_sequence = std::max(noted, producer.last_sequence),
                                 .end_offset = producer.end_offset,
                                 .budget = budget_of(ring.session),
                                 .appended_before = producer.found});
  }
}

// --- Opening

Result<void> Rings::know_partition(Topic& topic, PartitionIndex partition) {
  const PartitionId id = topic.partition(partition).id();
  if (sequencer_knows_.contains(id)) return {};
  auto admission = admission_of_ ? admission_of_(topic, partition) : nullptr;
  if (topic.settings().events && !admission)
    return fail(ErrorCode::kCorrupt,
                fmt::format("the streams of {}/{} cannot be read, so nothing can be appended",
                            topic.name(), partition));
  sequencer_knows_.insert(id);
  sequencer_->add_partition(id, {topic.shared(partition), std::move(admission)});
  return {};
}

std::shared_ptr<IngestBudget> Rings::budget_of(SessionIndex session) {
  std::weak_ptr<IngestBudget>& known = budgets_[session];
  if (auto budget = known.lock()) return budget;
  auto budget = std::make_shared<IngestBudget>(limits_.bytes_per_second);
  known = budget;
  return budget;
}

Result<std::uint32_t> Rings::free_place(SessionIndex session) const {
  const auto held =
      std::ranges::count_if(rings_, [&](const auto& one) { return one.second.session == session; });
  if (static_cast<std::uint32_t>(held) >= limits_.per_session)
    return fail(ErrorCode::kLimitReached,
                fmt::format("the session has {} ingest rings, no more are allowed", held));
  for (std::uint32_t place = 0; place < shm::kMaxRings; ++place)
    if (!rings_.contains(place)) return place;
  return fail(ErrorCode::kLimitReached,
              fmt::format("all {} ingest rings are taken", shm::kMaxRings));
}

Result<Rings::Ring> Rings::make_ring(Topic& topic, PartitionIndex partition,
                                     std::uint64_t producer_id, std::size_t data_bytes) {
  const std::size_t bytes = shm::ingest_ring_bytes(data_bytes);
  auto fd = shm::create_memory("mallbots-ingest", bytes);
  if (!fd) return std::unexpected(std::move(fd).error());
  auto mapping = shm::Mapping::of(fd->get(), bytes, shm::Access::kReadWrite);
  if (!mapping) return std::unexpected(std::move(mapping).error());
  MALLBOTS_TRY(mapping->populate(0, sizeof(shm::IngestRing)));
  Ring ring{.partition = topic.partition(partition).id(),
            .producer_id = producer_id,
            .fd = std::move(*fd),
            .memory = std::make_shared<shm::Mapping>(std::move(*mapping))};
  shm::IngestHeader& header = ring.memory->as<shm::IngestRing>()->header;
  header.page = {shm::kIngestMagic, shm::kLayoutVersion, bytes};
  header.partition_id = static_cast<std::uint64_t>(ring.partition);
  header.producer_id = producer_id;
  header.data_bytes = static_cast<std::uint32_t>(data_bytes);
  return ring;
}

Result<Rings::Opened> Rings::open(Session& who, Topic& topic, const shm::OpenRing& wanted) {
  const PartitionId partition = topic.partition(wanted.partition).id();
  for (const auto& [place, ring] : rings_)
    if (ring.session == who.index && ring.partition == partition &&
        ring.producer_id == wanted.producer_id)
      return answer(who, place);
  MALLBOTS_TRY(know_partition(topic, wanted.partition));
  const auto place = free_place(who.index);
  if (!place) return std::unexpected(place.error());
  const auto data_bytes =
      static_cast<std::uint32_t>(shm::ingest_data_bytes(topic.settings().record_max_bytes));
  auto ring = make_ring(topic, wanted.partition, random_id(), data_bytes);
  if (!ring) return std::unexpected(std::move(ring).error());
  ring->session = who.index;
  shm::RingEntry& entry = parts_.registry.rings[*place];
  entry.producer_id = ring->producer_id;
  entry.session = who.index;
  entry.producer_epoch = 0;
  entry.data_bytes = data_bytes;
  entry.scope = wanted.scope;
  if (who.wake) MALLBOTS_TRY(sequencer_->watch(who.wake.get()));
  MALLBOTS_TRY(parts_.keeper.put(FdKind::kRing, *place, ring->fd.get()));
  CRASH_POINT("rings.open");
  entry.partition_id.store(static_cast<std::uint64_t>(partition));
  sequencer_->add_ring(*place, {.memory = ring->memory,
                                .data_bytes = data_bytes,
                                .partition = partition,
                                .session = who.index,
                                .producer_id = ring->producer_id,
                                .scope = wanted.scope,
                                .budget = budget_of(who.index)});
  rings_.emplace(*place, std::move(*ring));
  MALLBOTS_TRY(sequencer_->serve());
  return answer(who, *place);
}

Result<Rings::Opened> Rings::answer(const Session& who, std::uint32_t place) {
  const Ring& ring = rings_.at(place);
  const shm::IngestHeader& header = ring.memory->as<shm::IngestRing>()->header;
  return Opened{.reply = {.ring = place,
                          .producer_id = ring.producer_id,
                          .last_sequence = header.last_sequence.load(),
                          .data_bytes = parts_.registry.rings[place].data_bytes},
                .memory = copy_of(ring.fd.get()),
                .wake = copy_of(who.wake ? who.wake.get() : wake_.get())};
}

// --- Closing

void Rings::drop(std::uint32_t place, bool serve_rest) {
  sequencer_->close_ring(place, serve_rest);
  CRASH_POINT("rings.drop");
  parts_.registry.rings[place].partition_id.store(0);
  // What stays with the keeper after a crash here is dropped by the next start.
  static_cast<void>(parts_.keeper.remove(FdKind::kRing, place));
  rings_.erase(place);
}

Result<void> Rings::close(SessionIndex who, std::uint32_t ring) {
  const auto found = rings_.find(ring);
  if (found == rings_.end() || found->second.session != who)
    return fail(ErrorCode::kBadArgument, fmt::format("ring {} is not yours to close", ring));
  drop(ring, true);
  return {};
}

void Rings::session_ended(SessionIndex session, bool serve_rest) {
  std::vector<std::uint32_t> places;
  for (const auto& [place, ring] : rings_)
    if (ring.session == session) places.push_back(place);
  if (places.empty()) return;
  for (const std::uint32_t place : places) drop(place, serve_rest);
  if (const Session* const who = parts_.sessions.find(session); who != nullptr && who->wake)
    sequencer_->forget(who->wake.get());
  budgets_.erase(session);
}

void Rings::recheck(Topic& topic, const std::function<bool(const Session&)>& may_produce) {
  std::vector<std::uint32_t> places;
  for (PartitionIndex i = 0; i < topic.partitions(); ++i) {
    for (const auto& [place, ring] : rings_) {
      if (ring.partition != topic.partition(i).id()) continue;
      const Session* const who = parts_.sessions.find(ring.session);
      if (who == nullptr || !may_produce(*who)) places.push_back(place);
    }
  }
  for (const std::uint32_t place : places) drop(place, false);
}

void Rings::topic_gone(Topic& topic) {
  for (PartitionIndex i = 0; i < topic.partitions(); ++i) {
    const PartitionId id = topic.partition(i).id();
    if (sequencer_knows_.erase(id) == 0) continue;
    sequencer_->remove_partition(id);
    std::vector<std::uint32_t> places;
    for (const auto& [place, ring] : rings_)
      if (ring.partition == id) places.push_back(place);
    for (const std::uint32_t place : places) drop(place, false);
  }
}

std::uint64_t Rings::depth() const {
  std::uint64_t sum = 0;
  for (const auto& [place, ring] : rings_) {
    const shm::IngestHeader& header = ring.memory->as<shm::IngestRing>()->header;
    // The client may have written anything.
    sum += std::min<std::uint64_t>(header.handed_in.load() - header.answered.load(),
                                   shm::kIngestEntries);
  }
  return sum;
}

}  // namespace mallbots::broker
