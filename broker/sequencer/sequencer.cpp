#include "broker/sequencer/sequencer.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "broker/sequencer/entry.h"
#include "shm/base/check.h"
#include "shm/concurrent/ingest.h"

namespace mallbots::broker {
namespace {

constexpr std::uint32_t kEntriesPerTurn = 32;
constexpr std::uint64_t kBytesPerTurn = 1U << 20;
constexpr BootNanos kNoRoomRest = kMillisecond;
constexpr std::uint32_t kTurnsPerClockRead = 32;

/// One ring as this thread has it.
struct Served {
  std::optional<std::uint32_t> id;  ///< none: it is closing, its place may be another's
  RingParts parts;
  Lane* lane = nullptr;
  std::uint64_t number = 0;  ///< of the next entry
  BootNanos not_before = 0;
  std::uint64_t closes_at = ~std::uint64_t{0};  ///< no entry from here on is served

  [[nodiscard]] shm::IngestRing& ring() const noexcept {
    return *parts.memory->as<shm::IngestRing>();
  }
  [[nodiscard]] std::span<const std::byte> data() const noexcept {
    return {parts.memory->data() + sizeof(shm::IngestRing), parts.data_bytes};
  }
  /// What the client has done with the next entry, as far as it is this thread's turn.
  [[nodiscard]] bool has_work() const noexcept {
    const auto state = shm::look_at(ring(), number);
    return state == shm::IngestState::kHandedIn || state == shm::IngestState::kWithdrawn;
  }
};

shm::IngestOutcome refusal(ErrorCode code, std::uint64_t value = 0) noexcept {
  return {.code = static_cast<std::uint32_t>(code), .value = value};
}

}  // namespace

BootNanos IngestBudget::refill(BootNanos now) noexcept {
  const auto most = static_cast<std::int64_t>(rate_ / 10);
  const double earned = static_cast<double>(rate_) * static_cast<double>(now - refilled_) /
                        static_cast<double>(kSecond);
  refilled_ = now;
  left_ =
      earned > static_cast<double>(most - left_) ? most : left_ + static_cast<std::int64_t>(earned);
  if (left_ > 0) return now;
  return now +
         static_cast<BootNanos>(static_cast<double>(1 - left_) * static_cast<double>(kSecond) /
                                static_cast<double>(rate_)) +
         1;
}

class Sequencer::Thread {
 public:
  explicit Thread(const Options& options) : options_(options) {}
  ~Thread() { stop(); }

  Result<void> open();
  Result<void> start();
  /// Runs `change` between two rings; the caller waits. Before start(): at once.
  void call(const std::function<void()>& change);

  void add_lane(PartitionId partition, const LaneParts& parts);
  void drop_lane(PartitionId partition);
  void add_ring(std::uint32_t id, RingParts parts);
  void close_ring(std::uint32_t id, bool serve_rest);
  Result<void> watch(int fd);

  shm::UniqueFd epoll;
  std::map<PartitionId, std::unique_ptr<Lane>> lanes;
  SequencerCounters counters;

 private:
  enum class Fate : std::uint8_t { kAnswered, kLater };
  void stop();
  void run();
  void take_changes();
  bool turn();
  bool serve(Served& served);
  Fate serve_entry(Served& served);
  Fate append(Served& served, HandedIn& entry);
  [[nodiscard]] std::optional<shm::IngestOutcome> judge_sequence(const Served& served) const;
  void finish(Served& served, const shm::IngestOutcome& outcome);
  void recall(Served& served);
  [[nodiscard]] HandedIn handed_in(const Served& served);
  void drop_closed();
  void park();
  void say_parked(shm::SequencerSleep sleep);
  [[nodiscard]] BootNanos next_look() const noexcept;

  Options options_;
  shm::Mapping own_page_;
  std::thread thread_;
  std::vector<std::unique_ptr<Served>> rings_;
  std::size_t first_ = 0;  ///< whose turn it is
  EntryCopy copy_;
  BootNanos idle_since_ = 0;  ///< 0: the last turn found something

  std::mutex lock_;
  std::vector<const std::function<void()>*> changes_;  ///< under lock_
  std::uint64_t changes_done_ = 0;                     ///< under lock_
  std::condition_variable changed_;
  std::atomic<bool> has_changes_{false};
  bool ends_ = false;
};

// --- Starting, stopping, changes

Result<void> Sequencer::Thread::open() {
  epoll = shm::UniqueFd{epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll) return fail(ErrorCode::kLimitReached, std::string{"epoll: "} + std::strerror(errno));
  auto fd = shm::create_memory("mallbots-sequencer", sizeof(shm::SessionPage));
  if (!fd) return std::unexpected(std::move(fd).error());
  auto page = shm::Mapping::of(fd->get(), sizeof(shm::SessionPage), shm::Access::kReadWrite);
  if (!page) return std::unexpected(std::move(page).error());
  own_page_ = std::move(*page);
  own_page_.as<shm::SessionPage>()->header.session = kBrokerSession;
  return watch(options_.wake_fd);
}

Result<void> Sequencer::Thread::watch(int fd) {
  // Each new write counts once, without anybody reading it.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = fd}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0 || errno == EEXIST) return {};
  return fail(ErrorCode::kLimitReached, std::string{"epoll: "} + std::strerror(errno));
}

Result<void> Sequencer::Thread::start() {
  if (thread_.joinable()) return {};
  try {
    thread_ = std::thread{[this] { run(); }};
  } catch (const std::system_error& refused) {
    return fail(ErrorCode::kLimitReached, std::string{"a thread: "} + refused.what());
  }
  pthread_setname_np(thread_.native_handle(), "sequencer");
  return {};
}

void Sequencer::Thread::stop() {
  if (!thread_.joinable()) return;
  call([this] { ends_ = true; });
  thread_.join();
}

void Sequencer::Thread::call(const std::function<void()>& change) {
  if (!thread_.joinable()) return change();
  std::unique_lock lock{lock_};
  changes_.push_back(&change);
  const std::uint64_t mine = changes_done_ + changes_.size();
  has_changes_.store(true);
  const std::uint64_t one = 1;
  // A full counter (EAGAIN) wakes as well.
  static_cast<void>(!write(options_.wake_fd, &one, sizeof one));
  changed_.wait(lock, [&] { return changes_done_ >= mine; });
}

void Sequencer::Thread::take_changes() {
  if (!has_changes_.load()) return;
  const std::scoped_lock lock{lock_};
  for (const auto* change : changes_) (*change)();
  changes_done_ += changes_.size();
  changes_.clear();
  has_changes_.store(false);
  changed_.notify_all();
}

void Sequencer::Thread::add_lane(PartitionId partition, const LaneParts& parts) {
  auto& lane = lanes[partition];
  if (lane) return;
  // A predecessor may have died parked.
  shm::park_sequencer(parts.partition.topic, shm::SequencerSleep::kAwake);
  lane = std::make_unique<Lane>(parts, *own_page_.as<shm::SessionPage>(), options_.broker_eventfd);
}

void Sequencer::Thread::drop_lane(PartitionId partition) {
  std::erase_if(rings_, [&](const auto& served) {
    if (served->parts.partition != partition) return false;
    shm::close_ring(served->ring());
    return true;
  });
  lanes.erase(partition);
}

void Sequencer::Thread::add_ring(std::uint32_t id, RingParts parts) {
  close_ring(id, false);
  const auto lane = lanes.find(parts.partition);
  CHECK(lane != lanes.end());
  auto served = std::make_unique<Served>();
  served->id = id;
  served->parts = std::move(parts);
  served->lane = lane->second.get();
  served->number = shm::first_unanswered(served->ring());
  if (shm::look_at(served->ring(), served->number) == shm::IngestState::kTaken) recall(*served);
  rings_.push_back(std::move(served));
}

void Sequencer::Thread::close_ring(std::uint32_t id, bool serve_rest) {
  const auto found = std::ranges::find_if(rings_, [&](const auto& one) { return one->id == id; });
  if (found == rings_.end()) return;
  (*found)->id.reset();
  (*found)->closes_at = (*found)->number + (serve_rest ? shm::kIngestEntries : 0);
  drop_closed();
}

/// Those that were closed, and have nothing left to serve.
void Sequencer::Thread::drop_closed() {
  std::erase_if(rings_, [](const auto& served) {
    if (served->id || (served->number < served->closes_at && served->has_work())) return false;
    shm::close_ring(served->ring());
    return true;
  });
}

// --- The loop

void Sequencer::Thread::run() {
  std::uint32_t looks = 0;
  while (!ends_) {
    take_changes();
    if (turn()) {
      idle_since_ = 0;
      continue;
    }
    shm::cpu_relax();
    if (++looks % kTurnsPerClockRead != 0 && idle_since_ != 0) continue;
    const BootNanos now = boot_now_ns();
    if (idle_since_ == 0) idle_since_ = now;
    if (now - idle_since_ >= options_.spin_ns) park();
  }
}

/// True if any ring had something that could be done.
bool Sequencer::Thread::turn() {
  bool worked = false;
  bool closing = false;
  const std::size_t count = rings_.size();
  if (first_ >= count) first_ = 0;
  for (std::size_t i = 0; i < count && !has_changes_.load(); ++i) {
    Served& served = *rings_[(first_ + i) % count];
    worked = serve(served) || worked;
    closing = closing || !served.id;
  }
  ++first_;
  if (closing) drop_closed();
  return worked;
}

bool Sequencer::Thread::serve(Served& served) {
  if (!served.has_work()) return false;
  if (served.not_before != 0) {
    if (boot_now_ns() < served.not_before) return false;
    served.not_before = 0;
  }
  bool worked = false;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < kEntriesPerTurn && bytes < kBytesPerTurn; ++i) {
    if (served.number >= served.closes_at) break;
    if (served.parts.budget->is_spent()) {
      const BootNanos now = boot_now_ns();
      const BootNanos due = served.parts.budget->refill(now);
      if (due > now) {
        served.not_before = due;
        break;
      }
    }
    const auto state = shm::look_at(served.ring(), served.number);
    if (state == shm::IngestState::kWithdrawn) {
      finish(served, refusal(ErrorCode::kTimeout));
      worked = true;
      continue;
    }
    if (state != shm::IngestState::kHandedIn || !shm::take(served.ring(), served.number)) break;
    if (serve_entry(served) == Fate::kLater) {
      shm::give_back(served.ring(), served.number);
      served.not_before = boot_now_ns() + kNoRoomRest;
      break;
    }
    served.parts.budget->spend(copy_.fields().data_bytes);
    bytes += copy_.fields().data_bytes;
    worked = true;
  }
  return worked;
}

// --- One entry

HandedIn Sequencer::Thread::handed_in(const Served& served) {
  const EntryFields& fields = copy_.fields();
  return {.session = served.parts.session,
          .producer_id = served.parts.producer_id,
          .scope = served.parts.scope,
          .kind = static_cast<shm::IngestKind>(fields.kind),
          .sequence = fields.sequence,
          .expected = fields.expected,
          .arguments = std::span<const std::uint64_t, shm::kIngestArguments>{fields.arguments},
          .request = copy_.parts().request,
          .records = copy_.records()};
}

/// The entry is taken. kLater: nothing of it is in the log, it is to be tried again.
Sequencer::Thread::Fate Sequencer::Thread::serve_entry(Served& served) {
  const std::size_t record_max = served.lane->topic().record_max_bytes;
  const ErrorCode code = copy_.take(served.ring(), served.data(), served.number, record_max);
  if (code != ErrorCode::kNone) {
    finish(served, refusal(code));
    return Fate::kAnswered;
  }
  const auto kind = static_cast<shm::IngestKind>(copy_.fields().kind);
  if (kind == shm::IngestKind::kFlush) {
    served.lane->ask_for_flush();
    finish(served, {});
    return Fate::kAnswered;
  }
  if (const auto outcome = judge_sequence(served)) {
    finish(served, *outcome);
    return Fate::kAnswered;
  }
  HandedIn entry = handed_in(served);
  Admission* const admission = served.lane->admission();
  if (admission == nullptr && kind != shm::IngestKind::kAppend) {
    finish(served, refusal(ErrorCode::kUnsupported));
    return Fate::kAnswered;
  }
  if (admission != nullptr) {
    const Verdict verdict = admission->admit(entry);
    if (verdict.what != Verdict::What::kAccepted) {
      shm::IngestOutcome outcome = refusal(verdict.code, verdict.value);
      std::ranges::copy(verdict.extras, outcome.extras);
      finish(served, outcome);
      return Fate::kAnswered;
    }
  }
  if (entry.records.empty()) {  // accepted, and nothing to append
    finish(served, {});
    return Fate::kAnswered;
  }
  return append(served, entry);
}

/// An answer if the sequence alone decides.
std::optional<shm::IngestOutcome> Sequencer::Thread::judge_sequence(const Served& served) const {
  const EntryFields& fields = copy_.fields();
  const std::uint64_t last = served.parts.last_sequence;
  if (fields.records == 0) return std::nullopt;
  if (fields.sequence <= last && last - fields.sequence + 1 >= fields.records)
    return shm::IngestOutcome{
        .flags = shm::kDuplicateAnswer, .value = last, .extras = {served.parts.end_offset}};
  if (fields.sequence != last + 1) return refusal(ErrorCode::kOutOfSequence, last);
  return std::nullopt;
}

Sequencer::Thread::Fate Sequencer::Thread::append(Served& served, HandedIn& entry) {
  using shm::AppendStatus;
  const bool plain = entry.kind == shm::IngestKind::kAppend;
  const auto outcome = served.lane->append(
      entry.records, {.author = {served.parts.producer_id, served.parts.producer_epoch,
                                 served.lane->hashes_bodies()},
                      .last_sequence = served.parts.last_sequence,
                      .sequence = entry.sequence,
                      .expected_offset = plain ? entry.expected : entry.next,
                      .await_durable = (copy_.fields().flags & shm::kAwaitDurable) != 0});
  switch (outcome.status) {
    case AppendStatus::kAppended: {
      shm::IngestOutcome answer{.value = outcome.offset, .timestamp_ms = outcome.timestamp_ms};
      if (Admission* const admission = served.lane->admission())
        admission->appended(entry, outcome.offset, outcome.timestamp_ms, answer.extras);
      served.parts.last_sequence = entry.sequence + entry.records.size() - 1;
      served.parts.end_offset = outcome.offset + entry.records.size();
      counters.records.fetch_add(entry.records.size());
      finish(served, answer);
      return Fate::kAnswered;
    }
    case AppendStatus::kConflict:
      finish(served, refusal(ErrorCode::kConflict, outcome.offset));
      return Fate::kAnswered;
    case AppendStatus::kTooLarge:
      finish(served, refusal(ErrorCode::kTooLarge));
      return Fate::kAnswered;
    case AppendStatus::kReadOnly:
      finish(served, refusal(served.lane->readonly()));
      return Fate::kAnswered;
    case AppendStatus::kGone:
      finish(served, refusal(ErrorCode::kTopicGone));
      return Fate::kAnswered;
    default:  // no room, a slot that the broker must look at first, or it drains: the next one's
      return Fate::kLater;
  }
}

void Sequencer::Thread::finish(Served& served, const shm::IngestOutcome& outcome) {
  shm::note_sequence(served.ring(), served.parts.last_sequence);
  shm::answer(served.ring(), served.number, outcome);
  ++served.number;
  counters.entries.fetch_add(1);
  if (outcome.code != 0 && outcome.code < counters.refused.size())
    counters.refused[outcome.code].fetch_add(1);
}

/// A predecessor took the entry and gave no answer.
void Sequencer::Thread::recall(Served& served) {
  if (!served.parts.appended_before) return shm::give_back(served.ring(), served.number);
  const auto [offset, timestamp_ms] = *served.parts.appended_before;
  shm::IngestOutcome answer{.value = offset, .timestamp_ms = timestamp_ms};
  const std::size_t record_max = served.lane->topic().record_max_bytes;
  const ErrorCode code = copy_.take(served.ring(), served.data(), served.number, record_max);
  Admission* const admission = served.lane->admission();
  if (admission != nullptr && code == ErrorCode::kNone)
    admission->recalled(handed_in(served), offset, answer.extras);
  finish(served, answer);
}

// --- Sleeping

BootNanos Sequencer::Thread::next_look() const noexcept {
  BootNanos next = INT64_MAX;
  for (const auto& served : rings_)
    if (served->not_before != 0 && served->has_work()) next = std::min(next, served->not_before);
  return next;
}

void Sequencer::Thread::say_parked(shm::SequencerSleep sleep) {
  for (const auto& [partition, lane] : lanes) shm::park_sequencer(lane->topic(), sleep);
}

void Sequencer::Thread::park() {
  say_parked(shm::SequencerSleep::kParked);
  const bool came_in = std::ranges::any_of(
      rings_, [](const auto& served) { return served->not_before == 0 && served->has_work(); });
  if (!came_in && !has_changes_.load()) {
    const BootNanos next = next_look();
    const BootNanos left = next == INT64_MAX ? 0 : std::max<BootNanos>(next - boot_now_ns(), 0);
    const timespec timeout{.tv_sec = left / kSecond, .tv_nsec = left % kSecond};
    std::array<epoll_event, 16> events;
    counters.parks.fetch_add(1);
    epoll_pwait2(epoll.get(), events.data(), static_cast<int>(events.size()),
                 next == INT64_MAX ? nullptr : &timeout, nullptr);
  }
  say_parked(shm::SequencerSleep::kAwake);
  idle_since_ = 0;
}

// --- The class itself

Sequencer::Sequencer(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
Sequencer::~Sequencer() = default;

Result<std::unique_ptr<Sequencer>> Sequencer::make(const Options& options) {
  auto thread = std::make_unique<Thread>(options);
  MALLBOTS_TRY(thread->open());
  return std::unique_ptr<Sequencer>{new Sequencer{std::move(thread)}};
}

void Sequencer::add_partition(PartitionId partition, const LaneParts& parts) {
  thread_->call([&] { thread_->add_lane(partition, parts); });
}

void Sequencer::remove_partition(PartitionId partition) {
  thread_->call([&] { thread_->drop_lane(partition); });
}

void Sequencer::add_ring(std::uint32_t ring, RingParts parts) {
  thread_->call([&] { thread_->add_ring(ring, std::move(parts)); });
}

void Sequencer::close_ring(std::uint32_t ring, bool serve_rest) {
  thread_->call([&] { thread_->close_ring(ring, serve_rest); });
}

Result<void> Sequencer::watch(int eventfd) { return thread_->watch(eventfd); }
void Sequencer::forget(int eventfd) {
  epoll_ctl(thread_->epoll.get(), EPOLL_CTL_DEL, eventfd, nullptr);
}

Result<void> Sequencer::serve() { return thread_->start(); }

const SequencerCounters& Sequencer::counters() const noexcept { return thread_->counters; }

}  // namespace mallbots::broker
