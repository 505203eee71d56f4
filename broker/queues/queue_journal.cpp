#include "broker/queues/queue_journal.h"

#include <algorithm>
#include <cstring>

#include "broker/storage/codec.h"

namespace mallbots::broker {

enum class QueueWriter::Entry : std::uint8_t {
  kGranted = 1,
  kDone,
  kPutBack,
  kDied,
  kBuried,
  kLowMoved,
  kBegin,
  kDoneBits,
  kItem,
  kEnd,
  kLimits,
  kForgotten,
  kTopicForgotten,
};

/// One entry at the end of the last payload.
struct QueueWriter::Out {
  std::vector<std::byte>& bytes;

  template <class T>
  Out& put(T value) {
    const auto* raw = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), raw, raw + sizeof(T));
    return *this;
  }
  Out& text(const std::string& text) {
    const auto size = static_cast<std::uint16_t>(std::min(text.size(), kFailureTextBytes));
    put(size);
    const auto* raw = reinterpret_cast<const std::byte*>(text.data());
    bytes.insert(bytes.end(), raw, raw + size);
    return *this;
  }
  Out& due(const DueTime& due) { return put(due.boot_ns).put(due.wall_ms).put(due.delay_ms); }
  Out& failure(const DeliveryFailure& failure) {
    return text(failure.type).text(failure.text).text(failure.handler).put(failure.time_ms);
  }
  Out& failure(const DeliveryFailure* one) {
    put(static_cast<std::uint8_t>(one != nullptr));
    return one == nullptr ? *this : failure(*one);
  }
};

QueueWriter::Out QueueWriter::entry(Entry type) {
  if (payloads_.empty() || payloads_.back().size() >= kPayloadBytes) payloads_.emplace_back();
  Out out{payloads_.back()};
  out.put(type);
  return out;
}

std::size_t QueueWriter::bytes() const noexcept {
  std::size_t sum = 0;
  for (const auto& payload : payloads_) sum += payload.size();
  return sum;
}

std::vector<std::vector<std::byte>> QueueWriter::take() { return std::exchange(payloads_, {}); }

// Writing
// -----------------------------------------------------------------------------------------

void QueueWriter::granted(QueueNumber queue, Offset offset, std::uint32_t attempt,
                          const Holder& holder) {
  entry(Entry::kGranted).put(queue).put(offset).put(attempt).put(holder.session).put(holder.token);
}

void QueueWriter::done(QueueNumber queue, Offset offset) {
  entry(Entry::kDone).put(queue).put(offset);
}

void QueueWriter::put_back(QueueNumber queue, Offset offset, const DueTime& due, bool counts,
                           const DeliveryFailure* failure) {
  entry(Entry::kPutBack)
      .put(queue)
      .put(offset)
      .due(due)
      .put(static_cast<std::uint8_t>(counts))
      .failure(failure);
}

void QueueWriter::died(QueueNumber queue, Offset offset, DeathReason reason,
                       const DeliveryFailure* failure) {
  entry(Entry::kDied).put(queue).put(offset).put(reason).failure(failure);
}

void QueueWriter::buried(QueueNumber queue, Offset offset, Offset letter) {
  entry(Entry::kBuried).put(queue).put(offset).put(letter);
}

void QueueWriter::low_moved(QueueNumber queue, Position low) {
  entry(Entry::kLowMoved).put(queue).put(low.log_epoch).put(low.offset);
}

void QueueWriter::begin(QueueNumber queue, const QueueIdentity& identity, Position low) {
  entry(Entry::kBegin)
      .put(queue)
      .text(identity.group)
      .put(identity.topic)
      .put(identity.partition)
      .put(low.log_epoch)
      .put(low.offset);
}

void QueueWriter::done_bits(QueueNumber queue, Offset first, const std::vector<bool>& bits) {
  const auto count = static_cast<std::uint32_t>(bits.size());
  Out out = entry(Entry::kDoneBits).put(queue).put(first).put(count);
  for (std::size_t i = 0; i < bits.size(); i += 8) {
    std::uint8_t byte = 0;
    for (std::size_t bit = 0; bit < 8 && i + bit < bits.size(); ++bit)
      if (bits[i + bit]) byte = static_cast<std::uint8_t>(byte | (1U << bit));
    out.put(byte);
  }
}

void QueueWriter::item(QueueNumber queue, const ItemView& item) {
  Out out = entry(Entry::kItem)
                .put(queue)
                .put(item.offset)
                .put(item.state)
                .put(item.attempts)
                .put(item.holder.session)
                .put(item.holder.token)
                .due(item.due)
                .put(item.reason)
                .put(item.letter)
                .failure(item.note == nullptr ? nullptr : &item.note->first);
  if (item.note != nullptr) out.failure(item.note->last);
}

void QueueWriter::end(QueueNumber queue) { entry(Entry::kEnd).put(queue); }

void QueueWriter::limits(const std::string& group, std::uint32_t max_deliveries) {
  entry(Entry::kLimits).text(group).put(max_deliveries);
}

void QueueWriter::forgotten(const std::string& group) { entry(Entry::kForgotten).text(group); }

void QueueWriter::topic_forgotten(TopicId topic) { entry(Entry::kTopicForgotten).put(topic); }

void write_snapshot(QueueChanges& out, QueueNumber queue, const QueueIdentity& identity,
                    LogEpoch epoch, const QueueState& state) {
  out.begin(queue, identity, {epoch, state.low()});
  if (const std::vector<bool> bits = state.done_bits(); !bits.empty())
    out.done_bits(queue, state.low(), bits);
  state.for_each([&](const ItemView& item) {
    const bool fresh = item.state == ItemState::kWaiting && item.attempts == 0;
    if (item.state != ItemState::kDone && !fresh) out.item(queue, item);
  });
  out.end(queue);
}

// Reading
// -----------------------------------------------------------------------------------------

namespace {

class In {
 public:
  explicit In(std::span<const std::byte> bytes) : reader_(bytes) {}

  template <class T>
  [[nodiscard]] T get() {
    if constexpr (std::is_enum_v<T>)
      return static_cast<T>(reader_.get<std::underlying_type_t<T>>());
    else
      return reader_.get<T>();
  }
  [[nodiscard]] bool flag() {
    const auto byte = get<std::uint8_t>();
    good_ = good_ && byte <= 1;
    return byte == 1;
  }
  template <class E>
  [[nodiscard]] E one_of(E first, E last) {
    const E value = get<E>();
    good_ = good_ && value >= first && value <= last;
    return value;
  }
  [[nodiscard]] std::string text() {
    const auto size = get<std::uint16_t>();
    std::string text;
    for (std::uint16_t i = 0; i < size && ok(); ++i) text.push_back(get<char>());
    return text;
  }
  [[nodiscard]] DueTime due() {
    DueTime due;
    due.boot_ns = get<BootNanos>();
    due.wall_ms = get<UnixMillis>();
    due.delay_ms = get<std::uint32_t>();
    return due;
  }
  [[nodiscard]] Position position() {
    Position position;
    position.log_epoch = get<LogEpoch>();
    position.offset = get<Offset>();
    return position;
  }
  [[nodiscard]] DeliveryFailure failure() {
    DeliveryFailure failure;
    failure.type = text();
    failure.text = text();
    failure.handler = text();
    failure.time_ms = get<UnixMillis>();
    return failure;
  }
  [[nodiscard]] std::vector<bool> bits() {
    const auto count = get<std::uint32_t>();
    std::vector<bool> bits;
    if (count > kQueueWindow) good_ = false;
    std::uint8_t byte = 0;
    for (std::uint32_t i = 0; i < count && ok(); ++i) {
      if (i % 8 == 0) byte = get<std::uint8_t>();
      bits.push_back((byte >> (i % 8) & 1) != 0);
    }
    return bits;
  }
  [[nodiscard]] bool ok() const { return good_ && reader_.ok(); }
  [[nodiscard]] bool at_end() const { return reader_.at_end(); }

 private:
  ByteReader reader_;
  bool good_ = true;
};

/// A failure that may not be there.
struct Maybe {
  DeliveryFailure failure;
  bool there = false;
  explicit Maybe(In& in) {
    there = in.flag();
    if (there) failure = in.failure();
  }
  [[nodiscard]] const DeliveryFailure* get() const { return there ? &failure : nullptr; }
};

void read_item(In& in, QueueNumber queue, QueueChanges& into) {
  ItemView item;
  item.offset = in.get<Offset>();
  item.state = in.one_of(ItemState::kWaiting, ItemState::kDone);
  item.attempts = in.get<std::uint32_t>();
  item.holder.session = in.get<SessionIndex>();
  item.holder.token = in.get<std::uint64_t>();
  item.due = in.due();
  item.reason = in.one_of(DeathReason::kRejected, DeathReason::kAttempts);
  item.letter = in.get<Offset>();
  const Maybe first{in};
  FailureNote note;
  if (first.there) {
    note = {first.failure, in.failure()};
    item.note = &note;
  }
  if (in.ok()) into.item(queue, item);
}

/// One change of one record; false: it is an entry of another kind.
template <class Entry>
bool read_change(Entry type, In& in, QueueNumber queue, QueueChanges& into) {
  const auto offset_of = [&] { return in.get<Offset>(); };
  switch (type) {
    case Entry::kGranted: {
      const Offset offset = offset_of();
      const auto attempt = in.get<std::uint32_t>();
      Holder holder;
      holder.session = in.get<SessionIndex>();
      holder.token = in.get<std::uint64_t>();
      if (in.ok()) into.granted(queue, offset, attempt, holder);
      return true;
    }
    case Entry::kDone: {
      const Offset offset = offset_of();
      if (in.ok()) into.done(queue, offset);
      return true;
    }
    case Entry::kPutBack: {
      const Offset offset = offset_of();
      const DueTime due = in.due();
      const bool counts = in.flag();
      const Maybe failure{in};
      if (in.ok()) into.put_back(queue, offset, due, counts, failure.get());
      return true;
    }
    case Entry::kDied: {
      const Offset offset = offset_of();
      const auto reason = in.one_of(DeathReason::kRejected, DeathReason::kAttempts);
      const Maybe failure{in};
      if (in.ok()) into.died(queue, offset, reason, failure.get());
      return true;
    }
    case Entry::kBuried: {
      const Offset offset = offset_of();
      const auto letter = in.get<Offset>();
      if (in.ok()) into.buried(queue, offset, letter);
      return true;
    }
    case Entry::kLowMoved: {
      const Position low = in.position();
      if (in.ok()) into.low_moved(queue, low);
      return true;
    }
    default:
      return false;
  }
}

/// A piece of a whole queue; false: it is an entry of another kind.
template <class Entry>
bool read_piece(Entry type, In& in, QueueNumber queue, QueueChanges& into) {
  switch (type) {
    case Entry::kBegin: {
      QueueIdentity identity;
      identity.group = in.text();
      identity.topic = in.get<TopicId>();
      identity.partition = in.get<PartitionIndex>();
      const Position low = in.position();
      if (in.ok()) into.begin(queue, identity, low);
      return true;
    }
    case Entry::kDoneBits: {
      const auto first = in.get<Offset>();
      const std::vector<bool> bits = in.bits();
      if (in.ok()) into.done_bits(queue, first, bits);
      return true;
    }
    case Entry::kItem:
      read_item(in, queue, into);
      return true;
    case Entry::kEnd:
      if (in.ok()) into.end(queue);
      return true;
    default:
      return false;
  }
}

/// What concerns a whole group or topic; false: it is an entry of another kind.
template <class Entry>
bool read_group(Entry type, In& in, QueueChanges& into) {
  switch (type) {
    case Entry::kLimits: {
      const std::string group = in.text();
      const auto max_deliveries = in.get<std::uint32_t>();
      if (in.ok()) into.limits(group, max_deliveries);
      return true;
    }
    case Entry::kForgotten: {
      const std::string group = in.text();
      if (in.ok()) into.forgotten(group);
      return true;
    }
    case Entry::kTopicForgotten: {
      const auto topic = in.get<TopicId>();
      if (in.ok()) into.topic_forgotten(topic);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

Result<void> read_queue_changes(std::span<const std::byte> payload, QueueChanges& into) {
  using Entry = QueueWriter::Entry;
  In in{payload};
  while (in.ok() && !in.at_end()) {
    const auto type = in.get<Entry>();
    if (read_group(type, in, into)) continue;
    const auto queue = in.get<QueueNumber>();
    if (!read_change(type, in, queue, into) && !read_piece(type, in, queue, into))
      return fail(ErrorCode::kCorrupt, "entry type " + std::to_string(static_cast<unsigned>(type)));
  }
  if (!in.ok()) return fail(ErrorCode::kCorrupt, "an entry is cut short or out of range");
  return {};
}

}  // namespace mallbots::broker
