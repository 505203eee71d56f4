// Appending and reading in one thread, over memory of this process: what a record costs when no
// other core has its lines. The rows of the table minus these figures are traffic between cores.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <vector>

#include "shm/concurrent/append.h"
#include "shm/concurrent/read.h"
#include "shm/concurrent/reclaim.h"

namespace mallbots::bench {
namespace {

constexpr std::uint32_t kSlots = 4;
constexpr std::uint32_t kSlotBytes = std::uint32_t{2} << 20;
constexpr std::size_t kBatch = 256;
constexpr auto kPartition = static_cast<PartitionId>(0x1234'5678'9abc'def0);

struct Free {
  void operator()(void* memory) const noexcept { std::free(memory); }
};
template <class T>
using Page = std::unique_ptr<T, Free>;
template <class T>
Page<T> make_page(std::size_t bytes = sizeof(T)) {
  void* const memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  std::memset(memory, 0, bytes);
  return Page<T>{static_cast<T*>(memory)};  // zeros are a valid state of each
}

/// One partition with whoever keeps it in slots: the oldest is re-used at once.
class Partition final : public shm::SlotSource {
 public:
  Partition() {
    for (auto& slot : slots_) slot = make_page<shm::SlotHeader>(shm::kPageBytes + kSlotBytes);
    topic_->slots = kSlots;
    topic_->slot_bytes = kSlotBytes;
    topic_->record_max_bytes = kSlotBytes / 2;
    topic_->state.store(static_cast<std::uint32_t>(shm::BoardState::kOpen));
    board_->partition_id = static_cast<std::uint64_t>(kPartition);
    for (auto& entry : board_->entries) entry.n.store(shm::kNoSlot);
    offer({});
  }
  /// Makes the next slot ready, beginning at `base`.
  void offer(shm::LogEnd base) {
    shm::init_slot(*slots_[next_ % kSlots], {.slot_gen = next_,
                                             .partition_id = kPartition,
                                             .data_units = kSlotBytes / shm::kUnitBytes,
                                             .base = base});
    board_->open_hint.store(next_);
    shm::post_slot(*board_, kSlots, next_, next_ % kSlots);
    ++next_;
  }
  [[nodiscard]] shm::PartitionParts parts() {
    return {.topic = topic_.get(),
            .board = board_.get(),
            .knock_header = knock_header_.get(),
            .knock = knock_.get(),
            .session = session_.get(),
            .slots = this};
  }
  [[nodiscard]] shm::SessionCell& cell(std::size_t i) { return session_->cells[i]; }
  [[nodiscard]] shm::SlotMemory map_slot(std::uint64_t slot_id) override {
    shm::SlotHeader* const header = slots_[slot_id].get();
    return {header, reinterpret_cast<std::byte*>(header) + shm::kPageBytes};
  }
  void drop_slot(shm::SlotMemory) override {}

 private:
  Page<shm::BoardHeader> topic_ = make_page<shm::BoardHeader>();
  Page<shm::PartitionBoard> board_ = make_page<shm::PartitionBoard>();
  Page<shm::KnockHeader> knock_header_ = make_page<shm::KnockHeader>();
  Page<shm::KnockLine> knock_ = make_page<shm::KnockLine>();
  Page<shm::SessionPage> session_ = make_page<shm::SessionPage>();
  std::array<Page<shm::SlotHeader>, kSlots> slots_;
  SlotGen next_ = 0;
};

struct Payloads {
  explicit Payloads(std::size_t size) : bytes(size * kBatch), records(kBatch) {
    for (std::size_t i = 0; i < kBatch; ++i)
      records[i].payload = std::span{bytes}.subspan(i * size, size);
  }
  std::vector<std::byte> bytes;
  std::vector<shm::RecordInput> records;
};

/// Appends until it is done; the slot after a full one is offered when it is asked for.
template <class Append>
shm::AppendOutcome insist(Partition& partition, shm::LogEnd& end, std::size_t count,
                          const Append& append) {
  for (;;) {
    const shm::AppendOutcome outcome = append();
    if (outcome.status == shm::AppendStatus::kAppended) {
      end = {outcome.offset + count, outcome.timestamp_ms};
      return outcome;
    }
    partition.offer(end);
  }
}

/// Nothing but what every record needs: two hashes, a header, a copy; in hot memory. No log that
/// has these records is faster than this on one core.
[[gnu::flatten]] void record_only(benchmark::State& state) {
  const Payloads payloads{64};
  std::vector<std::byte> memory(kBatch * 128);
  std::uint64_t number = 0;
  for (auto _ : state) {
    std::byte* at = memory.data();
    for (const shm::RecordInput& record : payloads.records) {
      ++number;
      at = shm::write_record(at, record, {}, shm::body_hash(record),
                             {.offset = number, .sequence = number}, 1);
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(record_only);
void append_single(benchmark::State& state) {
  Partition partition;
  shm::Appender appender{partition.parts(), {.cell = &partition.cell(0).producer}};
  const Payloads payloads{static_cast<std::size_t>(state.range(0))};
  shm::LogEnd end;
  for (auto _ : state)
    insist(partition, end, 1, [&] { return appender.append(payloads.records[0], {}); });
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(append_single)->Arg(64)->Arg(1024);

void append_batch(benchmark::State& state) {
  Partition partition;
  shm::Appender appender{partition.parts(), {.cell = &partition.cell(0).producer}};
  const Payloads payloads{static_cast<std::size_t>(state.range(0))};
  shm::LogEnd end;
  for (auto _ : state)
    insist(partition, end, kBatch, [&] { return appender.append_batch(payloads.records, {}); });
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(append_batch)->Arg(64)->Arg(1024);

void append_exclusive(benchmark::State& state) {
  Partition partition;
  shm::ExclusiveAppender appender{
      partition.parts(), {.cell = &partition.cell(0).producer}, shm::Lease{}};
  const Payloads payloads{static_cast<std::size_t>(state.range(0))};
  shm::LogEnd end;
  for (auto _ : state)
    insist(partition, end, kBatch, [&] { return appender.append_batch(payloads.records, {}); });
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(append_exclusive)->Arg(64);

/// The same with a reader behind each batch: the difference is the reader's.
void append_batch_and_read(benchmark::State& state) {
  Partition partition;
  shm::Appender appender{partition.parts(), {.cell = &partition.cell(0).producer}};
  shm::PartitionReader reader{partition.parts(), partition.cell(1).reader, false};
  const Payloads payloads{static_cast<std::size_t>(state.range(0))};
  shm::LogEnd end;
  if (reader.seek(0) != shm::ReadStatus::kEmpty) return state.SkipWithError("no empty log");
  for (auto _ : state) {
    insist(partition, end, kBatch, [&] { return appender.append_batch(payloads.records, {}); });
    for (std::size_t i = 0; i < kBatch; ++i) {
      shm::RecordView view{};
      if (!reader.next_at_hand(view) && reader.next(view) != shm::ReadStatus::kRecord)
        return state.SkipWithError("a record is missing");
      benchmark::DoNotOptimize(view.payload.data());
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(append_batch_and_read)->Arg(64);

}  // namespace
}  // namespace mallbots::bench
