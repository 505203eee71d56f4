#include "broker/streams/stream_table.h"

#include <algorithm>

namespace mallbots::broker {
namespace {

/// Streams copied under one hold of the lock: some microseconds.
constexpr std::uint32_t kAtOnce = 64;

}  // namespace

void StreamTable::begin(std::unique_ptr<StreamIndex> index, Offset end) {
  const std::lock_guard hold{lock_};
  index_ = std::move(index);
  end_ = end;
}

StreamState StreamTable::state_of(const StreamKey& key) const {
  const std::lock_guard hold{lock_};
  return index_->state_of(key);
}

Offset StreamTable::look_up(const StreamKey& key, StreamState& state) const {
  const std::lock_guard hold{lock_};
  state = index_->state_of(key);
  return end_;
}

void StreamTable::put(const StreamKey& key, const StreamState& state, Offset end) {
  const std::lock_guard hold{lock_};
  index_->put(key, state);
  end_ = end;
}

Offset StreamTable::end() const {
  const std::lock_guard hold{lock_};
  return end_;
}
std::uint32_t StreamTable::streams() const {
  const std::lock_guard hold{lock_};
  return index_->streams();
}
std::uint64_t StreamTable::memory_bytes() const {
  const std::lock_guard hold{lock_};
  return index_->memory_bytes();
}

Offset StreamTable::fill(CheckpointBlock& block, std::uint32_t& next, bool& more) const {
  more = true;
  for (;;) {
    const std::lock_guard hold{lock_};
    const std::uint32_t stop = std::min(index_->streams(), next + kAtOnce);
    for (; next < stop; ++next)
      if (!block.add(index_->key_at(next), index_->state_at(next))) return end_;
    more = next < index_->streams();
    if (!more) return end_;
  }
}

shm::ListStreamsReply StreamTable::list(std::uint32_t from, std::uint32_t count) const {
  shm::ListStreamsReply reply{.streams = {}, .next = from, .more = true};
  reply.streams.reserve(count);
  while (reply.more && reply.streams.size() < count) {
    const std::lock_guard hold{lock_};
    const auto left = static_cast<std::uint32_t>(count - reply.streams.size());
    const std::uint32_t stop = std::min<std::uint64_t>(
        index_->streams(), std::uint64_t{reply.next} + std::min(kAtOnce, left));
    for (; reply.next < stop; ++reply.next) {
      const StreamState state = index_->state_at(reply.next);
      reply.streams.push_back({state.version, state.first, state.last(), state.deleted});
    }
    reply.more = reply.next < index_->streams();
  }
  return reply;
}

}  // namespace mallbots::broker
