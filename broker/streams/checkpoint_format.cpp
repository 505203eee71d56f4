#include "broker/streams/checkpoint_format.h"

#include <cstring>
#include <string>

#include "shm/base/hash.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kFixedBytes = 16 + 4 + 4 + 1;
constexpr std::uint8_t kDeletedFlag = 1;

template <class T>
std::byte* put_value(std::byte* at, T value) noexcept {
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}
template <class T>
T take_value(std::span<const std::byte>& rest) noexcept {
  T value{};
  std::memcpy(&value, rest.data(), sizeof value);
  rest = rest.subspan(sizeof value);
  return value;
}

std::uint64_t check_of(const CheckpointHead& head, std::span<const std::byte> payload) noexcept {
  return xxh3(payload, xxh3(&head, offsetof(CheckpointHead, check)));
}

}  // namespace

CheckpointBlock::CheckpointBlock(std::span<std::byte> bytes) noexcept : bytes_(bytes) {
  CHECK(bytes.size() == kCheckpointBlockBytes);
}

bool CheckpointBlock::add(const StreamKey& key, const StreamState& state) noexcept {
  const std::size_t size = kFixedBytes + state.roots.count() * sizeof(Offset);
  if (size > bytes_.size() - used_) return false;
  std::byte* at = bytes_.data() + used_;
  at = put_value(at, key.high);
  at = put_value(at, key.low);
  at = put_value(at, static_cast<std::uint32_t>(state.version));
  at = put_value(at, static_cast<std::uint32_t>(state.deleted ? 0 : state.first));
  at = put_value(at, state.deleted ? kDeletedFlag : std::uint8_t{0});
  for (std::size_t i = 0; i < state.roots.count(); ++i) at = put_value(at, state.roots.at(i));
  used_ += size;
  ++streams_;
  return true;
}

void CheckpointBlock::seal(CheckpointHead head) noexcept {
  head.magic = kCheckpointMagic;
  head.version = kCheckpointVersion;
  head.payload_bytes = static_cast<std::uint32_t>(used_ - sizeof head);
  head.check = check_of(head, bytes_.subspan(sizeof head, head.payload_bytes));
  std::memcpy(bytes_.data(), &head, sizeof head);
  std::memset(bytes_.data() + used_, 0, bytes_.size() - used_);
}

void CheckpointBlock::seal(const CheckpointFrame& frame, std::uint32_t number) noexcept {
  seal(CheckpointHead{.number = number,
                      .partition_id = static_cast<std::uint64_t>(frame.partition),
                      .from_offset = frame.from,
                      .log_epoch = frame.log_epoch,
                      .streams = streams_});
}

void CheckpointBlock::seal_last(const CheckpointFrame& frame, std::uint32_t number, Offset end,
                                std::uint32_t streams) noexcept {
  CHECK(streams_ == 0);
  seal(CheckpointHead{.number = number,
                      .partition_id = static_cast<std::uint64_t>(frame.partition),
                      .from_offset = frame.from,
                      .end_offset = end,
                      .log_epoch = frame.log_epoch,
                      .streams = streams,
                      .flags = kLastCheckpointBlock});
}

Result<CheckpointHead> check_block(std::span<const std::byte> block, PartitionId partition,
                                   std::uint32_t number) {
  const std::string name = "block " + std::to_string(number);
  CheckpointHead head;
  if (block.size() != kCheckpointBlockBytes)
    return fail(ErrorCode::kCorrupt, name + " is not all there");
  std::memcpy(&head, block.data(), sizeof head);
  if (head.magic != kCheckpointMagic || head.payload_bytes > block.size() - sizeof head ||
      head.check != check_of(head, block.subspan(sizeof head, head.payload_bytes)))
    return fail(ErrorCode::kCorrupt, name + " does not check out");
  if (head.version != kCheckpointVersion)
    return fail(ErrorCode::kWrongVersion, name + " has version " + std::to_string(head.version));
  if (head.partition_id != static_cast<std::uint64_t>(partition) || head.number != number)
    return fail(ErrorCode::kCorrupt, name + " belongs elsewhere");
  return head;
}

Result<void> take_streams(std::span<const std::byte> block, StreamIndex& index) {
  CheckpointHead head;
  std::memcpy(&head, block.data(), sizeof head);
  std::span<const std::byte> rest = block.subspan(sizeof head, head.payload_bytes);
  const auto wrong = [] { return fail(ErrorCode::kCorrupt, "an entry of it contradicts itself"); };
  for (std::uint32_t i = 0; i < head.streams; ++i) {
    if (rest.size() < kFixedBytes) return wrong();
    StreamKey key;
    key.high = take_value<std::uint64_t>(rest);
    key.low = take_value<std::uint64_t>(rest);
    StreamState state;
    state.version = take_value<std::uint32_t>(rest);
    state.first = take_value<std::uint32_t>(rest);
    state.deleted = take_value<std::uint8_t>(rest) == kDeletedFlag;
    const std::size_t count = shm::tree_count(state.version);
    if (count == 0 || rest.size() < count * sizeof(Offset)) return wrong();
    for (std::size_t k = count; k-- > 0;) {
      Offset offset = 0;
      std::memcpy(&offset, rest.data() + k * sizeof offset, sizeof offset);
      if (offset >= StreamIndex::kOffsetLimit && offset != kNoOffset) return wrong();
      state.roots.put_front(offset);
    }
    rest = rest.subspan(count * sizeof(Offset));
    if (state.deleted) state.first = state.version + 1;
    if (state.first == 0 || state.first > state.version + 1) return wrong();
    index.put(key, state);
  }
  return {};
}

}  // namespace mallbots::broker
