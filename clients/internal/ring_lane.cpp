#include "clients/internal/ring_lane.h"

#include <unistd.h>

#include <cstring>

namespace mallbots::client {
namespace {

constexpr std::size_t kAlign = 16;
/// Small entries go over the same pages again and again: they stay in the cache.
constexpr std::size_t kHotBytes = 16 * 1024;
constexpr std::uint32_t kPollsPerClockRead = 256;
constexpr BootNanos kHybridSpin = 30'000;

std::size_t aligned(std::size_t bytes) noexcept { return (bytes + kAlign - 1) / kAlign * kAlign; }

std::size_t handed_in_bytes(const shm::RecordInput& record) noexcept {
  return aligned(sizeof(shm::IngestRecord) + record.attributes.size() + record.key.size() +
                 record.payload.size());
}

std::byte* put_aligned(std::byte* at, std::span<const std::byte> bytes) noexcept {
  std::byte* end = shm::put(at, bytes);
  while ((end - at) % static_cast<std::ptrdiff_t>(kAlign) != 0) *end++ = std::byte{0};
  return end;
}

std::byte* put_record(std::byte* at, const shm::RecordInput& record) noexcept {
  const shm::IngestRecord header{
      .payload_bytes = static_cast<std::uint32_t>(record.payload.size()),
      .key_bytes = static_cast<std::uint32_t>(record.key.size()),
      .attribute_bytes = static_cast<std::uint16_t>(record.attributes.size()),
      .type = static_cast<std::uint8_t>(record.type),
      .flags = record.flags,
      .reserved = 0};
  std::memcpy(at, &header, sizeof header);
  std::byte* end = shm::put(at + sizeof header, record.attributes);
  end = shm::put(end, record.key);
  end = shm::put(end, record.payload);
  while ((end - at) % static_cast<std::ptrdiff_t>(kAlign) != 0) *end++ = std::byte{0};
  return end;
}

}  // namespace

Result<std::shared_ptr<RingLane>> RingLane::open(const TopicMemory& topic,
                                                 const shm::OpenRing& wanted, Deadline deadline) {
  std::vector<shm::UniqueFd> fds;
  const auto reply =
      topic.link().ask_on<shm::OpenRingReply>(topic.attachment(), wanted, deadline, &fds);
  if (!reply) return std::unexpected(reply.error());
  if (fds.size() != 2)
    return fail(ErrorCode::kBadMessage, "the broker's answer to OpenRing has another form");
  const std::size_t bytes = shm::ingest_ring_bytes(reply->data_bytes);
  MALLBOTS_TRY(shm::check_memory(fds[0].get(), bytes));
  auto memory = shm::Mapping::of(fds[0].get(), bytes, shm::Access::kReadWrite);
  if (!memory) return std::unexpected(std::move(memory).error());
  MALLBOTS_TRY(memory->populate(0, sizeof(shm::IngestRing) + kHotBytes));
  std::shared_ptr<RingLane> lane{new RingLane(topic)};
  lane->memory_ = std::move(*memory);
  lane->wake_ = std::move(fds[1]);
  lane->data_bytes_ = reply->data_bytes;
  lane->place_ = reply->ring;
  lane->producer_id_ = reply->producer_id;
  lane->last_.log_epoch = lane->before_.log_epoch = topic.board(wanted.partition).log_epoch;
  const shm::IngestHeader& header = lane->ring().header;
  if (header.page.magic != shm::kIngestMagic || header.page.layout_version != shm::kLayoutVersion ||
      header.data_bytes != reply->data_bytes)
    return fail(ErrorCode::kCorrupt, "the ingest ring of " + topic.place(wanted.partition));
  // An earlier owner of the same ring may have left entries under way; they are not ours.
  lane->next_ = header.answered.load();
  while (shm::look_at(lane->ring(), lane->next_)) ++lane->next_;
  lane->oldest_ = lane->next_;
  if (lane->next_ != 0) {
    lane->wait(lane->next_ - 1, shm::WaitStrategy::kBlock, deadline);
    if (lane->sleeps(lane->next_ - 1))
      return fail(ErrorCode::kTimeout,
                  topic.place(wanted.partition) +
                      ": what was handed in before as this producer has no answer yet");
  }
  // What was waited for has moved it.
  lane->accepted_ = lane->assigned_ =
      std::max<std::uint64_t>(reply->last_sequence, header.last_sequence.load());
  return lane;
}

/// Data goes round in order of the entries; false: those under way leave no room for it.
bool RingLane::find_room(std::size_t bytes) noexcept {
  if (oldest_ == next_) {
    if (write_at_ > kHotBytes || write_at_ + bytes > data_bytes_) write_at_ = 0;
    return true;
  }
  const std::size_t kept_from = place_of(oldest_).data_at;
  if (write_at_ < kept_from) return bytes < kept_from - write_at_;
  if (bytes <= data_bytes_ - write_at_) return true;
  if (bytes >= kept_from) return false;
  write_at_ = 0;
  return true;
}

RingLane::Step RingLane::hand_in(const RingRequest& request, std::uint64_t& number) noexcept {
  shm::prefetch_entry(ring(), next_, data() + write_at_);
  std::size_t bytes = aligned(request.request.size());
  std::uint64_t log_bytes = 0;
  for (const shm::RecordInput& record : request.records) {
    bytes += handed_in_bytes(record);
    log_bytes += aligned(shm::record_bytes(record));
    if (record.attributes.size() > UINT16_MAX) return Step::kTooLarge;
  }
  if (bytes > data_bytes_ || log_bytes > topic_->record_max_bytes) return Step::kTooLarge;
  harvest();
  if (is_closed()) return Step::kClosed;
  if (next_ - oldest_ >= shm::kIngestEntries || !find_room(bytes)) return Step::kFull;
  const auto count = static_cast<std::uint32_t>(request.records.size());
  const std::uint64_t sequence = count == 0              ? 0
                                 : request.sequence != 0 ? request.sequence
                                                         : assigned_ + 1;
  std::byte* at = put_aligned(data() + write_at_, request.request);
  for (const shm::RecordInput& record : request.records) at = put_record(at, record);
  shm::IngestEntry& entry = shm::entry_of(ring(), next_);
  entry.data_at = static_cast<std::uint32_t>(write_at_);
  entry.data_bytes = static_cast<std::uint32_t>(bytes);
  entry.request_bytes = static_cast<std::uint32_t>(request.request.size());
  entry.records = count;
  entry.kind = static_cast<std::uint16_t>(request.kind);
  entry.flags = static_cast<std::uint16_t>(request.await_durable ? shm::kAwaitDurable : 0);
  entry.sequence = sequence;
  entry.expected = request.expected;
  if (request.kind >= shm::IngestKind::kFirstOfTopic)
    std::memcpy(entry.arguments, request.arguments.data(), sizeof entry.arguments);
  place_of(next_) = {count == 0 ? 0 : sequence + count - 1, static_cast<std::uint32_t>(write_at_),
                     count};
  if (count != 0) assigned_ = sequence + count - 1;
  write_at_ += bytes;
  number = next_++;
  shm::hand_in(ring(), number);
  if (shm::sequencer_sleeps(*topic_)) {
    const std::uint64_t one = 1;
    // A full counter (EAGAIN) is a wake as well; nothing else can fail that a retry would mend.
    static_cast<void>(!::write(wake_.get(), &one, sizeof one));
  }
  return Step::kHandedIn;
}

bool RingLane::harvest() noexcept {
  for (; oldest_ != next_; ++oldest_) {
    const auto outcome = answer(oldest_);
    if (!outcome) return false;
    const Place& place = place_of(oldest_);
    if (outcome->code == static_cast<std::uint32_t>(ErrorCode::kOutOfSequence) ||
        (outcome->flags & shm::kDuplicateAnswer) != 0) {
      accepted_ = outcome->value;
    } else if (outcome->code == 0 && place.records != 0) {
      accepted_ = place.last_sequence;
      before_ = last_;
      last_.offset = outcome->value + place.records - 1;
      last_.timestamp_ms = outcome->timestamp_ms;
    }
  }
  assigned_ = accepted_;
  return true;
}

bool RingLane::spin(std::uint64_t number, std::uint32_t polls) const noexcept {
  for (; polls != 0; --polls)
    if (shm::is_answered(ring(), number)) return true;
  return false;
}

bool RingLane::sleeps(std::uint64_t number) const noexcept {
  return !shm::is_answered(ring(), number) && !is_closed();
}

void RingLane::wait(std::uint64_t number, shm::WaitStrategy strategy, Deadline deadline) noexcept {
  if (strategy != shm::WaitStrategy::kBlock) {
    if (spin(number, kPollsPerClockRead)) return;
    const BootNanos since = boot_now_ns();
    while (!spin(number, kPollsPerClockRead)) {
      if (is_closed() || deadline.has_passed()) return;
      if (strategy == shm::WaitStrategy::kHybrid && boot_now_ns() - since > kHybridSpin) break;
    }
  }
  while (sleeps(number) && !deadline.has_passed()) {
    const std::uint32_t key = shm::prepare_wait(ring().header.answers);
    if (!sleeps(number)) return;
    shm::wait(ring().header.answers, key, deadline);
  }
}

}  // namespace mallbots::client
