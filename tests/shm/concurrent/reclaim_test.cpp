// Deaths, stalls and take-overs at every step of an append: each crash point of shm/concurrent is a
// step (tests/shm/steps.h).
#include "shm/concurrent/reclaim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "shm/concurrent/cells.h"
#include "shm/concurrent/wait.h"
#include "tests/shm/concurrent/records.h"
#include "tests/shm/steps.h"

namespace mallbots::test {
namespace {

using shm::Appender;
using shm::AppendStatus;
using shm::ReadStatus;

constexpr SessionIndex kVictim = 1;
constexpr SessionIndex kOther = 2;
const FakeTopic kSmall{.slot_bytes = 4096};

/// What the victim does when it is met.
struct Scene {
  const char* name;
  int before;                      ///< half-slot records already in the log
  std::vector<std::string> batch;  ///< what it appends
};
const std::vector<Scene> kScenes{
    {"into an empty log", 0, {"victim"}},
    {"behind others", 1, {"victim"}},
    {"rolls over", 2, {"victim"}},
    {"batch", 1, {"victim", "victim 2", "victim 3"}},
};

struct Stage {
  explicit Stage(const Scene& scene) : scene(scene) {
    for (int i = 0; i < scene.before; ++i) others(std::string(1984, 'x'));
  }
  Appender appender(SessionIndex session) {
    return Appender(broker.memory().parts(session), broker.memory().seat(session));
  }
  void others(const std::string& text) {
    broker.pump();
    const auto outcome = append(other, text);
    ASSERT_EQ(outcome.status, AppendStatus::kAppended) << text;
    expected_others.push_back(text);
  }
  /// The log is dense, holds all that the others appended, in order, and the victim's batch whole
  /// or not at all. True if it is there.
  bool check() {
    const auto log = log_of(broker);
    std::vector<std::string> theirs, ours;
    for (std::size_t i = 0; i < log.size(); ++i) {
      EXPECT_EQ(log[i].offset, log.front().offset + i);
      (log[i].text.starts_with("victim") ? ours : theirs).push_back(log[i].text);
    }
    EXPECT_EQ(broker.end_offset(), log.empty() ? 0 : log.back().offset + 1);
    const std::size_t lost = expected_others.size() - theirs.size();  // no longer in memory
    expected_others.erase(expected_others.begin(),
                          expected_others.begin() + static_cast<std::ptrdiff_t>(lost));
    EXPECT_EQ(theirs, expected_others);
    if (ours.empty()) return false;
    EXPECT_EQ(ours, scene.batch);
    return true;
  }
  const Scene& scene;
  FakeBroker broker{kSmall};
  Appender other = appender(kOther);
  std::vector<std::string> expected_others;
};

TEST(Reclaim, DeadHolderIsFreedAtEveryStepAndNothingIsLostOrDoubled) {
  for (const Scene& scene : kScenes) {
    bool ended = false;
    int committed = 0;
    for (int visit = 0; !ended; ++visit) {
      Stage stage(scene);
      Appender victim = stage.appender(kVictim);
      stage.broker.pump();
      // Made before, since nothing of a dead body is destroyed.
      std::vector<shm::RecordInput> inputs;
      for (const std::string& text : scene.batch) inputs.push_back({.payload = bytes_of(text)});
      const std::string where =
          die_at({visit, {}}, [&] { static_cast<void>(victim.append_batch(inputs, {})); });
      ended = where.empty();
      SCOPED_TRACE(std::string(scene.name) + ", dead at " + where);
      if (!ended) stage.broker.session_died(kVictim);
      stage.others("after");
      const bool there = stage.check();
      committed += there ? 1 : 0;
      EXPECT_EQ(stage.broker.accepted_sequence(kVictim), there ? scene.batch.size() : 0U);
      if (HasFailure()) return;
    }
    EXPECT_GE(committed, 3) << scene.name;  // commit, publication, knock
  }
}

TEST(Reclaim, SecondRecordOfADeadProducerIsJudgedByItsOwnHalf) {
  bool ended = false;
  for (int visit = 0; !ended; ++visit) {
    Stage stage(kScenes[1]);
    Appender victim = stage.appender(kVictim);
    ASSERT_EQ(append(victim, "first").status, AppendStatus::kAppended);
    const std::string second = "second";
    const std::string where = die_at(
        {visit, {}}, [&] { static_cast<void>(victim.append({.payload = bytes_of(second)}, {})); });
    ended = where.empty();
    if (!ended) stage.broker.session_died(kVictim);
    // Another fills the very bytes that the dead one had begun.
    stage.others("others");
    const auto log = log_of(stage.broker);
    const bool there =
        std::ranges::any_of(log, [](const Seen& seen) { return seen.text == "second"; });
    ASSERT_EQ(stage.broker.accepted_sequence(kVictim), there ? 2U : 1U) << where;
  }
}

/// The victim stalls at each step and goes on after `meanwhile`; then it must have appended exactly
/// once.
void stall_at_every_step(const std::function<void(Stage&)>& meanwhile) {
  for (const Scene& scene : kScenes) {
    bool ended = false;
    for (int visit = 0; !ended; ++visit) {
      Stage stage(scene);
      Appender victim = stage.appender(kVictim);
      stage.broker.pump();
      shm::AppendOutcome outcome;
      {
        Stalled thread({visit, {}}, [&] {
          outcome = append_batch(victim, scene.batch, {.deadline = Deadline::after_ms(20'000)});
        });
        ended = thread.where().empty();
        SCOPED_TRACE(std::string(scene.name) + ", stalled at " + thread.where());
        if (!ended) meanwhile(stage);
        if (testing::Test::HasFailure()) return;
        const PumpThread pump(stage.broker);
        thread.resume();
        ASSERT_EQ(outcome.status, AppendStatus::kAppended);
      }
      stage.others("after");
      stage.check();
      ASSERT_EQ(stage.broker.accepted_sequence(kVictim), scene.batch.size());
      // The memory that a living session may still store into comes back with its death.
      stage.broker.session_died(kVictim);
      stage.broker.pump();
      ASSERT_EQ(stage.broker.orphans(), 0U);
      ASSERT_EQ(stage.broker.notes(), 0U);
    }
  }
}

TEST(Reclaim, StalledHolderIsFencedAtEveryStepAndAppendsOnceAfterwards) {
  stall_at_every_step([](Stage& stage) {
    stage.broker.seal_open();
    stage.others("while it stood");
    stage.others("once more");
  });
}

TEST(Reclaim, ProducerThatSleptThroughWholeLivesOfItsSlotAppendsOnceAfterwards) {
  stall_at_every_step([](Stage& stage) {
    stage.broker.seal_open();
    for (int i = 0; i < 14; ++i) stage.others(std::string(1984, static_cast<char>('a' + i)));
  });
}

TEST(Reclaim, StalledHolderIsFencedByTimeAndOneThatIsBusyIsNot) {
  FakeBroker broker{FakeTopic{.slot_bytes = 4096, .stall_limit_ns = 20 * kMillisecond}};
  Appender busy(broker.memory().parts(kOther), broker.memory().seat(kOther));
  Appender victim(broker.memory().parts(kVictim), broker.memory().seat(kVictim));
  const PumpThread pump(broker);
  ASSERT_EQ(append(busy, "before").status, AppendStatus::kAppended);
  const BootNanos begin = boot_now_ns();
  shm::AppendOutcome outcome;
  Stalled thread({0, "append.write"}, [&] {
    outcome = append(victim, "victim", {.deadline = Deadline::after_ms(20'000)});
  });
  ASSERT_FALSE(thread.where().empty());
  ASSERT_EQ(append(busy, "others", {.deadline = Deadline::after_ms(20'000)}).offset, 1U);
  EXPECT_GE(boot_now_ns() - begin, 20 * kMillisecond);
  EXPECT_EQ(broker.notes(), 1U);
  thread.resume();
  EXPECT_EQ(outcome.offset, 2U);
}

TEST(Reclaim, FencedHalfIsVoidForTheBrokerWhileTheProducerStands) {
  Stage stage(kScenes[1]);
  Appender victim = stage.appender(kVictim);
  {
    Stalled thread({0, "word.commit"}, [&] {
      static_cast<void>(append(victim, "victim", {.deadline = Deadline::after_ms(20'000)}));
    });
    ASSERT_EQ(thread.where(), "word.commit");
    EXPECT_EQ(stage.broker.accepted_sequence(kVictim), 1U);  // as the cell has it now
    stage.broker.seal_open();
    EXPECT_EQ(stage.broker.notes(), 1U);
    // Were it to die here, the half would be judged by the note, although others went on.
    stage.others("others");
    stage.broker.session_died(kVictim);
    EXPECT_EQ(stage.broker.accepted_sequence(kVictim), 0U);
    stage.broker.pump();
  }
}

TEST(Reclaim, NoteOfAFenceIsTakenBackWhenTheHolderWasFaster) {
  FakeBroker broker{kSmall};
  shm::SlotHeader& slot = *broker.find(0).header;
  const shm::Word word = shm::load_word(slot);
  ASSERT_TRUE(shm::try_acquire(slot, word, kVictim));
  std::vector<std::string> calls;
  bool fenced = false;
  {
    Stalled thread({0, "word.fence"}, [&] {
      fenced = shm::fence(
          slot, 0,
          [&](SessionIndex holder, std::uint32_t tail) {
            calls.push_back("note " + std::to_string(holder) + " " + std::to_string(tail));
          },
          [&](SessionIndex holder) { calls.push_back("unnote " + std::to_string(holder)); });
    });
    ASSERT_EQ(thread.where(), "word.fence");
    EXPECT_EQ(calls, (std::vector<std::string>{"note 1 0"}));
    ASSERT_TRUE(shm::commit(slot, word.acquired_by(kVictim), 8));
  }
  EXPECT_TRUE(fenced);
  EXPECT_EQ(calls, (std::vector<std::string>{"note 1 0", "unnote 1"}));
  EXPECT_EQ(shm::load_word(slot).tail_units(), 8U);
  EXPECT_TRUE(shm::load_word(slot).sealed());
}

TEST(Reclaim, SlotIsNeverSealedEmptyBeforeItKnowsItsBase) {
  FakeBroker broker{kSmall};
  shm::SlotHeader& next = *broker.find(1).header;
  const auto nothing = [](auto...) {};
  EXPECT_FALSE(shm::fence(next, 1, nothing, nothing));
  EXPECT_FALSE(shm::load_word(next).sealed());
  shm::store_base(next, 1, {.next_offset = 7});
  EXPECT_TRUE(shm::fence(next, 1, nothing, nothing));
  EXPECT_EQ(shm::log_end(next, 1)->next_offset, 7U);
}

TEST(Reclaim, DeadSessionThatHoldsNothingFreesNothing) {
  FakeBroker broker{kSmall};
  shm::SlotHeader& slot = *broker.find(0).header;
  const auto nothing = [](std::uint32_t) { FAIL(); };
  EXPECT_FALSE(shm::free_word_of_dead(slot, 0, kVictim, nothing));
  ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), kOther));
  EXPECT_FALSE(shm::free_word_of_dead(slot, 0, kVictim, nothing));
  EXPECT_FALSE(shm::free_word_of_dead(slot, 4, kOther, nothing));
  EXPECT_TRUE(shm::load_word(slot).owned_by(kOther));
}

TEST(Reclaim, AcquireOfAnEarlierGenerationIsGivenBack) {
  // A producer that stands before its acquire while the slot is re-used and READY again: its CAS
  // fails by the epoch, or, if that has gone round, it finds the generation changed.
  Stage stage(kScenes[1]);
  Appender victim = stage.appender(kVictim);
  shm::AppendOutcome outcome;
  Stalled thread({0, "word.acquire"}, [&] {
    outcome = append(victim, "victim", {.deadline = Deadline::after_ms(20'000)});
  });
  ASSERT_EQ(thread.where(), "word.acquire");
  const shm::Word seen = shm::load_word(*stage.broker.find(0).header);
  shm::SlotHeader& memory = *stage.broker.find(0).header;
  stage.broker.seal_open();
  while (shm::load_slot_gen(memory) == 0) stage.others(std::string(1000, 'y'));
  // The epoch has gone round: the word is again as the victim saw it.
  memory.word.store(seen.bits);
  thread.resume();
  EXPECT_EQ(outcome.status, AppendStatus::kAppended);
  EXPECT_FALSE(shm::load_word(memory).owned());
  EXPECT_EQ(shm::load_word(memory).tail_units(), seen.tail_units());  // nothing was committed to it
}

TEST(Reclaim, RoomThatComesWhileAProducerStandsBeforeItsWaitIsSeen) {
  const BootNanos cap = shm::sleep_cap_ns();
  shm::set_sleep_cap(INT64_MAX);  // a sleep that nobody ends stays one
  FakeBroker broker{kSmall};
  Appender writer(broker.memory().parts(kVictim), broker.memory().seat(kVictim));
  const std::string half(1984, 'x');
  for (int i = 0; i < 4; ++i) ASSERT_EQ(append(writer, half).status, AppendStatus::kAppended);
  std::promise<shm::AppendOutcome> promise;
  auto outcome = promise.get_future();
  Stalled thread({0, "wait.announce"},
                 [&] { promise.set_value(append(writer, half, {.deadline = Deadline::never()})); });
  ASSERT_EQ(thread.where(), "wait.announce");
  broker.pump();  // posts the slot, and finds nobody to wake
  std::jthread watchdog([&] {
    EXPECT_EQ(outcome.wait_for(std::chrono::seconds(10)), std::future_status::ready)
        << "it sleeps although there is room";
    shm::wake(broker.memory().knock(0).room);
  });
  thread.resume();
  watchdog.join();
  EXPECT_EQ(outcome.get().offset, 4U);
  shm::set_sleep_cap(cap);
}

TEST(Reclaim, ReaderThatStoodBeforeItsPinGoesColdWhenTheSlotWasReused) {
  Stage stage(kScenes[1]);
  shm::PartitionReader reader(stage.broker.memory().parts(5), stage.broker.memory().reader_cell(5),
                              false);
  ReadStatus status{};
  Stalled thread({0, "read.pin"}, [&] { status = reader.seek(0); });
  ASSERT_EQ(thread.where(), "read.pin");
  stage.broker.seal_open();
  for (int i = 0; i < 14; ++i) stage.others(std::string(1984, static_cast<char>('a' + i)));
  EXPECT_EQ(stage.broker.orphans(), 0U);
  thread.resume();
  EXPECT_EQ(status, ReadStatus::kCold);
}

TEST(Reclaim, ReaderThatStoodBeforeItsPinReadsOnlyWhatItsPinProtects) {
  Stage stage(kScenes[1]);
  shm::SlotHeader& memory = *stage.broker.find(0).header;
  shm::PartitionReader reader(stage.broker.memory().parts(5), stage.broker.memory().reader_cell(5),
                              false);
  constexpr Offset kFirstOfSlot4 = 7;
  ReadStatus status{};
  Stalled thread({0, "read.pin"}, [&] { status = reader.seek(kFirstOfSlot4); });
  ASSERT_EQ(thread.where(), "read.pin");  // of slot 0, which is the open one
  stage.broker.seal_open();
  for (Offset i = 1; i <= kFirstOfSlot4; ++i)
    stage.others(std::string(1984, static_cast<char>('a' + i)));
  ASSERT_EQ(shm::load_slot_gen(memory), 4U);
  thread.resume();
  ASSERT_EQ(status, ReadStatus::kRecord);
  shm::RecordView view{};
  ASSERT_EQ(reader.next(view), ReadStatus::kRecord);
  for (int i = 0; i < 14; ++i) stage.others(std::string(1984, 'z'));
  EXPECT_EQ(text_of(view.payload), std::string(1984, 'a' + kFirstOfSlot4));
}

TEST(Reclaim, BrokerThatDiesWhileItInitialisesASlotIsRepeatedByTheNext) {
  bool ended = false;
  for (int visit = 0; !ended; ++visit) {
    FakeBroker broker{kSmall};
    Appender writer(broker.memory().parts(0), broker.memory().seat(0));
    ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
    broker.seal_open();
    shm::SlotHeader& slot = *broker.find(0).header;
    const std::uint16_t epoch = shm::load_word(slot).fence_epoch();
    const shm::SlotInit init{.slot_gen = 4,
                             .partition_id = PartitionId{broker.memory().board(0).partition_id},
                             .log_epoch = 1,
                             .data_units = 256,
                             .base = shm::LogEnd{9, 99}};
    const std::string where = die_at({visit, {}}, [&] { shm::init_slot(slot, init); });
    ended = where.empty();
    // Until it is whole, nobody can acquire it.
    EXPECT_TRUE(ended || shm::load_word(slot).sealed()) << where;
    shm::init_slot(slot, init);
    EXPECT_EQ(shm::load_slot_gen(slot), 4U);
    EXPECT_EQ(shm::log_end(slot, 4)->next_offset, 9U);
    EXPECT_FALSE(shm::log_end(slot, 0).has_value());
    EXPECT_FALSE(shm::load_word(slot).sealed());
    EXPECT_EQ(shm::load_word(slot).tail_units(), 0U);
    EXPECT_NE(shm::load_word(slot).fence_epoch(), epoch);
    EXPECT_FALSE(shm::is_retiring(slot, 4));
  }
}

TEST(Reclaim, BrokerThatDiesInAFenceIsRepeatedByTheNext) {
  bool ended = false;
  for (int visit = 0; !ended; ++visit) {
    FakeBroker broker{kSmall};
    shm::SlotHeader& slot = *broker.find(0).header;
    ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), kVictim));
    const auto nothing = [](auto...) {};
    const std::string where =
        die_at({visit, {}}, [&] { static_cast<void>(shm::fence(slot, 0, nothing, nothing)); });
    ended = where.empty();
    static_cast<void>(shm::fence(slot, 0, nothing, nothing));
    EXPECT_TRUE(shm::load_word(slot).sealed());
    EXPECT_FALSE(shm::load_word(slot).owned());
  }
}

}  // namespace
}  // namespace mallbots::test
