#include "broker/sequencer/sequencer.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "shm/concurrent/ingest.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::HandedIn;
using broker::IngestBudget;
using broker::Verdict;
using shm::IngestState;

constexpr std::uint32_t kDataBytes = 65'536;

/// The client's side of a ring, byte by byte.
class Client {
 public:
  Client() {
    auto fd = shm::create_memory("test-ring", shm::ingest_ring_bytes(kDataBytes));
    auto mapping =
        shm::Mapping::of(fd->get(), shm::ingest_ring_bytes(kDataBytes), shm::Access::kReadWrite);
    memory_ = std::make_shared<shm::Mapping>(std::move(*mapping));
  }
  /// One record as an entry; its number. The caller wakes the sequencer.
  std::uint64_t write(const std::string& text, std::uint16_t kind = 1, std::uint32_t records = 1) {
    shm::IngestEntry& entry = shm::entry_of(ring(), next_);
    const auto at = static_cast<std::uint32_t>(next_ % 64 * 512);
    const shm::IngestRecord header{.payload_bytes = static_cast<std::uint32_t>(text.size()),
                                   .type = 2};
    std::byte* const data = memory_->data() + sizeof(shm::IngestRing) + at;
    std::memset(data, 0, 512);
    std::memcpy(data, &header, sizeof header);
    std::memcpy(data + sizeof header, text.data(), text.size());
    entry.data_at = at;
    entry.data_bytes = records == 0 ? 0 : (sizeof header + text.size() + 15) / 16 * 16;
    entry.request_bytes = 0;
    entry.records = records;
    entry.kind = kind;
    entry.flags = 0;
    entry.sequence = records == 0 ? 0 : ++sequence_;
    entry.expected = kNoOffset;
    return next_++;
  }
  std::uint64_t hand_in(const std::string& text, std::uint16_t kind = 1,
                        std::uint32_t records = 1) {
    const std::uint64_t number = write(text, kind, records);
    shm::hand_in(ring(), number);
    return number;
  }
  [[nodiscard]] std::optional<shm::IngestOutcome> answer(std::uint64_t number) {
    const Deadline limit = Deadline::after_ms(10'000);
    while (!shm::is_answered(ring(), number) && !limit.has_passed()) ::usleep(50);
    return shm::load_answer(ring(), number);
  }
  [[nodiscard]] shm::IngestRing& ring() const { return *memory_->as<shm::IngestRing>(); }
  [[nodiscard]] broker::RingParts parts(PartitionId partition,
                                        std::uint64_t rate = broker::kGiB) const {
    return {.memory = memory_,
            .data_bytes = kDataBytes,
            .partition = partition,
            .producer_id = 77,
            .budget = std::make_shared<IngestBudget>(rate)};
  }
  std::uint64_t next_ = 0;
  std::uint64_t sequence_ = 0;

 private:
  std::shared_ptr<shm::Mapping> memory_;
};

class SequencerTest : public testing::Test {
 protected:
  void SetUp() override {
    wake_ = shm::UniqueFd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    sequencer_ = std::move(*broker::Sequencer::make({.wake_fd = wake_.get(), .spin_ns = 20'000}));
    topic_ = &instance_.make("t", {{"ingest", "sequenced"}, {"slot.bytes", "64KiB"}});
  }
  void TearDown() override { sequencer_.reset(); }
  void begin(std::shared_ptr<broker::Admission> admission = nullptr) {
    sequencer_->add_partition(id(), {topic_->shared(0), std::move(admission)});
    ASSERT_TRUE(sequencer_->serve());
  }
  [[nodiscard]] PartitionId id() const { return topic_->partition(0).id(); }
  void wake() {
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(wake_.get(), &one, sizeof one), 8);
  }
  void wake_if_parked() {
    const auto shared = topic_->shared(0);
    if (shm::sequencer_sleeps(shared.topic)) wake();
  }
  [[nodiscard]] std::vector<shm::RecordHeader> records() {
    std::vector<shm::RecordHeader> all;
    for (const broker::HotSlot& slot : topic_->partition(0).ring().slots()) {
      const std::size_t end =
          std::size_t{shm::load_word_seq_cst(slot.header()).tail_units()} * shm::kUnitBytes;
      for (std::size_t at = 0; at < end;) {
        shm::RecordHeader header;
        std::memcpy(&header, slot.data().data() + at, sizeof header);
        all.push_back(header);
        at += std::size_t{shm::record_units(header.length)} * shm::kUnitBytes;
      }
    }
    return all;
  }

  LogInstance instance_;
  shm::UniqueFd wake_;
  std::unique_ptr<broker::Sequencer> sequencer_;
  broker::Topic* topic_ = nullptr;
};

TEST_F(SequencerTest, EntriesAreAppendedInTheirOrderEachOnce) {
  begin();
  Client client;
  sequencer_->add_ring(0, client.parts(id()));
  for (std::uint64_t i = 0; i < 500; ++i) {
    const auto number = client.hand_in("record " + std::to_string(i));
    wake_if_parked();
    const auto answer = client.answer(number);
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->code, 0U);
    ASSERT_EQ(answer->value, i);
  }
  const auto all = records();
  ASSERT_EQ(all.size(), 500U);
  for (std::uint64_t i = 0; i < 500; ++i) {
    EXPECT_EQ(all[i].sequence, i + 1);
    EXPECT_EQ(all[i].producer_id, 77U);
  }
}

TEST_F(SequencerTest, AnIdleSequencerSleepsAndWakesForAnEntry) {
  begin();
  Client client;
  sequencer_->add_ring(0, client.parts(id()));
  const auto& parks = sequencer_->counters().parks;
  const auto settled = [&] {
    std::uint64_t before = parks.load();
    for (int still = 0; still < 5;) {
      ::usleep(20'000);
      still = parks.load() == before ? still + 1 : 0;
      before = parks.load();
    }
    return before;
  };
  const std::uint64_t before = settled();
  EXPECT_GT(before, 0U);
  EXPECT_TRUE(shm::sequencer_sleeps(topic_->shared(0).topic));
  const auto number = client.hand_in("x");
  EXPECT_FALSE(shm::is_answered(client.ring(), number));
  wake();
  EXPECT_TRUE(client.answer(number));
  EXPECT_EQ(settled(), before + 1);
}

TEST_F(SequencerTest, AWithdrawnEntryIsNotAppended) {
  begin();
  Client client;
  const auto first = client.write("first");
  shm::hand_in(client.ring(), first);
  ASSERT_TRUE(shm::withdraw(client.ring(), first));
  client.sequence_ = 0;
  const auto second = client.hand_in("second");
  sequencer_->add_ring(0, client.parts(id()));
  EXPECT_EQ(client.answer(first)->code, static_cast<std::uint32_t>(ErrorCode::kTimeout));
  EXPECT_EQ(client.answer(second)->value, 0U);
  EXPECT_FALSE(shm::withdraw(client.ring(), second));
  EXPECT_EQ(records().size(), 1U);
}

TEST_F(SequencerTest, AnEntryThatAPredecessorAppendedIsAnsweredAndNotAppendedAgain) {
  begin();
  Client client;
  const auto taken = client.hand_in("there");
  ASSERT_TRUE(shm::take(client.ring(), taken));
  const auto next = client.hand_in("next");
  auto parts = client.parts(id());
  parts.last_sequence = 1;
  parts.appended_before = broker::AppendedBefore{41, 1234};
  sequencer_->add_ring(0, std::move(parts));
  EXPECT_EQ(client.answer(taken)->value, 41U);
  EXPECT_EQ(client.answer(taken)->timestamp_ms, 1234);
  EXPECT_EQ(client.answer(next)->code, 0U);
  EXPECT_EQ(records().size(), 1U);
}

TEST_F(SequencerTest, ADuplicatesAnswerHasTheEndOfWhatTheRingAppended) {
  begin();
  Client client;
  auto parts = client.parts(id());
  parts.last_sequence = 1;
  parts.end_offset = 41;
  sequencer_->add_ring(0, std::move(parts));
  const auto answered = [&](const std::string& text) {
    const auto number = client.hand_in(text);
    wake();
    return client.answer(number).value();
  };
  const auto before = answered("of a predecessor");
  EXPECT_EQ(before.flags, shm::kDuplicateAnswer);
  EXPECT_EQ(before.extras[0], 41U);
  const auto first = answered("new");
  EXPECT_EQ(first.code, 0U);
  client.sequence_ = 1;
  const auto again = answered("again");
  EXPECT_EQ(again.flags, shm::kDuplicateAnswer);
  EXPECT_EQ(again.extras[0], first.value + 1);
}

TEST_F(SequencerTest, AnEntryThatAPredecessorOnlyTookIsAppended) {
  begin();
  Client client;
  const auto taken = client.hand_in("not there");
  ASSERT_TRUE(shm::take(client.ring(), taken));
  sequencer_->add_ring(0, client.parts(id()));
  EXPECT_EQ(client.answer(taken)->value, 0U);
  EXPECT_EQ(records().size(), 1U);
}

TEST_F(SequencerTest, GarbageInOneRingIsRefusedAndDelaysNoOther) {
  begin();
  Client bad;
  Client good;
  sequencer_->add_ring(0, bad.parts(id()));
  sequencer_->add_ring(1, good.parts(id()));
  const auto number = bad.write("x");
  shm::entry_of(bad.ring(), number).data_at = 0xFFFF'FFF0;
  shm::hand_in(bad.ring(), number);
  const auto other = good.hand_in("y");
  wake();
  EXPECT_EQ(bad.answer(number)->code, static_cast<std::uint32_t>(ErrorCode::kBadMessage));
  EXPECT_EQ(good.answer(other)->code, 0U);
  // States that make no sense: nobody looks behind them.
  for (std::uint64_t i = 0; i < shm::kIngestEntries; ++i)
    shm::entry_of(bad.ring(), i).state.store(~std::uint64_t{0});
  for (int i = 0; i < 100; ++i) {
    const auto next = good.hand_in("z");
    wake_if_parked();
    ASSERT_EQ(good.answer(next)->code, 0U);
  }
  EXPECT_EQ(sequencer_->counters().refused[static_cast<std::size_t>(ErrorCode::kBadMessage)], 1U);
}

TEST_F(SequencerTest, ARingThatIsClosedIsServedToItsEnd) {
  begin();
  Client client;
  std::uint64_t last = 0;
  for (int i = 0; i < 60; ++i) last = client.hand_in("x");
  sequencer_->add_ring(0, client.parts(id()));
  sequencer_->close_ring(0, true);
  EXPECT_EQ(client.answer(last)->code, 0U);
  const Deadline limit = Deadline::after_ms(10'000);
  while (!shm::is_closed(client.ring()) && !limit.has_passed()) ::usleep(100);
  EXPECT_TRUE(shm::is_closed(client.ring()));
  EXPECT_EQ(records().size(), 60U);
}

TEST_F(SequencerTest, APartitionThatIsRemovedTakesNothingMore) {
  begin();
  Client client;
  sequencer_->add_ring(0, client.parts(id()));
  sequencer_->remove_partition(id());
  EXPECT_TRUE(shm::is_closed(client.ring()));
  const auto number = client.hand_in("x");
  wake();
  sequencer_->add_partition(id(), {topic_->shared(0), nullptr});  // a turn has gone by
  EXPECT_FALSE(shm::is_answered(client.ring(), number));
}

TEST_F(SequencerTest, WithoutRoomTheEntryWaitsAndMayBeWithdrawn) {
  begin();
  Client client;
  sequencer_->add_ring(0, client.parts(id()));
  // No turn of the control thread: two slots are there, then nothing more.
  const std::string text(400, 'x');
  std::optional<std::uint64_t> stuck;
  for (int i = 0; i < 2'000 && !stuck; ++i) {
    const auto number = client.hand_in(text);
    wake_if_parked();
    const Deadline limit = Deadline::after_ms(300);
    while (!shm::is_answered(client.ring(), number) && !limit.has_passed()) ::usleep(20);
    if (!shm::is_answered(client.ring(), number)) stuck = number;
  }
  ASSERT_TRUE(stuck);
  const Deadline limit = Deadline::after_ms(5'000);
  bool withdrawn = false;
  while (!withdrawn && !limit.has_passed()) withdrawn = shm::withdraw(client.ring(), *stuck);
  EXPECT_TRUE(withdrawn);
  EXPECT_EQ(client.answer(*stuck)->code, static_cast<std::uint32_t>(ErrorCode::kTimeout));
  const std::size_t before = records().size();
  client.sequence_ = before;
  instance_.settle();
  const auto next = client.hand_in(text);
  wake_if_parked();
  const auto answer = client.answer(next);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->value, before);
}

/// Refuses "no", answers requests, and marks the rest.
class Marking final : public broker::Admission {
 public:
  Verdict admit(HandedIn& entry) override {
    if (entry.records.empty()) {
      Verdict verdict = Verdict::answered(count_);
      verdict.extras[0] = entry.arguments[0] + 1;
      return verdict;
    }
    if (entry.records[0].payload.size() == 2) return Verdict::refused(ErrorCode::kConflict, 7);
    for (shm::RecordInput& record : entry.records) {
      record.attributes = mark_;
      record.flags = shm::kInternalEvent;
    }
    return Verdict::accepted();
  }
  void appended(const HandedIn&, Offset first, UnixMillis,
                std::span<std::uint64_t, shm::kIngestExtras> extras) override {
    ++count_;
    extras[3] = first + 100;
  }
  void recalled(const HandedIn&, Offset first,
                std::span<std::uint64_t, shm::kIngestExtras> extras) override {
    extras[3] = first + 200;
  }

 private:
  std::uint64_t count_ = 0;
  std::array<std::byte, 12> mark_{std::byte{3}, std::byte{0}, std::byte{8}, std::byte{0}};
};

TEST_F(SequencerTest, AdmissionDecidesAddsAndAnswers) {
  begin(std::make_shared<Marking>());
  Client client;
  sequencer_->add_ring(0, client.parts(id()));
  const auto accepted = client.hand_in("some event", 16);
  const auto refused = client.hand_in("no", 16);
  client.sequence_ = 1;
  const auto asked = client.write("", 17, 0);
  shm::entry_of(client.ring(), asked).arguments[0] = 41;
  shm::hand_in(client.ring(), asked);
  wake();
  EXPECT_EQ(client.answer(accepted)->extras[3], 100U);
  EXPECT_EQ(client.answer(refused)->code, static_cast<std::uint32_t>(ErrorCode::kConflict));
  EXPECT_EQ(client.answer(refused)->value, 7U);
  EXPECT_EQ(client.answer(asked)->value, 1U);
  EXPECT_EQ(client.answer(asked)->extras[0], 42U);
  const auto all = records();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].attribute_bytes, 12U);
  EXPECT_NE(all[0].flags & shm::kInternalEvent, 0);
}

TEST_F(SequencerTest, ASessionBeyondItsRateWaitsForItsRightAgain) {
  begin();
  Client client;
  sequencer_->add_ring(0, client.parts(id(), 50'000));  // 5,000 at once: some 12 entries
  std::uint64_t last = 0;
  for (int i = 0; i < 60; ++i) last = client.hand_in(std::string(100, 'x'));
  wake();
  const BootNanos since = boot_now_ns();
  EXPECT_EQ(client.answer(last)->code, 0U);
  EXPECT_GT(boot_now_ns() - since, 100 * kMillisecond);
}

TEST(IngestBudget, EarnsByTheClockAndKeepsATenthOfASecond) {
  IngestBudget budget{1'000'000};
  EXPECT_FALSE(budget.is_spent());
  budget.spend(100'000);
  EXPECT_TRUE(budget.is_spent());
  const BootNanos due = budget.refill(kSecond);
  EXPECT_EQ(due, kSecond);  // a tenth was due since ever
  budget.spend(300'000);
  const BootNanos later = budget.refill(kSecond + kMillisecond);
  EXPECT_GT(later, kSecond + kMillisecond);
  EXPECT_LT(later, 2 * kSecond);
  EXPECT_EQ(budget.refill(later + kMillisecond), later + kMillisecond);
}

}  // namespace
}  // namespace mallbots::test
