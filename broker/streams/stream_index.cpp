#include "broker/streams/stream_index.h"

#include <algorithm>
#include <cstring>

#include "shm/base/hash.h"

namespace mallbots::broker {
namespace {

constexpr std::uint32_t kFirstPlaces = 16;
/// Fullness at which a table is made anew, and by how much larger.
constexpr std::uint64_t kFullPercent = 85;
constexpr std::uint64_t kGrowPercent = 125;
constexpr std::size_t kInline = 3;

/// Where a key's search begins in its table: the upper half of `low`, scaled.
std::uint32_t home(const StreamKey& key, std::uint32_t places) noexcept {
  return static_cast<std::uint32_t>(((key.low >> 32) * places) >> 32);
}
std::uint8_t tag_of(const StreamKey& key) noexcept {
  const auto tag = static_cast<std::uint8_t>(key.high);
  return tag == 0 ? 1 : tag;
}
/// The block size for so many roots: 4, 8, 16, 32.
std::size_t class_for(std::size_t roots) noexcept {
  return roots <= 4 ? 0 : roots <= 8 ? 1 : roots <= 16 ? 2 : 3;
}
std::size_t class_roots(std::size_t size_class) noexcept { return std::size_t{4} << size_class; }

}  // namespace

/// 38 bytes, aligned to 2. Offsets have 47 bits and a flag; all ones: none.
struct StreamIndex::Entry {
  std::uint16_t halves[19];

  // halves: 0-3 key.high, 4-7 key.low, 8-9 version, 10-12, 13-15, 16-18 offsets with flags
  [[nodiscard]] StreamKey key() const noexcept {
    StreamKey key;
    std::memcpy(&key.high, halves, 8);
    std::memcpy(&key.low, halves + 4, 8);
    return key;
  }
  void set_key(const StreamKey& key) noexcept {
    std::memcpy(halves, &key.high, 8);
    std::memcpy(halves + 4, &key.low, 8);
  }
  [[nodiscard]] std::uint32_t version() const noexcept {
    std::uint32_t version = 0;
    std::memcpy(&version, halves + 8, 4);
    return version;
  }
  void set_version(std::uint32_t version) noexcept { std::memcpy(halves + 8, &version, 4); }

  [[nodiscard]] std::uint64_t word(std::size_t place) const noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, halves + 10 + 3 * place, 6);
    return word;
  }
  void set_word(std::size_t place, std::uint64_t value, bool flag) noexcept {
    const std::uint64_t word = value << 1 | (flag ? 1 : 0);
    std::memcpy(halves + 10 + 3 * place, &word, 6);
  }
  [[nodiscard]] std::uint64_t value(std::size_t place) const noexcept { return word(place) >> 1; }
  [[nodiscard]] bool flag(std::size_t place) const noexcept { return (word(place) & 1) != 0; }
  // flag 0: deleted, flag 1: has an entry in first_, flag 2: the third offset is a root block
  static constexpr std::size_t kDeleted = 0, kHasFirst = 1, kHasBlock = 2;
  void set_flag(std::size_t place, bool flag) noexcept { set_word(place, value(place), flag); }
};

StreamKey stream_key(std::string_view id) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(id.data(), id.size());
  return {hash.high64, hash.low64};
}

StreamIndex::StreamIndex() : tables_(kTables) { static_assert(sizeof(Entry) == 38); }
StreamIndex::~StreamIndex() = default;

// The hash table
// -----------------------------------------------------------------------------------------

void StreamIndex::insert(Table& table, const StreamKey& key, std::uint32_t number) noexcept {
  std::uint32_t place = home(key, table.places);
  while (table.tags[place] != 0) place = place + 1 == table.places ? 0 : place + 1;
  table.tags[place] = tag_of(key);
  table.numbers[place] = number;
  ++table.used;
}

std::optional<std::uint32_t> StreamIndex::find(const StreamKey& key) const noexcept {
  const Table& table = tables_[key.low % kTables];
  if (table.places == 0) return std::nullopt;
  const std::uint8_t tag = tag_of(key);
  std::uint32_t place = home(key, table.places);
  for (; table.tags[place] != 0; place = place + 1 == table.places ? 0 : place + 1) {
    if (table.tags[place] != tag) continue;
    const std::uint32_t number = table.numbers[place];
    if (entry(number).key() == key) return number;
  }
  return std::nullopt;
}

void StreamIndex::grow(Table& table) {
  Table larger;
  larger.places = table.places == 0 ? kFirstPlaces
                                    : static_cast<std::uint32_t>(table.places * kGrowPercent / 100);
  larger.numbers = std::make_unique_for_overwrite<std::uint32_t[]>(larger.places);
  larger.tags = std::make_unique<std::uint8_t[]>(larger.places);
  for (std::uint32_t place = 0; place < table.places; ++place) {
    if (table.tags[place] == 0) continue;
    insert(larger, entry(table.numbers[place]).key(), table.numbers[place]);
  }
  places_ += larger.places - table.places;
  table = std::move(larger);
}

std::uint32_t StreamIndex::add(const StreamKey& key) {
  CHECK(streams_ < kMostStreams);
  Table& table = tables_[key.low % kTables];
  if ((table.used + 1ULL) * 100 > table.places * kFullPercent) grow(table);
  if (streams_ % kEntriesAChunk == 0) chunks_.push_back(std::make_unique<Entry[]>(kEntriesAChunk));
  const std::uint32_t number = streams_++;
  entry(number).set_key(key);
  insert(table, key, number);
  return number;
}

// Entries
// -----------------------------------------------------------------------------------------

StreamIndex::Entry& StreamIndex::entry(std::uint32_t number) noexcept {
  return chunks_[number / kEntriesAChunk][number % kEntriesAChunk];
}
const StreamIndex::Entry& StreamIndex::entry(std::uint32_t number) const noexcept {
  return chunks_[number / kEntriesAChunk][number % kEntriesAChunk];
}

StreamKey StreamIndex::key_at(std::uint32_t number) const noexcept { return entry(number).key(); }

StreamState StreamIndex::state_of(const StreamKey& key) const {
  const auto number = find(key);
  return number ? state_at(*number) : StreamState{};
}

StreamState StreamIndex::state_at(std::uint32_t number) const {
  const Entry& at = entry(number);
  StreamState state{.version = at.version(), .deleted = at.flag(Entry::kDeleted), .roots = {}};
  state.roots = roots_of(at);
  if (state.deleted) {
    state.first = state.version + 1;
  } else if (at.flag(Entry::kHasFirst)) {
    state.first = first_.at(number);
  }
  return state;
}

void StreamIndex::put(const StreamKey& key, const StreamState& state) {
  CHECK(state.version <= shm::kMaxStreamVersion &&
        state.roots.count() == shm::tree_count(state.version));
  const auto found = find(key);
  const std::uint32_t number = found ? *found : add(key);
  Entry& at = entry(number);
  at.set_version(static_cast<std::uint32_t>(state.version));
  put_roots(at, state.roots);
  at.set_flag(Entry::kDeleted, state.deleted);
  const bool has_first = state.first != 1 && !state.deleted;
  if (has_first) {
    first_[number] = static_cast<std::uint32_t>(state.first);
  } else if (at.flag(Entry::kHasFirst)) {
    first_.erase(number);
  }
  at.set_flag(Entry::kHasFirst, has_first);
}

// Roots: up to three in the entry; of more, the newest two there and the others in a block
// -----------------------------------------------------------------------------------------

void StreamIndex::put_roots(Entry& at, const JumpRoots& roots) {
  const auto packed = [](Offset offset) {
    CHECK(offset < kOffsetLimit || offset == kNoOffset);
    return offset == kNoOffset ? kOffsetLimit : offset;
  };
  // A block says its size class in the lowest bits of its number.
  std::optional<std::uint64_t> block_ref;
  if (at.flag(Entry::kHasBlock)) block_ref = at.value(2);
  const bool needs_block = roots.count() > kInline;
  const std::size_t size_class = needs_block ? class_for(roots.count() - 2) : 0;
  if (block_ref && (!needs_block || *block_ref % kClasses != size_class)) {
    give_block(*block_ref % kClasses, static_cast<std::uint32_t>(*block_ref / kClasses));
    block_ref.reset();
  }
  for (std::size_t i = 0; i < kInline; ++i)
    at.set_word(i, packed(roots.at(i)), i != Entry::kHasBlock && at.flag(i));
  if (!needs_block) return;
  if (!block_ref) block_ref = std::uint64_t{take_block(size_class)} * kClasses + size_class;
  Offset* const into = block(size_class, static_cast<std::uint32_t>(*block_ref / kClasses));
  for (std::size_t i = 2; i < roots.count(); ++i) into[i - 2] = roots.at(i);
  at.set_word(2, *block_ref, true);
}

JumpRoots StreamIndex::roots_of(const Entry& at) const {
  const auto unpacked = [&](std::size_t place) {
    const Offset offset = at.value(place);
    return offset == kOffsetLimit ? kNoOffset : offset;
  };
  JumpRoots roots;
  const std::size_t count = shm::tree_count(at.version());
  if (at.flag(Entry::kHasBlock)) {
    const std::uint64_t ref = at.value(2);
    const Offset* const from = block(ref % kClasses, static_cast<std::uint32_t>(ref / kClasses));
    for (std::size_t i = count; i-- > 2;) roots.put_front(from[i - 2]);
  } else if (count > 2) {
    roots.put_front(unpacked(2));
  }
  if (count > 1) roots.put_front(unpacked(1));
  if (count > 0) roots.put_front(unpacked(0));
  return roots;
}

Offset* StreamIndex::block(std::size_t size_class, std::uint32_t number) noexcept {
  return blocks_[size_class].chunks[number / kBlocksAChunk].get() +
         std::size_t{number % kBlocksAChunk} * class_roots(size_class);
}
const Offset* StreamIndex::block(std::size_t size_class, std::uint32_t number) const noexcept {
  return blocks_[size_class].chunks[number / kBlocksAChunk].get() +
         std::size_t{number % kBlocksAChunk} * class_roots(size_class);
}

std::uint32_t StreamIndex::take_block(std::size_t size_class) {
  Blocks& blocks = blocks_[size_class];
  if (blocks.free != kNone) {
    const std::uint32_t number = blocks.free;
    blocks.free = static_cast<std::uint32_t>(block(size_class, number)[0]);
    return number;
  }
  if (blocks.used % kBlocksAChunk == 0)
    blocks.chunks.push_back(std::make_unique<Offset[]>(kBlocksAChunk * class_roots(size_class)));
  return blocks.used++;
}

void StreamIndex::give_block(std::size_t size_class, std::uint32_t number) noexcept {
  block(size_class, number)[0] = blocks_[size_class].free;
  blocks_[size_class].free = number;
}

std::uint64_t StreamIndex::memory_bytes() const noexcept {
  std::uint64_t bytes = chunks_.size() * std::uint64_t{kEntriesAChunk} * sizeof(Entry) +
                        places_ * (sizeof(std::uint32_t) + 1) + kTables * sizeof(Table);
  for (std::size_t i = 0; i < kClasses; ++i)
    bytes += blocks_[i].chunks.size() * kBlocksAChunk * class_roots(i) * sizeof(Offset);
  constexpr std::uint64_t kMapNodeBytes = 32;
  return bytes + first_.size() * kMapNodeBytes + first_.bucket_count() * sizeof(void*);
}

}  // namespace mallbots::broker
