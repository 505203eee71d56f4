// StreamIndex: what the broker knows of every stream of one partition, in memory: from the hash of
// its id to its version and the offsets that the next event has to carry. No record is read to
// append an event or to tell a version.
//
// A stream takes 38 bytes in a table of entries that never move, and 5.9 to 7.4 bytes in a hash
// table of their numbers. That is 1024 tables, so that only a thousandth of it is made anew at once
// (50 us with a million streams). Streams of 12 events and more may have more than three roots;
// these take 32 to 256 bytes elsewhere. Streams are never forgotten: a deleted one keeps its
// version.
//
// Invariants: entry i was the i-th stream to come; a number stands in one table; a root block
// belongs to one entry.
//
// One thread at a time (StreamTable holds a lock around it).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/streams/jump_roots.h"

namespace mallbots::broker {

/// XXH3-128 of a stream's id. Who reads a stream compares the id itself: it is the record's key.
struct StreamKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const StreamKey&, const StreamKey&) = default;
};
[[nodiscard]] StreamKey stream_key(std::string_view id) noexcept;

struct StreamState {
  shm::StreamVersion version = 0;  ///< of the last event; 0: there never was one
  shm::StreamVersion first = 1;    ///< events below it are not to be read any more
  bool deleted = false;            ///< `first` is then version + 1
  JumpRoots roots;

  [[nodiscard]] bool exists() const noexcept { return version != 0 && !deleted; }
  [[nodiscard]] Offset last() const noexcept { return roots.newest(); }
};

class StreamIndex {
 public:
  /// Offsets an entry can hold: below it.
  static constexpr Offset kOffsetLimit = (Offset{1} << 47) - 1;
  static constexpr std::uint32_t kMostStreams = 0xFFFF'FFFE;

  StreamIndex();
  StreamIndex(const StreamIndex&) = delete;
  StreamIndex& operator=(const StreamIndex&) = delete;
  ~StreamIndex();

  /// The stream's number, 0 .. streams() - 1.
  [[nodiscard]] std::optional<std::uint32_t> find(const StreamKey& key) const noexcept;
  /// Of a stream that was never put: all its defaults.
  [[nodiscard]] StreamState state_of(const StreamKey& key) const;
  [[nodiscard]] StreamState state_at(std::uint32_t number) const;
  [[nodiscard]] StreamKey key_at(std::uint32_t number) const noexcept;
  /// CHECKs the limits: who calls has refused what goes beyond them.
  void put(const StreamKey& key, const StreamState& state);

  [[nodiscard]] std::uint32_t streams() const noexcept { return streams_; }
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept;

 private:
  struct Entry;
  static constexpr std::uint32_t kEntriesAChunk = 4096;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// Open addressing, linear; a tag of 0 is an empty place.
  struct Table {
    std::uint32_t places = 0;
    std::uint32_t used = 0;
    std::unique_ptr<std::uint32_t[]> numbers;
    std::unique_ptr<std::uint8_t[]> tags;
  };
  static constexpr std::size_t kTables = 1024;
  /// Root blocks of one size; numbers of free ones form a chain through their first word.
  struct Blocks {
    std::vector<std::unique_ptr<Offset[]>> chunks;
    std::uint32_t free = kNone;
    std::uint32_t used = 0;
  };
  static constexpr std::size_t kClasses = 4;
  static constexpr std::uint32_t kBlocksAChunk = 512;

  void insert(Table& table, const StreamKey& key, std::uint32_t number) noexcept;
  void grow(Table& table);
  [[nodiscard]] std::uint32_t add(const StreamKey& key);
  [[nodiscard]] Entry& entry(std::uint32_t number) noexcept;
  [[nodiscard]] const Entry& entry(std::uint32_t number) const noexcept;
  [[nodiscard]] Offset* block(std::size_t size_class, std::uint32_t number) noexcept;
  [[nodiscard]] const Offset* block(std::size_t size_class, std::uint32_t number) const noexcept;
  [[nodiscard]] std::uint32_t take_block(std::size_t size_class);
  void give_block(std::size_t size_class, std::uint32_t number) noexcept;
  void put_roots(Entry& entry, const JumpRoots& roots);
  [[nodiscard]] JumpRoots roots_of(const Entry& entry) const;

  std::vector<std::unique_ptr<Entry[]>> chunks_;
  std::uint32_t streams_ = 0;
  std::vector<Table> tables_;
  std::uint64_t places_ = 0;  ///< of all tables
  Blocks blocks_[kClasses];
  /// Of streams with a first event other than 1 that are not deleted.
  std::unordered_map<std::uint32_t, std::uint32_t> first_;
};

}  // namespace mallbots::broker
