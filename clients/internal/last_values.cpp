#include "clients/internal/last_values.h"

namespace mallbots::client {
namespace {

constexpr std::int64_t kTimeoutMs = 30'000;
constexpr std::size_t kBatch = 1024;

}  // namespace

Result<void> LastValues::try_open(const TopicPartition& where, Deadline deadline) {
  const auto topic = readings_.topic(where.topic, deadline);
  if (!topic) return std::unexpected(topic.error());
  MALLBOTS_TRY((*topic)->check_partition(where.partition));
  if ((*topic)->is_stale()) {
    std::vector<Error> gone;
    const auto attached = readings_.reattach(deadline, gone);
    // Another memory may hold other records at the same offsets: all is read again.
    if (!gone.empty() || attached == Readings::Attached::kAnew) forget();
    if (!gone.empty()) return std::unexpected(gone.front());
  }
  if (reading_ == nullptr)
    reading_ = &readings_.add(**topic, where.partition,
                              (*topic)->board(where.partition).start_offset.load());
  std::vector<Setback> ignored;
  const bool fresh = !reading_->cursor;
  MALLBOTS_TRY(readings_.complete(deadline, ignored));
  if (!fresh) return {};
  if (keyed_) {
    reading_->cursor->go_to((*topic)->board(where.partition).start_offset.load());
    return {};
  }
  const auto end = reading_->cursor->find_end(deadline);
  if (!end) {
    close();  // a cursor without its place would read the partition from the start
    return std::unexpected(end.error());
  }
  reading_->cursor->go_to(*end == 0 ? 0 : *end - 1);
  return {};
}

Result<void> LastValues::open(const TopicPartition& where) {
  const Deadline deadline = Deadline::after_ms(kTimeoutMs);
  return readings_.link().ride_out(deadline, [&] { return try_open(where, deadline); });
}

void LastValues::close() {
  readings_.remove_all();
  reading_ = nullptr;
}

void LastValues::forget() {
  last_.reset();
  by_key_.clear();
  close();
}

void LastValues::keep(const Message& message) {
  if (!last_) last_.emplace();
  last_->assign(message);
  if (!keyed_ || message.key.empty()) return;
  const auto found = by_key_.find(message.key_text());
  if (found != by_key_.end()) {
    found->second.assign(message);
  } else {
    by_key_.emplace(std::string{message.key_text()}, OwnedMessage{message});
  }
}

Result<void> LastValues::catch_up() {
  const Deadline deadline = Deadline::after_ms(kTimeoutMs);
  shm::LockBackoff backoff;
  for (;;) {
    batch_.clear();
    const Cursor::State state = reading_->cursor->read(batch_, kBatch, deadline);
    if (keyed_) {
      for (const Message& message : batch_) keep(message);
    } else if (!batch_.empty()) {
      keep(batch_.back());
    }
    switch (state) {
      case Cursor::State::kMore:
      case Cursor::State::kSetback:
        break;
      case Cursor::State::kIdle:
        // What was published may have stepped back behind what is committed: the word knows.
        if (reading_->cursor->has_more()) break;
        return {};
      case Cursor::State::kBlocked:
        // Its last slot was sealed with it, and the next one is not to be had any more.
        if (reading_->topic->state() == shm::BoardState::kGone) {
          Error gone{ErrorCode::kTopicGone, reading_->topic->name()};
          forget();
          return std::unexpected(std::move(gone));
        }
        // What is known stays the answer while the broker is away.
        if (!readings_.link().is_attached() && (last_ || !by_key_.empty())) return {};
        if (!backoff.pause(deadline))
          return fail(ErrorCode::kConnectionLost,
                      reading_->topic->place(reading_->where.partition));
        break;
      case Cursor::State::kFailed: {
        const Error error = reading_->cursor->error();
        if (error.code == ErrorCode::kTopicGone) forget();
        return std::unexpected(error);
      }
    }
  }
}

Result<std::optional<Message>> LastValues::last(const TopicPartition& where,
                                                std::span<const std::byte> key) {
  readings_.link().tend_now_and_then();
  if (!key.empty() && !keyed_) {
    // From now on every key counts: once from the start.
    keyed_ = true;
    close();
  }
  if (reading_ == nullptr || !reading_->cursor || reading_->topic->is_stale())
    MALLBOTS_TRY(open(where));
  MALLBOTS_TRY(catch_up());
  if (key.empty()) {
    if (!last_) return std::optional<Message>{};
    return std::optional{last_->view()};
  }
  const auto found = by_key_.find(as_text(key));
  if (found == by_key_.end() || found->second.view().is_tombstone) return std::optional<Message>{};
  return std::optional{found->second.view()};
}

}  // namespace mallbots::client
