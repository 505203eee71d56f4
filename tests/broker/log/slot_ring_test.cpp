#include "broker/log/slot_ring.h"

#include "shm/concurrent/cells.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

const std::vector<shm::Setting> kShared = {{"slot.bytes", "128KiB", false},
                                           {"stall.limit", "20ms", false}};
const std::vector<shm::Setting> kInMemory = {{"slot.bytes", "128KiB", false},
                                             {"storage", "memory", false}};

std::size_t notes_of(const shm::Registry& registry, SessionIndex session) {
  return static_cast<std::size_t>(std::count_if(
      std::begin(registry.fences), std::end(registry.fences),
      [&](const auto& note) { return note.partition_id.load() != 0 && note.session == session; }));
}

shm::SlotHeader& open_slot(broker::Topic& topic) {
  broker::SlotRing& ring = topic.partition(0).ring();
  return ring.find(ring.open_slot_gen())->header();
}

/// `session` takes the word of the open slot and goes no further.
shm::Word hold(broker::Topic& topic, SessionIndex session) {
  shm::SlotHeader& slot = open_slot(topic);
  const shm::Word seen = shm::load_word(slot);
  EXPECT_TRUE(shm::try_acquire(slot, seen, session));
  return seen.acquired_by(session);
}

/// The open slot is sealed, whoever holds it.
void fence(LogInstance& instance, broker::Topic& topic) {
  topic.partition(0).ring().seal(topic.partition(0).ring().open_slot_gen());
  instance.turn();
}

TEST(SlotRing, FullNoteTableExpelsWhoWasFencedMostOftenAndTheFenceIsNoted) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kShared);
  const auto often = instance.attach(topic);
  const auto once = instance.attach(topic);
  const auto stalled = instance.attach(topic);
  shm::Appender appender{once->parts, once->seat};
  append_all(instance, appender, 0, 2);
  for (shm::FenceNote& note : instance.registry().fences) {
    note.partition_id.store(static_cast<std::uint64_t>(topic.partition(0).id()));
    note.session = often->session;
    note.slot_id = 1'000'000;
  }
  instance.registry().fences[7].session = once->session;
  static_cast<void>(hold(topic, stalled->session));
  shm::SlotHeader& slot = open_slot(topic);
  append_all(instance, appender, 2, 3);  // waits for the fence
  EXPECT_TRUE(shm::load_word(slot).sealed());
  EXPECT_EQ(instance.sessions().expelled.size(), 1U);
  EXPECT_TRUE(instance.sessions().expelled.contains(often->session));
  EXPECT_EQ(notes_of(instance.registry(), often->session), 0U);
  EXPECT_EQ(notes_of(instance.registry(), once->session), 1U);
  EXPECT_EQ(notes_of(instance.registry(), stalled->session), 1U);
}

TEST(SlotRing, AFenceOfTheBrokersOwnSessionLeavesNoNote) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kInMemory);
  for (int i = 0; i < 8; ++i) {
    static_cast<void>(hold(topic, broker::kBrokerSession));
    shm::SlotHeader& slot = open_slot(topic);
    fence(instance, topic);
    EXPECT_TRUE(shm::load_word(slot).sealed());
  }
  EXPECT_EQ(notes_of(instance.registry(), broker::kBrokerSession), 0U);
  EXPECT_EQ(topic.partition(0).ring().orphan_bytes(), 0U);
}

TEST(SlotRing, MemoryOfFencedHoldersIsBounded) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kInMemory);
  const auto stalled = instance.attach(topic);
  const auto alive = instance.attach(topic);
  shm::Appender appender{alive->parts, alive->seat};
  constexpr std::uint64_t kLimit = 64ULL << 20;  // orphan.max
  for (std::uint64_t i = 0; i < 600; ++i) {
    append_all(instance, appender, i, i + 1);
    static_cast<void>(hold(topic, stalled->session));
    fence(instance, topic);
    ASSERT_LE(topic.partition(0).ring().orphan_bytes(), kLimit);
  }
  EXPECT_GT(topic.partition(0).ring().orphan_bytes(), kLimit / 2);
}

/// An append that was fenced: its half says more than its commit could.
struct Fenced {
  explicit Fenced(LogInstance& on, const std::vector<shm::Setting>& settings = kShared)
      : instance(on), topic(on.make("t", settings)), client(on.attach(topic)) {
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 3);
    const shm::Word held = hold(topic, client->session);
    shm::store_sequence(*client->seat.cell, 1, {0, held.tail_units() + 8U, 4});
    fence(instance, topic);
    EXPECT_TRUE(shm::load_word(*map_first().header).sealed());
  }
  [[nodiscard]] shm::SlotMemory map_first() { return client->slots->map_slot(first_id); }

  LogInstance& instance;
  broker::Topic& topic;
  std::unique_ptr<LogInstance::Client> client;
  std::uint64_t first_id = topic.partition(0).ring().find(0)->slot_id;
};

TEST(SlotRing, DeathVoidsTheHalfThatAFenceLeftAboveItsTail) {
  LogInstance instance;
  const Fenced fenced{instance};
  ASSERT_EQ(notes_of(instance.registry(), fenced.client->session), 1U);
  instance.topics().session_died(fenced.client->session);
  EXPECT_FALSE(shm::load_sequence(*fenced.client->seat.cell, 1));
  EXPECT_EQ(shm::load_sequence(*fenced.client->seat.cell, 0)->sequence, 3U);
  EXPECT_EQ(notes_of(instance.registry(), fenced.client->session), 0U);
}

TEST(SlotRing, ARestartedBrokerJudgesTheProducersOfBefore) {
  LogInstance instance;
  Fenced fenced{instance};
  const SessionIndex session = fenced.client->session;
  const std::uint64_t id = fenced.client->seat.author.producer_id;
  instance.restart_broker();
  broker::Topic& topic = instance.topic("t");
  const auto same = instance.topics().open_producer(session, topic, 0, {id});
  ASSERT_TRUE(same);
  EXPECT_EQ(same->producer_id, id);
  EXPECT_EQ(&instance.sessions().page(session)->cells[same->cell].producer,
            fenced.client->seat.cell);
  EXPECT_EQ(same->last_sequence, 3U);  // not 4: that one was fenced
  const auto other = instance.topics().open_producer(instance.sessions().open(), topic, 0, {id});
  ASSERT_TRUE(other);
  EXPECT_NE(other->producer_id, id);
  instance.topics().session_died(session);
  EXPECT_FALSE(shm::load_sequence(*fenced.client->seat.cell, 1));
  EXPECT_EQ(notes_of(instance.registry(), session), 0U);
}

TEST(SlotRing, ARestartedBrokerFencesAProducerStoppedBefore) {
  LogInstance instance;
  broker::Topic* topic = &instance.make("t", kShared);
  const auto stalled = instance.attach(*topic);
  const auto alive = instance.attach(*topic);
  {
    shm::Appender appender{alive->parts, alive->seat};
    append_all(instance, appender, 0, 3);
  }
  const shm::Word held = hold(*topic, stalled->session);
  const shm::SlotMemory memory =
      stalled->slots->map_slot(topic->partition(0).ring().find(0)->slot_id);
  instance.restart_broker();
  topic = &instance.topic("t");
  {
    const auto next = instance.attach(*topic);
    shm::Appender appender{next->parts, next->seat};
    append_all(instance, appender, 3, 10'000, 100);  // several times round the ring
  }
  EXPECT_FALSE(shm::commit(*memory.header, held, held.tail_units() + 8));
  EXPECT_EQ(shm::load_slot_gen(*memory.header), 0U);
  EXPECT_EQ(notes_of(instance.registry(), stalled->session), 1U);
}

TEST(SlotRing, TakeOverDropsTheNotesOfFencesThatNeverHappened) {
  LogInstance instance;
  const Fenced fenced{instance};
  broker::SlotRing& ring = fenced.topic.partition(0).ring();
  shm::FenceNote& never = instance.registry().fences[9];
  never.slot_gen = ring.open_slot_gen();
  never.session = fenced.client->session;
  never.slot_id = ring.find(ring.open_slot_gen())->slot_id;
  never.tail_units = 0;
  never.partition_id.store(static_cast<std::uint64_t>(fenced.topic.partition(0).id()));
  shm::FenceNote& of_nobody = instance.registry().fences[10];
  of_nobody.partition_id.store(4711);
  instance.restart_broker();
  EXPECT_EQ(never.partition_id.load(), 0U);
  EXPECT_EQ(of_nobody.partition_id.load(), 0U);
  EXPECT_EQ(notes_of(instance.registry(), fenced.client->session), 1U);
}

TEST(SlotRing, MemorySealedUnderAPredecessorIsNotInitialisedInPlace) {
  LogInstance instance;
  Fenced fenced{instance};
  const shm::SlotMemory memory = fenced.map_first();
  // As if its session had given its notes up.
  for (shm::FenceNote& note : instance.registry().fences) note.partition_id.store(0);
  instance.restart_broker();
  const auto next = instance.attach(instance.topic("t"));
  shm::Appender appender{next->parts, next->seat};
  append_all(instance, appender, 3, 10'000, 100);
  EXPECT_EQ(shm::load_slot_gen(*memory.header), 0U);
}

TEST(SlotRing, NotesGoWithTheirTopic) {
  LogInstance instance;
  const Fenced fenced{instance, kInMemory};
  ASSERT_TRUE(instance.topics().remove("t"));
  EXPECT_EQ(notes_of(instance.registry(), fenced.client->session), 0U);
}

}  // namespace
}  // namespace mallbots::test
