// The pairs of memory orders that the protocol hangs on: each program runs the code of
// shm/concurrent itself under all interleavings and stale reads (machine.h says within which
// limits), and then with one order made weaker or one step moved, which must be caught.
#include "tests/shm/litmus/world.h"

namespace mallbots::test::litmus {
namespace {

// Message passing -------------------------------------------------------------------------------

void commit_and_read(World& w, Program& program) {
  program.threads.push_back([&w] { w.append(1, 11); });
  program.threads.push_back([&w] {
    const auto published = shm::load_publication(w.slot);
    if (published.tail_units() > 0 && w.record[0].load(kRelaxed) != 11)
      Machine::fail("published and not to be seen");
    const Word word = shm::load_word(w.slot);
    if (word.tail_units() > 0 && w.record[0].load(kRelaxed) != 11)
      Machine::fail("committed and not to be seen");
    if (published.tail_units() > word.tail_units()) Machine::fail("published before committed");
  });
}

TEST(Litmus, WhatIsPublishedOrCommittedIsSeen) {
  expect_right(commit_and_read);
  // The release fence of store_pair stands behind the record's bytes: it would do for the stores,
  // so these mistakes are made together with its loss.
  expect_caught(commit_and_read, [](World& w) {
    return Mistakes{{&w.slot.publication, Kind::kStore, kRelaxed},
                    {nullptr, Kind::kFence, kRelease}};
  });
  expect_caught(commit_and_read, [](World& w) {
    return Mistakes{{&w.slot.word, Kind::kExchange, kRelaxed}, {nullptr, Kind::kFence, kRelease}};
  });
  expect_caught(commit_and_read,
                [](World& w) { return Mistakes{{&w.slot.publication, Kind::kLoad, kRelaxed}}; });
  expect_caught(commit_and_read,
                [](World& w) { return Mistakes{{&w.slot.word, Kind::kLoad, kRelaxed}}; });
}

void two_holders(World& w, Program& program) {
  program.threads.push_back([&w] { w.append(1, 11); });
  program.threads.push_back([&w] { w.append(2, 22); });
  program.holds = [&w] {
    const Word word = shm::load_word(w.slot);
    return !word.owned() && shm::log_end(w.slot, kGen)->next_offset == 100 + word.tail_units();
  };
}

TEST(Litmus, HolderSeesAllThatTheHolderBeforeItLeft) {
  const Limits limits{.preemptions = 4};
  expect_right(two_holders, limits);
  expect_caught(
      two_holders, [](World& w) { return Mistakes{{&w.slot.word, Kind::kExchange, kRelaxed}}; },
      limits);
}

void pair_read_outside(World& w, Program& program) {
  program.threads.push_back([&w] {
    for (std::uint32_t i = 0; i < 3; ++i) w.append(1, 11 + i);
  });
  program.threads.push_back([&w] {
    const auto end = shm::log_end(w.slot, kGen);
    if (!end || end->last_timestamp_ms != static_cast<UnixMillis>(end->next_offset * 10))
      Machine::fail("a torn pair");
  });
}

TEST(Litmus, PairReadWhileItIsOverwrittenIsReadAgain) {
  const Limits limits{.preemptions = 3, .stale_reads = 2};
  expect_right(pair_read_outside, limits);
  // On x86 the seq_cst loads of the word would do. Where they do not, the fences carry it: with the
  // loads weakened it is still right, and without either fence no more.
  const Make by_fences = [](World& w, Program& program) {
    pair_read_outside(w, program);
    program.weaker.push_back({&w.slot.word, Kind::kLoad, kAcquire});
  };
  const Limits fewer{.preemptions = 2, .stale_reads = 2};
  expect_right(by_fences, fewer);
  for (const auto order : {kRelease, kAcquire})
    expect_caught(
        by_fences, [=](World&) { return Mistakes{{nullptr, Kind::kFence, order}}; }, fewer);
}

// Dekker pairs ----------------------------------------------------------------------------------

enum class Mistake { kNone, kScanBeforeMark, kGenerationBeforeMark };

/// Reader: pin, then mark and generation (PartitionReader::open_slot). Broker: mark, scan, re-use.
Make pin_and_retire(Mistake mistake) {
  return [mistake](World& w, Program& program) {
    w.record[0].store(11);
    w.board.partition_id = 7;
    program.threads.push_back([&w, mistake] {
      w.cell.pins[0].store(shm::pin_of(7, kGen), std::memory_order_seq_cst);
      const bool mark_first = mistake != Mistake::kGenerationBeforeMark;
      bool mine = mark_first ? !shm::is_retiring(w.slot, kGen) : shm::load_slot_gen(w.slot) == kGen;
      mine = mine &&
             (mark_first ? shm::load_slot_gen(w.slot) == kGen : !shm::is_retiring(w.slot, kGen));
      if (mine && w.record[0].load(kRelaxed) != 11) Machine::fail("a pinned slot was used again");
      w.cell.pins[0].store(0, std::memory_order_release);
    });
    program.threads.push_back([&w, mistake] {
      const std::uint64_t pin = shm::pin_of(7, kGen);
      const bool early = mistake == Mistake::kScanBeforeMark && shm::is_pinned(w.cell, pin);
      shm::mark_retiring(w.slot, kGen);
      if (early || (mistake != Mistake::kScanBeforeMark && shm::is_pinned(w.cell, pin))) {
        shm::unmark_retiring(w.slot);
        return;
      }
      shm::init_slot(w.slot, World::init(kGen + 4));
      w.record[0].store(99, kRelaxed);
    });
  };
}

TEST(Litmus, PinAndRetiringMarkSeeEachOther) {
  const Make right = pin_and_retire(Mistake::kNone);
  expect_right(right);
  expect_caught(right,
                [](World& w) { return Mistakes{{&w.cell.pins[0], Kind::kStore, kRelease}}; });
  expect_caught(right, [](World& w) { return Mistakes{{&w.cell.pins[0], Kind::kLoad, kAcquire}}; });
  expect_caught(right, [](World& w) {
    return Mistakes{{&w.slot.identity.retiring, Kind::kStore, kRelease}};
  });
  expect_caught(
      right, [](World& w) { return Mistakes{{&w.slot.identity.retiring, Kind::kLoad, kAcquire}}; });
  EXPECT_NE(explore(pin_and_retire(Mistake::kScanBeforeMark)).violation, "");
  EXPECT_NE(explore(pin_and_retire(Mistake::kGenerationBeforeMark)).violation, "");
}

/// The producer looks for `barrier` after its acquire; the broker stores it, then fences the word
/// if the producer has it, then gives what it had to another.
Make barred(Atomic<std::uint32_t> shm::SessionHeader::* revoked) {
  return [revoked](World& w, Program& program) {
    program.threads.push_back([&w, revoked] {
      const Word seen = shm::load_word(w.slot);
      if (seen.sealed() || !shm::try_acquire(w.slot, seen, 1)) return;
      if ((w.session.*revoked).load(std::memory_order_seq_cst) != 0)
        shm::release(w.slot, seen.acquired_by(1));
      else
        w.commit_held(seen.acquired_by(1), 11);
    });
    program.threads.push_back([&w, revoked] {
      (w.session.*revoked).store(1);
      if (shm::load_word_seq_cst(w.slot).owned_by(1))
        static_cast<void>(shm::fence(w.slot, kGen, [](auto, auto) {}, [](auto) {}));
      w.handed_over = true;
    });
  };
}

TEST(Litmus, RevokedSessionAndAcquireSeeEachOther) {
  const Make right = barred(&shm::SessionHeader::revoked);
  const Limits limits{.preemptions = 5};
  expect_right(right, limits);
  expect_caught(
      right, [](World& w) { return Mistakes{{&w.session.revoked, Kind::kStore, kRelease}}; },
      limits);
  expect_caught(
      right, [](World& w) { return Mistakes{{&w.session.revoked, Kind::kLoad, kAcquire}}; },
      limits);
  expect_caught(
      right, [](World& w) { return Mistakes{{&w.slot.word, Kind::kExchange, kAcqRel}}; }, limits);
  expect_caught(
      right, [](World& w) { return Mistakes{{&w.slot.word, Kind::kLoad, kAcquire}}; }, limits);
}

/// As ExclusiveAppender and the broker's take-over do it; then the holder commits without acquire.
void lease_and_acquire(World& w, Program& program) {
  w.board.lease.store(shm::Lease::of(1, 1).bits);
  program.threads.push_back([&w] {
    const Word seen = shm::load_word(w.slot);
    if (seen.sealed() || !shm::try_acquire(w.slot, seen, 1)) return;
    const Word held = seen.acquired_by(1);
    if (w.board.lease.load(std::memory_order_seq_cst) != shm::Lease::of(1, 1).bits) {
      shm::release(w.slot, held);
      return;
    }
    for (std::uint32_t tail = 0; tail < 2; ++tail) {
      if (!shm::commit_and_hold(w.slot, held.with_tail(tail), tail + 1)) return;
      if (w.handed_over) Machine::fail("a commit after the hand-over");
    }
  });
  program.threads.push_back([&w] {
    w.board.lease.store(shm::Lease::of(2, 2).bits);
    if (shm::load_word_seq_cst(w.slot).owned_by(1))
      static_cast<void>(shm::fence(w.slot, kGen, [](auto, auto) {}, [](auto) {}));
    w.handed_over = true;
  });
}

TEST(Litmus, LeaseAndAcquireSeeEachOther) {
  expect_right(lease_and_acquire);
  expect_caught(lease_and_acquire,
                [](World& w) { return Mistakes{{&w.board.lease, Kind::kStore, kRelease}}; });
  expect_caught(lease_and_acquire,
                [](World& w) { return Mistakes{{&w.board.lease, Kind::kLoad, kAcquire}}; });
  expect_caught(lease_and_acquire,
                [](World& w) { return Mistakes{{&w.slot.word, Kind::kExchange, kAcqRel}}; });
}

/// `waiters` consumers that sleep until a record is there, and `wakers` producers.
Make sleepers(int waiters, int wakers) {
  return [=](World& w, Program& program) {
    for (int i = 0; i < waiters; ++i)
      program.threads.push_back([&w] {
        while (shm::load_word_seq_cst(w.slot).tail_units() == 0) {
          const std::uint32_t key = shm::prepare_wait(w.knock.data);
          if (shm::load_word_seq_cst(w.slot).tail_units() != 0) return;
          shm::wait(w.knock.data, key, Deadline::never());
        }
      });
    for (int i = 0; i < wakers; ++i)
      program.threads.push_back([&w, i] {
        const auto me = static_cast<SessionIndex>(i);
        const Word seen = shm::load_word(w.slot);
        if (seen.owned() || !shm::try_acquire(w.slot, seen, me)) return;
        if (!shm::commit(w.slot, seen.acquired_by(me), seen.tail_units() + 1)) return;
        shm::wake_if_waited(w.knock.data);
      });
  };
}

TEST(Litmus, NoWakeUpIsLost) {
  const Make one = sleepers(1, 1);
  expect_right(one);
  expect_right(sleepers(2, 1), {.preemptions = 4, .stale_reads = 2});
  expect_right(sleepers(1, 2), {.preemptions = 4, .stale_reads = 2});
  expect_caught(one, [](World& w) { return Mistakes{{&w.slot.word, Kind::kLoad, kAcquire}}; });
  expect_caught(one, [](World& w) { return Mistakes{{&w.slot.word, Kind::kExchange, kAcqRel}}; });
  expect_caught(one, [](World& w) { return Mistakes{{&w.knock.data, Kind::kExchange, kAcqRel}}; });
  expect_caught(one, [](World& w) { return Mistakes{{&w.knock.data, Kind::kLoad, kAcquire}}; });
}

/// A producer that waits for slot 5, and the broker that posts it.
void room(World& w, Program& program) {
  program.threads.push_back([&w] {
    const shm::PartitionParts parts = w.parts();
    while (!shm::slot_on_board(parts, 5)) {
      const std::uint32_t key = shm::prepare_wait(w.knock.room);
      if (shm::slot_on_board(parts, 5)) return;
      shm::wait(w.knock.room, key, Deadline::never());
    }
  });
  program.threads.push_back([&w] {
    shm::post_slot(w.board, 4, 5, 55);
    shm::wake_if_waited(w.knock.room);
  });
}

TEST(Litmus, NobodyWaitsForASlotThatIsThere) {
  expect_right(room);
  expect_caught(room,
                [](World& w) { return Mistakes{{&w.board.entries[1].n, Kind::kLoad, kAcquire}}; });
  expect_caught(room,
                [](World& w) { return Mistakes{{&w.board.entries[1].n, Kind::kStore, kRelease}}; });
}

/// The broker parks (broker/log/topics): says so, looks at all tails once more, sleeps.
void park(World& w, Program& program) {
  program.threads.push_back([&w] {
    w.knock_header.broker.store(static_cast<std::uint32_t>(shm::BrokerSleep::kParked));
    if (shm::load_word_seq_cst(w.slot).tail_units() != 0) return;
    if (bell.load() == 0) Machine::current()->block(&bell);
  });
  program.threads.push_back([&w] {
    const Word seen = shm::load_word(w.slot);
    if (!shm::try_acquire(w.slot, seen, 1)) return;
    if (shm::commit(w.slot, seen.acquired_by(1), 1)) shm::ring_broker(w.parts(), false);
  });
}

TEST(Litmus, BrokerDoesNotSleepThroughACommit) {
  expect_right(park);
  expect_caught(
      park, [](World& w) { return Mistakes{{&w.knock_header.broker, Kind::kStore, kRelease}}; });
  expect_caught(park,
                [](World& w) { return Mistakes{{&w.knock_header.broker, Kind::kLoad, kAcquire}}; });
  expect_caught(park, [](World& w) { return Mistakes{{&w.slot.word, Kind::kLoad, kAcquire}}; });
  expect_caught(park, [](World& w) { return Mistakes{{&w.slot.word, Kind::kExchange, kAcqRel}}; });
}

// Ingest rings ----------------------------------------------------------------------------------

/// One ring for all executions: only what the programs touch is made new.
shm::IngestRing& fresh_ring() {
  static auto ring = std::make_unique<shm::IngestRing>();
  ring->entries[0].state.store(0);
  ring->results[0].number.store(0);
  ring->header.handed_in.store(0);
  ring->header.answered.store(0);
  ring->header.closed.store(0);
  ring->header.answers.store(0);
  return *ring;
}

/// The sequencer parks: says so, looks at the ring once more, sleeps until the eventfd is written.
void park_with_a_ring(World& w, Program& program) {
  shm::IngestRing& ring = fresh_ring();
  program.threads.push_back([&w, &ring] {
    shm::park_sequencer(w.header, shm::SequencerSleep::kParked);
    if (shm::look_at(ring, 0)) return;
    if (bell.load() == 0) Machine::current()->block(&bell);
  });
  program.threads.push_back([&w, &ring] {
    shm::hand_in(ring, 0);
    if (shm::sequencer_sleeps(w.header)) test::litmus::ring(0, nullptr, 8);
  });
}

TEST(Litmus, SequencerDoesNotSleepThroughAnEntry) {
  expect_right(park_with_a_ring);
  const shm::IngestEntry& entry = fresh_ring().entries[0];
  expect_caught(park_with_a_ring,
                [](World& w) { return Mistakes{{&w.header.sequencer, Kind::kStore, kRelease}}; });
  expect_caught(park_with_a_ring,
                [](World& w) { return Mistakes{{&w.header.sequencer, Kind::kLoad, kAcquire}}; });
  expect_caught(park_with_a_ring,
                [&](World&) { return Mistakes{{&entry.state, Kind::kStore, kRelease}}; });
  expect_caught(park_with_a_ring,
                [&](World&) { return Mistakes{{&entry.state, Kind::kLoad, kAcquire}}; });
}

/// An entry goes in and its answer comes out; record[0] and [1] stand for the plain bytes of both.
void entry_and_answer(World& w, Program& program) {
  shm::IngestRing& ring = fresh_ring();
  program.threads.push_back([&w, &ring] {
    w.record[0].store(11, kRelaxed);
    shm::hand_in(ring, 0);
    if (shm::is_answered(ring, 0) && w.record[1].load(kRelaxed) != 22)
      Machine::fail("answered and not to be seen");
  });
  program.threads.push_back([&w, &ring] {
    if (shm::look_at(ring, 0) != shm::IngestState::kHandedIn || !shm::take(ring, 0)) return;
    if (w.record[0].load(kRelaxed) != 11) Machine::fail("taken and not to be seen");
    w.record[1].store(22, kRelaxed);
    shm::answer(ring, 0, {});
  });
}

TEST(Litmus, EntryIsSeenByWhoTakesItAndAnswerByWhoHandedIn) {
  expect_right(entry_and_answer);
  const shm::IngestEntry& entry = fresh_ring().entries[0];
  const shm::IngestAnswer& answer = fresh_ring().results[0];
  expect_caught(entry_and_answer,
                [&](World&) { return Mistakes{{&entry.state, Kind::kStore, kRelaxed}}; });
  expect_caught(entry_and_answer, [&](World&) {
    return Mistakes{{&entry.state, Kind::kLoad, kRelaxed},
                    {&entry.state, Kind::kExchange, kRelaxed}};
  });
  expect_caught(entry_and_answer,
                [&](World&) { return Mistakes{{&answer.number, Kind::kStore, kRelaxed}}; });
  expect_caught(entry_and_answer,
                [&](World&) { return Mistakes{{&answer.number, Kind::kLoad, kRelaxed}}; });
}

/// A client that sleeps for its answer.
void sleeper_for_an_answer(World&, Program& program) {
  shm::IngestRing& ring = fresh_ring();
  program.threads.push_back([&ring] {
    while (!shm::is_answered(ring, 0)) {
      const std::uint32_t key = shm::prepare_wait(ring.header.answers);
      if (shm::is_answered(ring, 0)) return;
      shm::wait(ring.header.answers, key, Deadline::never());
    }
  });
  program.threads.push_back([&ring] { shm::answer(ring, 0, {}); });
}

TEST(Litmus, NobodySleepsForAnAnswerThatIsThere) {
  expect_right(sleeper_for_an_answer);
  const shm::IngestAnswer& answer = fresh_ring().results[0];
  expect_caught(sleeper_for_an_answer,
                [&](World&) { return Mistakes{{&answer.number, Kind::kStore, kRelease}}; });
  expect_caught(sleeper_for_an_answer,
                [&](World&) { return Mistakes{{&answer.number, Kind::kLoad, kAcquire}}; });
}

/// The deadline passes while the broker looks: one of the two has the entry.
void withdraw_and_take(World& w, Program& program) {
  shm::IngestRing& ring = fresh_ring();
  shm::hand_in(ring, 0);
  program.threads.push_back([&w, &ring] { w.record[0].store(shm::withdraw(ring, 0) ? 1 : 0); });
  program.threads.push_back([&w, &ring] {
    if (!shm::take(ring, 0)) return;
    shm::give_back(ring, 0);
    w.record[1].store(shm::take(ring, 0) ? 1 : 0);
  });
  program.holds = [&w] { return w.record[0].load() + w.record[1].load() == 1; };
}

TEST(Litmus, AnEntryIsTakenOrWithdrawnNeverBoth) { expect_right(withdraw_and_take); }

// Records of several words ----------------------------------------------------------------------

void board_entry(World& w, Program& program) {
  shm::post_slot(w.board, 4, 1, 11);
  program.threads.push_back([&w] {
    const shm::PartitionParts parts = w.parts();
    for (const SlotGen slot_gen : {SlotGen{1}, SlotGen{5}})
      if (const auto id = shm::slot_on_board(parts, slot_gen); id && *id != slot_gen * 11)
        Machine::fail("the id of another slot");
  });
  program.threads.push_back([&w] { shm::post_slot(w.board, 4, 5, 55); });
}

TEST(Litmus, BoardEntryIsReadWholeOrNotAtAll) {
  expect_right(board_entry);
  for (const auto order : {kRelease, kAcquire})
    expect_caught(board_entry, [=](World&) { return Mistakes{{nullptr, Kind::kFence, order}}; });
  expect_caught(board_entry,
                [](World& w) { return Mistakes{{&w.board.entries[1].n, Kind::kStore, kRelaxed}}; });
}

void base(World& w, Program& program) {
  w.slot.identity.base_set.store(0);
  w.slot.identity.base_offset.store(0);
  program.threads.push_back([&w] { shm::store_base(w.slot, kGen, {5, 50}); });
  program.threads.push_back([&w] {
    if (const auto found = shm::load_base(w.slot, kGen);
        found && (found->next_offset != 5 || found->last_timestamp_ms != 50))
      Machine::fail("half a base");
  });
}

TEST(Litmus, BaseIsSeenWhole) {
  expect_right(base);
  expect_caught(
      base, [](World& w) { return Mistakes{{&w.slot.identity.base_set, Kind::kStore, kRelaxed}}; });
  expect_caught(
      base, [](World& w) { return Mistakes{{&w.slot.identity.base_set, Kind::kLoad, kRelaxed}}; });
}

void position(World& w, Program& program) {
  shm::store_position(w.cell, 1, {1, 10});
  program.threads.push_back([&w] {
    shm::store_position(w.cell, 2, {2, 20});
    shm::store_position(w.cell, 3, {3, 30});
  });
  program.threads.push_back([&w] {
    const auto stored = shm::load_position(w.cell);
    if (!stored) return Machine::fail("no position");
    if (stored->position.offset != stored->group_generation * 10ULL ||
        stored->position.log_epoch != stored->group_generation ||
        stored->store != stored->group_generation)
      Machine::fail("half a position");
  });
}

TEST(Litmus, PositionIsReadWhole) {
  const Limits limits{.preemptions = 3, .stale_reads = 2};
  expect_right(position, limits);
  for (const auto order : {kRelease, kAcquire})
    expect_caught(
        position, [=](World&) { return Mistakes{{nullptr, Kind::kFence, order}}; }, limits);
  expect_caught(
      position,
      [](World& w) { return Mistakes{{&w.cell.halves[1].store, Kind::kStore, kRelaxed}}; }, limits);
}

/// A member that commits while the broker takes its cell and reads it for the last time.
void commit_and_take(World& w, Program& program) {
  struct Ends {
    bool counts = false;
    Offset read = 0;
  };
  const auto ends = std::make_shared<Ends>();
  shm::store_position(w.cell, 1, {1, 10});
  program.threads.push_back(
      [&w, ends] { ends->counts = shm::commit_position(w.session, 5, w.cell, {1, {1, 20}}); });
  program.threads.push_back([&w, ends] {
    shm::take_cell(w.session, 5);
    for (const auto& half : w.cell.halves)  // as the broker reads them
      if (half.store.load() == 2) ends->read = half.offset.load();
  });
  program.holds = [ends] { return !ends->counts || ends->read == 20; };
}

TEST(Litmus, CommitThatIsNotRefusedIsReadByWhoTakesTheCell) {
  expect_right(commit_and_take);
  // The half that the second store fills, and the word of the bit.
  for (const Kind kind : {Kind::kStore, Kind::kLoad}) {
    const auto order = kind == Kind::kStore ? kRelease : kAcquire;
    expect_caught(commit_and_take,
                  [=](World& w) { return Mistakes{{&w.cell.halves[0].store, kind, order}}; });
    expect_caught(commit_and_take,
                  [=](World& w) { return Mistakes{{&w.session.taken[0], kind, order}}; });
  }
}

}  // namespace
}  // namespace mallbots::test::litmus
