#include "clients/consumer.h"

#include <algorithm>
#include <array>

#include "clients/internal/group_member.h"
#include "clients/internal/last_values.h"
#include "clients/internal/link.h"
#include "clients/internal/readings.h"
#include "shm/concurrent/cells.h"
#include "shm/concurrent/wait.h"

namespace mallbots::client {
namespace {

constexpr std::int64_t kAskMs = 100;
constexpr BootNanos kSpinFor = 20'000;
/// A broker that takes over wakes every sleeper; only the end of keeper and broker together is
/// found out by looking.
constexpr BootNanos kLongestSleep = 500 * kMillisecond;
constexpr BootNanos kDetachedSleep = 50 * kMillisecond;
constexpr BootNanos kBlockedSleep = 5 * kMillisecond;
constexpr std::uint32_t kPollsBetweenLooks = 64;
constexpr std::uint32_t kSpinsBetweenLooks = 32;
/// Of one partition's memory in a row, some 150 ns.
constexpr std::uint32_t kLooksPerSpin = 64;

}  // namespace

class Consumer::Impl {
 public:
  Impl(Link& link, const ConsumerOptions& options)
      : link_(&link),
        options_(options),
        readings_(link, options_),
        member_(readings_, options_),
        attachment_(link.current()),
        notices_seen_(link.notices_so_far()) {}

  Result<std::span<const Message>> poll(Deadline deadline, std::size_t max_records);
  /// Pushed messages, a replaced broker, cursors that are missing.
  Result<void> tend(Deadline deadline);
  void heed_page();
  [[nodiscard]] Result<void> assign(const std::string& topic,
                                    std::span<const PartitionIndex> partitions, const Start& start,
                                    Deadline deadline);
  [[nodiscard]] Deadline usual() const noexcept {
    return Deadline::after_ms(link_->options().reconnect_timeout_ms);
  }

  Link* link_;
  ConsumerOptions options_;
  Readings readings_;
  GroupMember member_;
  std::map<std::pair<std::string, PartitionIndex>, std::unique_ptr<LastValues>> last_values_;
  Setback setback_;

 private:
  struct Pending {
    Error error;
    Setback setback;
  };
  [[nodiscard]] shm::SessionHeader& header() const noexcept {
    return attachment_.session->header();
  }
  void count_poll() noexcept { shm::count_call(header().polls); }
  [[nodiscard]] bool has_news() const noexcept;
  [[nodiscard]] bool tend_is_due() const noexcept;
  void attach_again(Deadline deadline);
  void heed_notices();
  void scan(std::size_t max_records, Deadline deadline);
  void report(Error error, const Setback& setback = {});
  void report(const Setback& setback);
  [[nodiscard]] Error take_pending();
  void sleep(Deadline deadline);
  [[nodiscard]] Cursor* only_cursor() const noexcept;
  [[nodiscard]] bool idle_until_more(Deadline deadline, BootNanos& spin_until,
                                     std::size_t max_records);

  Attachment attachment_;
  std::uint64_t notices_seen_;
  std::uint32_t news_seen_ = 0;
  bool unresolved_ = false;  ///< the last tend() could not do all: again soon, not at once
  BootNanos tended_ = 0;
  std::uint32_t polls_ = 0;
  std::size_t turn_ = 0;
  std::vector<Message> messages_;
  std::vector<Pending> pending_;
};

// Errors that wait for the next poll
// -----------------------------------------------------------------------------------------

void Consumer::Impl::report(Error error, const Setback& setback) {
  pending_.push_back({std::move(error), setback});
}

void Consumer::Impl::report(const Setback& setback) {
  std::string detail =
      setback.partition.topic + "/" + std::to_string(setback.partition.partition) + ": ";
  detail +=
      setback.code == ErrorCode::kViewExpired
          ? "the records before offset " + std::to_string(setback.end)
          : "offsets " + std::to_string(setback.first) + " to " + std::to_string(setback.end - 1);
  report(Error{setback.code, std::move(detail)}, setback);
}

Error Consumer::Impl::take_pending() {
  Pending first = std::move(pending_.front());
  pending_.erase(pending_.begin());
  setback_ = first.setback;
  return std::move(first.error);
}

// The broker's side
// -----------------------------------------------------------------------------------------

bool Consumer::Impl::has_news() const noexcept {
  return header().news.load() != news_seen_ || link_->attachment() != attachment_.number ||
         header().revoked.load() != 0;
}

bool Consumer::Impl::tend_is_due() const noexcept {
  return unresolved_ ? boot_now_ns() - tended_ >= kBlockedSleep : has_news();
}

void Consumer::Impl::heed_notices() {
  for (const shm::Notice& notice : link_->notices_since(notices_seen_)) {
    if (notice.code == ErrorCode::kFenced && member_.is_named_by(notice)) {
      member_.expelled();
      report(Error{notice.code, notice.detail});
      continue;
    }
    Reading* const reading = readings_.find(notice.topic_id, notice.partition);
    if (notice.code == ErrorCode::kTruncated && reading != nullptr && reading->in_group) {
      const Offset had = reading->next_offset();
      if (notice.offset == kNoOffset || had <= notice.offset) continue;
      if (reading->cursor) reading->cursor->go_to(notice.offset);
      reading->kept.offset = notice.offset;
      report({ErrorCode::kTruncated, reading->where, notice.offset, had});
    } else if (notice.code == ErrorCode::kLimitReached && member_.is_member()) {
      report(Error{notice.code, notice.detail});
    }
  }
}

/// What the session page itself says: also without a broker, and after the one that expelled.
void Consumer::Impl::heed_page() {
  if (!member_.is_fenced()) return;
  report(member_.fenced());
  member_.expelled();
}

/// The connection was made anew: everything that hangs on it again.
void Consumer::Impl::attach_again(Deadline deadline) {
  const std::uint64_t number = link_->attachment();
  std::vector<Error> gone;
  const auto attached = readings_.reattach(deadline, gone);
  for (Error& error : gone) report(std::move(error));
  if (attached == Readings::Attached::kAway) return;
  Attachment now = link_->current();
  if (now.number != number || !now.session) return;  // once more, with the next look
  const bool anew = attached == Readings::Attached::kAnew || now.session != attachment_.session;
  if (now.session != attachment_.session) news_seen_ = 0;
  member_.attached_again(anew);
  attachment_ = std::move(now);
}

Result<void> Consumer::Impl::tend(Deadline deadline) {
  if (deadline.remaining_ns() < kAskMs * kMillisecond) deadline = Deadline::after_ms(kAskMs);
  unresolved_ = true;
  tended_ = boot_now_ns();
  // Before anything is made anew: who was expelled while it stood still, and its broker replaced,
  // must not join again as if nothing had been.
  heed_page();
  link_->tend();
  if (!link_->is_attached()) return {};
  if (link_->attachment() != attachment_.number) attach_again(deadline);
  // What is pushed from here on is news again.
  const std::uint32_t news = header().news.load();
  link_->tend();
  heed_notices();
  heed_page();
  const auto usual_trouble = [](const Result<void>& result) {
    return result || result.error().code == ErrorCode::kConnectionLost ||
           result.error().code == ErrorCode::kTimeout ||
           result.error().code == ErrorCode::kDraining;  // its heir lets members in
  };
  const auto joined = member_.tend(deadline);
  heed_page();
  if (!usual_trouble(joined)) return joined;
  std::vector<Setback> setbacks;
  const auto completed = readings_.complete(deadline, setbacks);
  for (const Setback& setback : setbacks) report(setback);
  if (!usual_trouble(completed)) return completed;
  unresolved_ = !joined || !completed || link_->attachment() != attachment_.number;
  if (!unresolved_) news_seen_ = news;
  return {};
}

// Reading
// -----------------------------------------------------------------------------------------

/// One round over the partitions, beginning behind the one that came first last time.
void Consumer::Impl::scan(std::size_t max_records, Deadline deadline) {
  auto& all = readings_.all();
  const std::size_t count = all.size();
  turn_ = turn_ + 1 < count ? turn_ + 1 : 0;
  for (std::size_t i = 0; i < count && messages_.size() < max_records; ++i) {
    Reading& reading = *all[turn_ + i < count ? turn_ + i : turn_ + i - count];
    reading.blocked = !reading.cursor;
    if (!reading.cursor || reading.paused) continue;
    const auto state = reading.cursor->read(messages_, max_records - messages_.size(), deadline);
    reading.blocked = state == Cursor::State::kBlocked;
    if (state == Cursor::State::kSetback) report(reading.cursor->setback());
    if (reading.blocked && reading.topic->state() == shm::BoardState::kGone) {
      report(Error{ErrorCode::kTopicGone, reading.where.topic});
    } else if (state == Cursor::State::kFailed) {
      report(reading.cursor->error());
    } else {
      continue;
    }
    // It cannot go on; the others can. All that follow have moved up by one place.
    readings_.remove(reading);
    return;
  }
}

/// Sleeps on the partitions' eventcounts and the doorbell until one of them may have more.
void Consumer::Impl::sleep(Deadline deadline) {
  std::array<shm::WaitOn, shm::kMaxWaitWords> words{};
  std::size_t count = 0;
  words[count++] = {&header().doorbell, shm::prepare_wait(header().doorbell)};
  const auto& all = readings_.all();
  bool blocked = unresolved_;
  const bool on_each = all.size() < words.size();
  for (const auto& reading : all) {
    blocked = blocked || reading->blocked;
    if (!on_each || reading->paused || !reading->cursor) continue;
    if (auto* word = reading->cursor->eventcount(); word != nullptr)
      words[count++] = {word, shm::prepare_wait(*word)};
  }
  for (const auto& reading : all)
    if (!reading->paused && !reading->blocked && reading->cursor && reading->cursor->has_more())
      return;
  if (has_news() && !blocked) return;
  const BootNanos longest = blocked                ? kBlockedSleep
                            : link_->is_attached() ? kLongestSleep
                                                   : kDetachedSleep;
  shm::wait_any({words.data(), count},
                deadline.remaining_ns() < longest ? deadline : Deadline::after_ns(longest));
}

/// Of a consumer that reads a single partition, which is read without all that a round over several
/// has to do.
Cursor* Consumer::Impl::only_cursor() const noexcept {
  const auto& all = readings_.all();
  if (all.size() != 1 || all[0]->paused || all[0]->blocked) return nullptr;
  return all[0]->cursor.get();
}

/// Waits as the connection's options say. False: the deadline has passed. What a spinner sees it
/// takes at once.
bool Consumer::Impl::idle_until_more(Deadline deadline, BootNanos& spin_until,
                                     std::size_t max_records) {
  if (deadline.is_try()) return false;
  const Waiting waiting = link_->options().waiting;
  if (waiting == Waiting::kSpin || (waiting == Waiting::kHybrid && spin_until >= 0)) {
    Cursor* const cursor = only_cursor();
    if (cursor == nullptr) shm::cpu_relax();
    if (cursor != nullptr && cursor->spin(kLooksPerSpin) &&
        cursor->read_found(messages_, max_records))
      return true;
    if (++polls_ % kSpinsBetweenLooks != 0) return true;
    const BootNanos now = boot_now_ns();
    if (spin_until == 0) spin_until = now + kSpinFor;
    if (waiting == Waiting::kHybrid && now >= spin_until) spin_until = -1;
  } else {
    sleep(deadline);
    // Who waits here is alive (max.poll.interval).
    count_poll();
  }
  link_->tend_now_and_then();
  return !deadline.has_passed();
}

Result<std::span<const Message>> Consumer::Impl::poll(Deadline deadline, std::size_t max_records) {
  if (options_.auto_commit == AutoCommit::kOnPoll) static_cast<void>(member_.commit_all());
  if (member_.was_refused()) heed_page();
  count_poll();
  messages_.clear();
  for (const auto& reading : readings_.all())
    if (reading->cursor && reading->cursor->views_expired()) report(reading->cursor->setback());
  if (const Cursor* const cursor = only_cursor(); cursor != nullptr) cursor->let_appender_be();
  if (++polls_ % kPollsBetweenLooks == 0) link_->tend_now_and_then();
  BootNanos spin_until = 0;
  for (;;) {
    if (!pending_.empty()) return std::unexpected(take_pending());
    if (tend_is_due()) {
      MALLBOTS_TRY(tend(deadline));
      if (!pending_.empty()) continue;
    }
    Cursor* const cursor = only_cursor();
    if (cursor == nullptr || !cursor->read_found(messages_, max_records))
      scan(max_records, deadline);
    if (!messages_.empty()) return std::span<const Message>{messages_};
    if (!pending_.empty()) continue;
    if (!idle_until_more(deadline, spin_until, max_records)) return std::span<const Message>{};
    if (!messages_.empty()) return std::span<const Message>{messages_};
    if (!link_->is_attached() && link_->is_lost())
      return fail(ErrorCode::kConnectionLost,
                  "the broker is away, and memory has nothing more to read");
  }
}

// The class itself
// -----------------------------------------------------------------------------------------

bool is_setback(ErrorCode code) noexcept {
  return code == ErrorCode::kEvicted || code == ErrorCode::kTruncated ||
         code == ErrorCode::kDamaged || code == ErrorCode::kViewExpired;
}

Consumer::Consumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Consumer::~Consumer() {
  // A broker that does not answer finds out when the session ends.
  static_cast<void>(impl_->member_.leave(Deadline::after_ms(1'000)));
  impl_->readings_.remove_all();
}

Result<std::unique_ptr<Consumer>> Consumer::open(Connection& connection,
                                                 const ConsumerOptions& options) {
  MALLBOTS_TRY(
      connection.link().ensure(Deadline::after_ms(connection.options().reconnect_timeout_ms)));
  return std::unique_ptr<Consumer>{
      new Consumer(std::make_unique<Impl>(connection.link(), options))};
}

Result<void> Consumer::subscribe(std::span<const std::string> topics, const std::string& group,
                                 const std::string& instance) {
  const auto& all = impl_->readings_.all();
  if (std::any_of(all.begin(), all.end(), [](const auto& own) { return !own->in_group; }))
    return fail(ErrorCode::kBadArgument, "this consumer reads partitions alone; open another one");
  impl_->heed_page();
  if (impl_->member_.is_member() && impl_->member_.group() != group) MALLBOTS_TRY(unsubscribe());
  return impl_->member_.join(topics, group, instance, impl_->usual());
}

Result<void> Consumer::unsubscribe() { return impl_->member_.leave(impl_->usual()); }

/// All or none.
Result<void> Consumer::Impl::assign(const std::string& topic,
                                    std::span<const PartitionIndex> partitions, const Start& start,
                                    Deadline deadline) {
  MALLBOTS_TRY(tend(deadline));
  const auto memory = readings_.topic(topic, deadline);
  if (!memory) return std::unexpected(memory.error());
  std::vector<PartitionIndex> wanted{partitions.begin(), partitions.end()};
  if (wanted.empty())
    for (PartitionIndex i = 0; i < (*memory)->partitions(); ++i) wanted.push_back(i);
  for (const PartitionIndex partition : wanted) {
    MALLBOTS_TRY((*memory)->check_partition(partition));
    if (readings_.find({topic, partition}) != nullptr)
      return fail(ErrorCode::kBadArgument, (*memory)->place(partition) + " is read already; seek");
  }
  std::vector<Setback> setbacks;
  for (const PartitionIndex partition : wanted) {
    Reading& reading = readings_.add(**memory, partition, 0);
    Result<void> done = readings_.complete(deadline, setbacks);
    if (done) {
      const auto offset = readings_.find_start(reading, start, deadline);
      if (offset) {
        reading.cursor->go_to(*offset);
        continue;
      }
      done = std::unexpected(offset.error());
    }
    for (const PartitionIndex undone : wanted)
      if (Reading* added = readings_.find({topic, undone}); added != nullptr)
        readings_.remove(*added);
    return done;
  }
  return {};
}

Result<void> Consumer::assign(const std::string& topic, std::span<const PartitionIndex> partitions,
                              const Start& start) {
  if (impl_->member_.is_member())
    return fail(ErrorCode::kBadArgument, "this consumer is in a group; open another one");
  const Deadline deadline = impl_->usual();
  return impl_->link_->ride_out(deadline,
                                [&] { return impl_->assign(topic, partitions, start, deadline); });
}

Result<std::span<const Message>> Consumer::poll(Deadline deadline, std::size_t max_records) {
  return impl_->poll(deadline, std::max<std::size_t>(max_records, 1));
}

const Setback& Consumer::setback() const noexcept { return impl_->setback_; }

namespace {

std::unexpected<Error> not_ours(const TopicPartition& partition) {
  return fail(ErrorCode::kBadPartition, partition.topic + "/" +
                                            std::to_string(partition.partition) +
                                            " is not read by this consumer");
}

}  // namespace

Result<void> Consumer::commit() {
  if (!impl_->member_.is_member()) return fail(ErrorCode::kBadArgument, "a commit needs a group");
  return impl_->member_.commit_all();
}

Result<void> Consumer::commit(const Message& message) {
  if (!impl_->member_.is_member()) return fail(ErrorCode::kBadArgument, "a commit needs a group");
  const Readings& readings = impl_->readings_;
  Reading* reading =
      message.topic_id != 0
          ? readings.find(message.topic_id, message.partition)
          : readings.find(TopicPartition{std::string{message.topic}, message.partition});
  if (reading == nullptr || !reading->cursor)
    return fail(ErrorCode::kFenced,
                std::string{message.topic} + "/" + std::to_string(message.partition));
  return impl_->member_.commit(*reading, message.offset + 1);
}

Result<void> Consumer::commit_durable(Deadline deadline) {
  return impl_->member_.commit_durable(deadline);
}

std::optional<Position> Consumer::position(const TopicPartition& partition) const {
  const Reading* reading = impl_->readings_.find(partition);
  if (reading == nullptr) return std::nullopt;
  return Position{reading->topic->board(partition.partition).log_epoch, reading->next_offset()};
}

std::vector<TopicPartition> Consumer::assignment() const {
  std::vector<TopicPartition> all;
  for (const auto& reading : impl_->readings_.all()) all.push_back(reading->where);
  return all;
}

Result<void> Consumer::seek(const TopicPartition& partition, const Start& start) {
  Reading* reading = impl_->readings_.find(partition);
  if (reading == nullptr) return not_ours(partition);
  const Deadline deadline = impl_->usual();
  return impl_->link_->ride_out(deadline, [&]() -> Result<void> {
    MALLBOTS_TRY(impl_->link_->ensure(deadline));
    MALLBOTS_TRY(impl_->tend(deadline));
    reading = impl_->readings_.find(partition);
    if (reading == nullptr) return not_ours(partition);
    if (!reading->cursor)
      return fail(ErrorCode::kConnectionLost, partition.topic + ": the broker went meanwhile");
    const auto offset = impl_->readings_.find_start(*reading, start, deadline);
    if (!offset) return std::unexpected(offset.error());
    reading->cursor->go_to(*offset);
    return {};
  });
}

Result<void> Consumer::pause(const TopicPartition& partition) {
  Reading* reading = impl_->readings_.find(partition);
  if (reading == nullptr) return not_ours(partition);
  reading->paused = true;
  if (reading->cursor) reading->cursor->release();
  return {};
}

Result<void> Consumer::resume(const TopicPartition& partition) {
  Reading* reading = impl_->readings_.find(partition);
  if (reading == nullptr) return not_ours(partition);
  reading->paused = false;
  return {};
}

Result<LogRange> Consumer::range(const TopicPartition& partition) {
  const auto described = impl_->link_->ask<shm::DescribeTopicReply>(
      shm::DescribeTopic{.name = partition.topic, .from_partition = partition.partition},
      impl_->usual());
  if (!described) return std::unexpected(described.error());
  for (const shm::PartitionRow& row : described->partitions)
    if (row.partition == partition.partition)
      return LogRange{row.start_offset, row.end_offset, row.durable_offset};
  return fail(ErrorCode::kBadPartition,
              partition.topic + "/" + std::to_string(partition.partition));
}

Result<std::optional<Message>> Consumer::latest(const TopicPartition& partition,
                                                std::span<const std::byte> key) {
  auto& values = impl_->last_values_[{partition.topic, partition.partition}];
  if (!values) values = std::make_unique<LastValues>(*impl_->link_, impl_->options_);
  return values->last(partition, key);
}

}  // namespace mallbots::client
