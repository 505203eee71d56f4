// What the tests of the stores share: a pretended partition in memory whose records are a function
// of their offset, a listener that remembers, a driver that waits for completions, and a reader
// that goes over segment files as a cold reader would.
#pragma once

#include <poll.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/partition_store.h"
#include "broker/storage/segment_files.h"
#include "shm/concurrent/encode.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {

inline const broker::PartitionIdentity kIdentity{TopicId{0x7017}, PartitionId{0x9A47171013}, 0};

inline std::string payload_of(Offset offset, LogEpoch epoch, std::size_t bytes) {
  std::string text =
      "record " + std::to_string(offset) + " of epoch " + std::to_string(epoch) + " ";
  while (text.size() < bytes) text += static_cast<char>('a' + (text.size() * 7 + offset) % 26);
  text.resize(bytes);
  return text;
}

/// The producers' side: slots with committed batches.
class FakePartition {
 public:
  explicit FakePartition(std::uint64_t slot_bytes, LogEpoch epoch = 1, Offset next = 0)
      : slot_bytes_(slot_bytes), epoch_(epoch), next_(next) {}

  struct Slot {
    broker::AlignedBuffer data;
    std::uint32_t units = 0;
    bool sealed = false;
    Offset end_offset = 0;
  };

  /// One batch; rolls to the next slot when there is no room.
  void append(const std::vector<std::size_t>& payload_sizes, UnixMillis stamp = 0) {
    std::uint64_t need = 0;
    for (const std::size_t size : payload_sizes) {
      need += shm::record_units(static_cast<std::uint32_t>(shm::kRecordHeaderBytes + size));
    }
    if ((open().units + need) * shm::kUnitBytes > slot_bytes_) seal();
    Slot& slot = open();
    for (std::size_t i = 0; i < payload_sizes.size(); ++i) {
      const bool last = i + 1 == payload_sizes.size();
      put(slot, payload_of(next_, epoch_, payload_sizes[i]), i, last, stamp);
    }
    slot.end_offset = next_;
  }
  void seal() {
    open().sealed = true;
    open().end_offset = next_;
    ++gen_;
  }

  [[nodiscard]] std::vector<broker::CommittedRange> ranges(const broker::PersistCursor& cursor) {
    std::vector<broker::CommittedRange> ranges;
    for (SlotGen n = cursor.slot_gen; n <= gen_; ++n) {
      if (!slots_.contains(n)) (void)make(n);
      Slot& slot = slots_.at(n);
      const std::uint32_t from = n == cursor.slot_gen ? cursor.units : 0;
      ranges.push_back({n, slot.data.span(), from, slot.units, slot.sealed, slot.end_offset});
    }
    return ranges;
  }
  [[nodiscard]] Slot& open() { return slots_.contains(gen_) ? slots_.at(gen_) : make(gen_); }
  [[nodiscard]] Slot& slot(SlotGen n) { return slots_.at(n); }
  [[nodiscard]] Offset next() const { return next_; }
  [[nodiscard]] SlotGen gen() const { return gen_; }
  [[nodiscard]] std::uint64_t seed() const { return shm::record_seed(kIdentity.partition, epoch_); }

 private:
  Slot& make(SlotGen n) {
    Slot& slot = slots_[n];
    slot.data = broker::AlignedBuffer{slot_bytes_};
    slot.end_offset = next_;
    return slot;
  }
  void put(Slot& slot, const std::string& payload, std::size_t position, bool last,
           UnixMillis stamp) {
    shm::RecordInput input;
    input.payload = std::as_bytes(std::span(payload));
    shm::RecordHeader header = shm::prepare_header(input, {});
    header.offset = next_++;
    header.timestamp_ms = stamp;
    header.batch_position = static_cast<std::uint16_t>(position);
    if (last) header.flags |= shm::kLastOfBatch;
    shm::put_record(slot.data.data() + std::size_t{slot.units} * shm::kUnitBytes, header, input,
                    seed());
    slot.units += shm::record_units(header.length);
  }

  std::uint64_t slot_bytes_;
  LogEpoch epoch_;
  Offset next_;
  SlotGen gen_ = 0;
  std::map<SlotGen, Slot> slots_;
};

class Heard final : public broker::StoreListener {
 public:
  void durable_moved(broker::PartitionStore& store) override {
    durable.push_back(store.durable().offset);
    if (on_durable) on_durable(store.durable().offset);
  }
  void bad_records(broker::PartitionStore&, const broker::BadRecords& bad, bool sealed) override {
    (sealed ? replaced : blocked).push_back(bad);
  }
  void health_changed(broker::PartitionStore&, broker::StoreHealth health,
                      const Error& error) override {
    healths.push_back(health);
    errors.push_back(error);
  }
  std::function<void(Offset)> on_durable;
  std::vector<Offset> durable;
  std::vector<broker::BadRecords> blocked;
  std::vector<broker::BadRecords> replaced;
  std::vector<broker::StoreHealth> healths;
  std::vector<Error> errors;
};

/// Thousands of recoveries need no device: what a cut leaves is made by the tests themselves.
inline std::filesystem::path memory_folder() {
  return std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
}

/// How many rounds a long test takes: `quick` in `make test`, more in `make check` and beyond.
inline int rounds(int quick) {
  const char* check = std::getenv("MALLBOTS_CHECK");
  if (check == nullptr) return quick;
  return std::string_view(check) == "full" ? 20 * quick : 4 * quick;
}

/// Reaps until nothing is in flight.
inline void settle(broker::Disk& disk, std::size_t held = 0) {
  disk.kick();
  while (disk.in_flight() > held) {
    pollfd wait{disk.completion_fd(), POLLIN, 0};
    ::poll(&wait, 1, 20);
    disk.reap();
    disk.kick();
  }
}

/// What a record became on the disk.
struct ReadBack {
  Offset first = 0;
  Offset end = 0;
  bool damaged = false;
  bool last_of_batch = false;
  LogEpoch epoch = 0;
  std::string payload;
};

/// Reads every record of the segments, as far as each counts.
inline std::vector<ReadBack> read_back(broker::Disk& disk, const std::string& folder,
                                       std::span<const broker::SegmentInfo> segments) {
  std::vector<ReadBack> records;
  for (const broker::SegmentInfo& segment : segments) {
    auto file = disk.open(folder + "/" + broker::segment_file_name(segment.number),
                          broker::OpenMode::kReadOnly);
    if (!file) continue;
    const broker::FileScan scan{.seed = shm::record_seed(kIdentity.partition, segment.log_epoch),
                                .expected = segment.base_offset,
                                .end_byte = segment.end_byte};
    (void)broker::scan_file(disk, *file, scan, [&](const shm::WalkStep& step) {
      if (step.kind == shm::WalkStep::kPad) return true;
      ReadBack record;
      record.first = step.first_offset;
      record.end = step.end_offset;
      record.epoch = segment.log_epoch;
      record.damaged = step.kind != shm::WalkStep::kRecord ||
                       step.view.header->type == shm::RecordType::kDamaged;
      if (!record.damaged) {
        record.last_of_batch = (step.view.header->flags & shm::kLastOfBatch) != 0;
        record.payload.assign(reinterpret_cast<const char*>(step.view.payload.data()),
                              step.view.payload.size());
      }
      records.push_back(record);
      return true;
    });
  }
  return records;
}

/// A store on a disk in a folder, and all that belongs to it.
struct StoreBench {
  explicit StoreBench(broker::Disk& disk, std::string folder_path,
                      std::uint64_t slot_bytes = 64 << 10, std::uint64_t segment_bytes = 256 << 10)
      : disk_(disk), folder(std::move(folder_path)) {
    options.identity = kIdentity;
    options.folder = folder;
    options.slot_bytes = slot_bytes;
    options.segment_bytes = segment_bytes;
    options.round_bytes = 128 << 10;
    options.zero_ahead_bytes = 64 << 10;
    options.log_epoch = 1;
    options.retry_first_ns = options.retry_last_ns = 1;
    (void)disk.make_folder(folder);
    spares = std::move(broker::SparePool::open(
                           disk, {.folder = folder + ".spares", .files = 1, .zero_bytes = 64 << 10})
                           .value());
  }
  ~StoreBench() {
    disk_.reap();
    settle(disk_);
  }

  void open(broker::RecoveredPartition recovered = {}, const broker::PersistCursor& start = {}) {
    store = std::make_unique<broker::PartitionStore>(
        broker::PartitionStore::Parts{disk_, *spares, heard, &note}, options, std::move(recovered),
        start);
  }
  /// One persist and everything that follows from it.
  broker::PersistVerdict round(FakePartition& partition) {
    const auto verdict = store->persist(partition.ranges(store->cursor()));
    settle(disk_);
    return verdict;
  }
  /// Persists until nothing is left, or `limit` rounds.
  void drain(FakePartition& partition, int limit = 1000) {
    for (int i = 0; i < limit && store->durable().offset < partition.next(); ++i) {
      (void)round(partition);
    }
  }
  void close() {
    while (!store->close()) settle(disk_);
  }
  [[nodiscard]] broker::RecoveredPartition recover(bool clean = false) {
    return broker::recover_partition(disk_,
                                     {.folder = folder, .identity = kIdentity, .clean = clean})
        .value();
  }

  broker::Disk& disk_;
  std::string folder;
  broker::PartitionStoreOptions options;
  std::unique_ptr<broker::SparePool> spares;
  Heard heard;
  broker::DurableNote note{};
  std::unique_ptr<broker::PartitionStore> store;
};

inline std::unique_ptr<broker::Disk> plain_disk(broker::EngineChoice engine, bool direct = true) {
  return std::move(broker::open_disk({.engine = engine,
                                      .flush = broker::FlushChoice::kFdatasync,
                                      .probe_folder = {},
                                      .direct = direct})
                       .value());
}

}  // namespace mallbots::test
