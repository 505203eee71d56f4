#include "shm/concurrent/read.h"

#include <gtest/gtest.h>

#include <random>

#include "shm/concurrent/cells.h"
#include "shm/concurrent/reclaim.h"
#include "tests/shm/concurrent/records.h"

namespace mallbots::test {
namespace {

using shm::Appender;
using shm::AppendStatus;
using shm::PartitionReader;
using shm::ReadStatus;

struct ReaderTest : testing::Test {
  Appender appender(SessionIndex session) {
    return Appender(broker.memory().parts(session), broker.memory().seat(session));
  }
  PartitionReader reader(SessionIndex session, bool durable_only = false) {
    return PartitionReader(broker.memory().parts(session), broker.memory().reader_cell(session),
                           durable_only);
  }
  /// Appends "0", "1", ... up to `end`, pumping; records of about 500 bytes, eight to a slot.
  void fill(Offset end) {
    auto writer = appender(0);
    while (broker.end_offset() < end) {
      std::string text = std::to_string(broker.end_offset());
      ASSERT_EQ(append(writer, text.append(400, ' ')).status, AppendStatus::kAppended);
      broker.pump();
    }
  }
  static std::vector<Offset> offsets(const std::vector<Seen>& all) {
    std::vector<Offset> found;
    for (const Seen& seen : all) found.push_back(seen.offset);
    return found;
  }
  FakeBroker broker{FakeTopic{.slot_bytes = 4096}};
};

TEST_F(ReaderTest, SeesEveryRecordInOrderAcrossSlots) {
  auto writer = appender(0);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kEmpty);
  std::vector<Seen> all, expected;
  for (Offset i = 0; i < 300; ++i) {
    std::string text = std::to_string(i);
    text.append(i % 7 * 50, '.');
    ASSERT_EQ(append(writer, text).status, AppendStatus::kAppended);
    expected.push_back({i, text});
    if (i % 5 == 0) {
      for (Seen& seen : read_all(read)) all.push_back(std::move(seen));
      broker.pump();
    }
  }
  for (Seen& seen : read_all(read)) all.push_back(std::move(seen));
  EXPECT_EQ(all, expected);
  EXPECT_EQ(read.next_offset(), 300U);
}

TEST_F(ReaderTest, SeesACommitWhosePublicationNeverCame) {
  auto writer = appender(0);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kEmpty);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  shm::SlotHeader& slot = *broker.find(0).header;
  slot.publication.store(shm::Publication::of(0, shm::Word{}).bits);  // it died before it
  EXPECT_TRUE(read.has_more());
  slot.publication.store(shm::Publication::of(0, shm::Word{}).bits);
  auto other = reader(2);
  ASSERT_EQ(other.seek(0), ReadStatus::kRecord);
  shm::RecordView view{};
  auto spinner = reader(3);
  static_cast<void>(spinner.seek(1));
  ASSERT_EQ(append(writer, "b").status, AppendStatus::kAppended);
  slot.publication.store(shm::Publication::of(0, shm::Word{}).bits);
  int polls = 0;
  while (spinner.next(view) != ReadStatus::kRecord) ASSERT_LT(++polls, 100'000);
  EXPECT_EQ(text_of(view.payload), "b");
}

TEST_F(ReaderTest, PublicationOfAnotherGenerationIsNotBelieved) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  auto read = reader(1);
  ASSERT_EQ(read.seek(1), ReadStatus::kEmpty);
  shm::SlotHeader& slot = *broker.find(0).header;
  // A producer of generation 4 (same memory, later) that publishes late.
  slot.publication.store(shm::Publication::of(4, shm::Word{}.with_tail(200).with_seal()).bits);
  shm::RecordView view{};
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(read.next(view), ReadStatus::kEmpty);
  ASSERT_EQ(append(writer, "b").status, AppendStatus::kAppended);
  slot.publication.store(shm::Publication::of(4, shm::Word{}.with_tail(200).with_seal()).bits);
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  EXPECT_EQ(text_of(view.payload), "b");
}

TEST_F(ReaderTest, PublicationThatStepsBackTakesNothingBack) {
  auto writer = appender(0);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kEmpty);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  shm::SlotHeader& slot = *broker.find(0).header;
  const std::uint64_t late = slot.publication.load();
  ASSERT_EQ(append(writer, "b").status, AppendStatus::kAppended);
  shm::RecordView view{};
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  slot.publication.store(late);
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  EXPECT_EQ(text_of(view.payload), "b");
}

TEST_F(ReaderTest, SeesARollWithoutAFurtherAppend) {
  auto writer = appender(0);
  auto read = reader(1);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  ASSERT_EQ(read.seek(1), ReadStatus::kEmpty);
  EXPECT_FALSE(read.has_more());
  broker.seal_open();
  broker.pump();
  EXPECT_TRUE(read.has_more());
  shm::RecordView view{};
  ASSERT_EQ(read.next(view), ReadStatus::kEmpty);  // rolled on the way
  EXPECT_FALSE(read.has_more());
  EXPECT_TRUE(shm::is_pinned(broker.memory().reader_cell(1),
                             shm::pin_of(broker.memory().board(0).partition_id, 1)));
  ASSERT_EQ(append(writer, "b").status, AppendStatus::kAppended);
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  EXPECT_EQ(view.header->offset, 1U);
}

TEST_F(ReaderTest, ViewStaysIntactWhileTheLogGoesRoundTheRing) {
  fill(1);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  shm::RecordView view{};
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  const std::string text = text_of(view.payload);
  fill(100);
  EXPECT_EQ(text_of(view.payload), text);
  EXPECT_EQ(broker.orphans(), 1U);  // its slot was replaced
  EXPECT_EQ(offsets(read_all(read)), (std::vector<Offset>{1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(ReaderTest, StoppedReadersDoNotStopProducers) {
  std::vector<std::unique_ptr<PartitionReader>> stopped;
  for (SessionIndex i = 1; i <= 6; ++i) {  // slots + 2
    fill(i * 8);
    stopped.push_back(std::make_unique<PartitionReader>(broker.memory().parts(i),
                                                        broker.memory().reader_cell(i), false));
    ASSERT_EQ(stopped.back()->seek(i * 8 - 1), ReadStatus::kRecord);
  }
  fill(200);
  EXPECT_EQ(broker.end_offset(), 200U);
  stopped.clear();
  fill(210);
  EXPECT_EQ(broker.orphans(), 0U);
}

TEST_F(ReaderTest, SlotThatIsRetiringIsCold) {
  fill(12);
  auto read = reader(1);
  shm::mark_retiring(*broker.find(0).header, 0);
  EXPECT_EQ(read.seek(0), ReadStatus::kCold);
  EXPECT_FALSE(shm::is_pinned(broker.memory().reader_cell(1),
                              shm::pin_of(broker.memory().board(0).partition_id, 0)));
  shm::unmark_retiring(*broker.find(0).header);
  EXPECT_EQ(read.seek(0), ReadStatus::kRecord);
}

TEST_F(ReaderTest, OldestSlotThatIsRetiringIsPassedOver) {
  fill(12);
  auto read = reader(1);
  shm::mark_retiring(*broker.find(0).header, 0);
  ASSERT_EQ(read.seek_oldest(), ReadStatus::kRecord);
  EXPECT_EQ(read.next_offset(), 8U);
}

TEST_F(ReaderTest, PositionThatLeftMemoryIsColdAndTheOldestIsFound) {
  fill(100);
  auto read = reader(1);
  EXPECT_EQ(read.seek(3), ReadStatus::kCold);
  ASSERT_EQ(read.seek_oldest(), ReadStatus::kRecord);
  const Offset oldest = read.next_offset();
  EXPECT_GT(oldest, 60U);
  const auto all = offsets(read_all(read));
  EXPECT_EQ(all.front(), oldest);
  EXPECT_EQ(all.back(), 99U);
  EXPECT_EQ(all.size(), 100 - oldest);
}

TEST_F(ReaderTest, ReaderThatIsOvertakenHearsThatItIsCold) {
  fill(4);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  fill(100);
  ReadStatus end{};
  EXPECT_EQ(read_all(read, &end).size(), 8U);  // its own slot, replaced meanwhile
  EXPECT_EQ(end, ReadStatus::kCold);
  EXPECT_EQ(read.next_offset(), 8U);
}

TEST_F(ReaderTest, SeekFindsEveryOffsetInMemory) {
  fill(30);
  auto read = reader(1);
  ASSERT_EQ(read.seek_oldest(), ReadStatus::kRecord);
  for (Offset offset = read.next_offset(); offset < 30; ++offset) {
    ASSERT_EQ(read.seek(offset), ReadStatus::kRecord) << offset;
    shm::RecordView view{};
    ASSERT_EQ(read.next(view), ReadStatus::kRecord);
    ASSERT_EQ(view.header->offset, offset);
  }
  EXPECT_EQ(read.seek(30), ReadStatus::kEmpty);
  EXPECT_EQ(read.seek(31), ReadStatus::kAhead);
}

// Backwards, as a stream is followed, and at random: with marks of this slot, of another and none.
TEST_F(ReaderTest, ManySeeksOfOneReaderFindWhatOneFinds) {
  constexpr Offset kEnd = 5'000;
  FakeBroker large{FakeTopic{.slot_bytes = 64 * 1024}};
  Appender writer(large.memory().parts(0), large.memory().seat(0));
  while (large.end_offset() < kEnd) {
    ASSERT_EQ(append(writer, "x").status, AppendStatus::kAppended);
    large.pump();
  }
  PartitionReader read(large.memory().parts(1), large.memory().reader_cell(1), false);
  ASSERT_EQ(read.seek_oldest(), ReadStatus::kRecord);
  const Offset oldest = read.next_offset();
  ASSERT_LT(oldest + 1'000, kEnd);
  const auto expect_at = [&](Offset offset) {
    ASSERT_EQ(read.seek(offset), ReadStatus::kRecord) << offset;
    shm::RecordView view{};
    ASSERT_EQ(read.next(view), ReadStatus::kRecord);
    ASSERT_EQ(view.header->offset, offset);
  };
  for (Offset offset = kEnd; offset-- > oldest;) expect_at(offset);
  std::mt19937_64 random(7);
  for (int i = 0; i < 5'000; ++i) expect_at(oldest + random() % (kEnd - oldest));
  EXPECT_EQ(read.seek(kEnd), ReadStatus::kEmpty);
  EXPECT_EQ(read.seek(kEnd + 1), ReadStatus::kAhead);
}

TEST_F(ReaderTest, SeekWorksInAndAroundSlotsThatWereSealedEmpty) {
  auto writer = appender(0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(append(writer, "x").status, AppendStatus::kAppended);
    broker.seal_open();
    broker.pump();
    if (i == 1) {
      broker.seal_open();
      broker.pump();
    }
  }
  auto read = reader(1);
  ASSERT_EQ(read.seek_oldest(), ReadStatus::kRecord);
  for (Offset offset = read.next_offset(); offset < 3; ++offset)
    ASSERT_EQ(read.seek(offset), ReadStatus::kRecord) << offset;
  EXPECT_EQ(read.seek(3), ReadStatus::kEmpty);
  EXPECT_EQ(read.seek_end(), ReadStatus::kEmpty);
  EXPECT_EQ(read.next_offset(), 3U);
}

TEST_F(ReaderTest, SeekEndStandsBehindTheLastRecordAtEveryStage) {
  auto writer = appender(0);
  auto read = reader(1);
  ASSERT_EQ(read.seek_end(), ReadStatus::kEmpty);
  EXPECT_EQ(read.next_offset(), 0U);
  for (Offset i = 0; i < 60; ++i) {
    ASSERT_EQ(append(writer, std::string(400, 'x')).status, AppendStatus::kAppended);
    ASSERT_EQ(read.seek_end(), ReadStatus::kEmpty);
    ASSERT_EQ(read.next_offset(), i + 1);
    if (i % 9 == 0) broker.seal_open();
    ASSERT_EQ(read.seek_end(), ReadStatus::kEmpty);
    ASSERT_EQ(read.next_offset(), i + 1);
    broker.pump();
    ASSERT_EQ(read.seek_end(), ReadStatus::kEmpty);
    ASSERT_EQ(read.next_offset(), i + 1);
  }
  ASSERT_EQ(append(writer, "last").status, AppendStatus::kAppended);
  EXPECT_EQ(read_all(read), (std::vector<Seen>{{60, "last"}}));
}

TEST_F(ReaderTest, SeeksEndAlthoughNoSlotIsToBeHad) {
  fill(3);
  auto read = reader(1);
  shm::withdraw_slot(broker.memory().board(0), 4, 0);  // a broker that died here
  EXPECT_EQ(read.seek_end(), ReadStatus::kCold);
  EXPECT_EQ(read.seek_oldest(), ReadStatus::kCold);
  EXPECT_EQ(read.seek(0), ReadStatus::kCold);
  broker.memory().refuse(true);
  shm::post_slot(broker.memory().board(0), 4, 0, 0);
  EXPECT_EQ(read.seek_end(), ReadStatus::kUnmapped);
  EXPECT_EQ(read.seek_oldest(), ReadStatus::kUnmapped);
  EXPECT_EQ(read.seek(0), ReadStatus::kUnmapped);
}

TEST_F(ReaderTest, DeletedTopicIsGoneAfterItsLastRecord) {
  fill(2);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  broker.remove();
  ReadStatus end{};
  EXPECT_EQ(read_all(read, &end).size(), 2U);
  EXPECT_EQ(end, ReadStatus::kGone);
  EXPECT_TRUE(read.has_more());  // so that it does not sleep
  EXPECT_EQ(read.seek(0), ReadStatus::kGone);
  EXPECT_EQ(read.seek_end(), ReadStatus::kGone);
  EXPECT_EQ(read.seek_oldest(), ReadStatus::kGone);
}

TEST_F(ReaderTest, DurableReaderStopsAtTheDurableOffset) {
  FakeBroker slow{FakeTopic{.slot_bytes = 4096, .durable_follows = false}};
  Appender writer(slow.memory().parts(0), slow.memory().seat(0));
  PartitionReader read(slow.memory().parts(1), slow.memory().reader_cell(1), true);
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(append(writer, std::to_string(i)).status, AppendStatus::kAppended);
  static_cast<void>(read.seek(0));
  shm::RecordView view{};
  EXPECT_EQ(read.next(view), ReadStatus::kEmpty);
  EXPECT_FALSE(read.has_more());
  slow.set_durable(3);
  EXPECT_TRUE(read.has_more());
  EXPECT_EQ(read_all(read), numbered(0, 3));
  EXPECT_FALSE(read.has_more());
  slow.set_durable(5);
  EXPECT_EQ(read_all(read), numbered(3, 2));
}

TEST_F(ReaderTest, RevokedPinExpiresTheViewWhateverComesNext) {
  fill(2);
  auto read = reader(1);
  shm::RecordView view{};
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  broker.revoke_pins(1);
  EXPECT_FALSE(read.has_pin());
  EXPECT_EQ(read.next(view), ReadStatus::kExpired);  // a record would have been next
  EXPECT_EQ(read.next_offset(), 1U);
  ASSERT_EQ(read.seek(1), ReadStatus::kRecord);
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  broker.revoke_pins(1);
  EXPECT_EQ(read.next(view), ReadStatus::kExpired);  // nothing would have been next
  ASSERT_EQ(read.seek(1), ReadStatus::kRecord);
  broker.revoke_pins(1);
  std::memset(broker.find(0).data, 0xFF, 4096);
  EXPECT_EQ(read.next(view), ReadStatus::kExpired);  // and not damage
}

TEST_F(ReaderTest, UnpinnedReaderHoldsNothingAndSeeksBack) {
  fill(3);
  auto read = reader(1);
  ASSERT_EQ(read.seek(1), ReadStatus::kRecord);
  read.unpin();
  for (const auto& pin : broker.memory().reader_cell(1).pins) EXPECT_EQ(pin.load(), 0U);
  EXPECT_EQ(broker.memory().mapped(), 0);
  shm::RecordView view{};
  EXPECT_EQ(read.next(view), ReadStatus::kCold);
  ASSERT_EQ(read.seek(read.next_offset()), ReadStatus::kRecord);
  EXPECT_EQ(offsets(read_all(read)), (std::vector<Offset>{1, 2}));
}

TEST_F(ReaderTest, HoldsAtMostOneSlotBetweenCallsAndNoneInTheEnd) {
  {
    auto read = reader(1);
    static_cast<void>(read.seek(0));
    for (Offset i = 1; i < 60; ++i) {
      fill(i);
      read_all(read);
      EXPECT_EQ(broker.memory().mapped(), 1);
    }
  }
  EXPECT_EQ(broker.memory().mapped(), 0);
}

TEST_F(ReaderTest, NextSlotThatCannotBeMappedIsSaidAndReadLater) {
  fill(8);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  fill(10);
  broker.memory().refuse(true);
  ReadStatus end{};
  EXPECT_EQ(read_all(read, &end).size(), 8U);
  EXPECT_EQ(end, ReadStatus::kUnmapped);
  broker.memory().refuse(false);
  EXPECT_EQ(offsets(read_all(read)), (std::vector<Offset>{8, 9}));
}

TEST_F(ReaderTest, PadsAreSkippedAndADamagedRecordCoversItsOffsets) {
  fill(1);
  const auto slot = broker.find(0);
  std::uint32_t at = shm::load_word(*slot.header).tail_units();
  const auto put = [&](shm::RecordType type, Offset offset, std::uint64_t sequence) {
    shm::RecordHeader header{.length = 64, .type = type, .offset = offset, .sequence = sequence};
    std::memcpy(slot.data + std::size_t{at} * 16, &header, sizeof header);
    at += 4;
  };
  put(shm::RecordType::kPad, 1, 0);
  put(shm::RecordType::kDamaged, 1, 4);  // 1 to 4
  put(shm::RecordType::kData, 5, 0);
  slot.header->word.store(shm::load_word(*slot.header).with_tail(at).bits);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  EXPECT_EQ(offsets(read_all(read)), (std::vector<Offset>{0, 1, 5}));
  // Whoever seeks into the damage is told of it.
  for (Offset offset = 1; offset < 5; ++offset) {
    ASSERT_EQ(read.seek(offset), ReadStatus::kRecord);
    shm::RecordView view{};
    ASSERT_EQ(read.next(view), ReadStatus::kRecord);
    EXPECT_EQ(view.header->type, shm::RecordType::kDamaged) << offset;
    EXPECT_EQ(read.next_offset(), 5U);
  }
}

TEST_F(ReaderTest, RecordThatSkipsOffsetsIsDamageAndTheReaderStays) {
  fill(3);
  const auto slot = broker.find(0);
  const std::uint32_t units = shm::load_word(*slot.header).tail_units() / 3;
  const Offset mad = 1'000'000;
  std::memcpy(slot.data + std::size_t{units} * 16 + offsetof(shm::RecordHeader, offset), &mad,
              sizeof mad);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  ReadStatus end{};
  EXPECT_EQ(read_all(read, &end).size(), 1U);
  EXPECT_EQ(end, ReadStatus::kDamaged);
  EXPECT_EQ(read.next_offset(), 1U);
}

// Every byte of every header overwritten with every kind of junk: no read behind the slot (the
// address sanitizer watches), no endless loop, and what is handed out lies within the tail.
TEST_F(ReaderTest, DamagedHeadersNeverLeadOutsideTheSlot) {
  fill(7);
  const auto slot = broker.find(0);
  const std::uint32_t tail = shm::load_word(*slot.header).tail_units();
  const std::vector<std::byte> good(slot.data, slot.data + std::size_t{tail} * 16);
  std::mt19937_64 random(42);
  auto read = reader(1);
  int damaged = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::memcpy(slot.data, good.data(), good.size());
    for (int hits = 1 + static_cast<int>(random() % 4); hits > 0; --hits) {
      const std::size_t record = random() % 7 * (good.size() / 7);
      const std::size_t at = record + (random() % 2 == 0 ? random() % 8 : random() % 64);
      slot.data[at] = static_cast<std::byte>(random() % 3 == 0 ? 0xFF : random());
    }
    if (round % 10 == 0) {  // the publication line and the word are the producers' as well
      slot.header->publication.store(random());
    }
    static_cast<void>(read.seek(random() % 8));
    shm::RecordView view{};
    for (int i = 0; i < 20; ++i) {
      const ReadStatus status = read.next(view);
      damaged += status == ReadStatus::kDamaged ? 1 : 0;
      if (status != ReadStatus::kRecord) break;
      for (const auto part : {view.attributes, view.key, view.payload}) {
        ASSERT_GE(part.data(), slot.data);
        ASSERT_LE(part.data() + part.size(), slot.data + 4096);
      }
    }
    static_cast<void>(read.has_more());
    static_cast<void>(read.seek_oldest());
    static_cast<void>(read.seek_end());
  }
  EXPECT_GT(damaged, 100);
}

TEST_F(ReaderTest, MadWordNeverLeadsOutsideTheSlot) {
  fill(3);
  const auto slot = broker.find(0);
  auto read = reader(1);
  std::mt19937_64 random(7);
  for (int round = 0; round < 20'000; ++round) {
    slot.header->word.store(random());
    for (shm::CommitPair& pair : slot.header->pairs) pair.end_units.store(random() % 400);
    static_cast<void>(read.seek(random() % 5));
    shm::RecordView view{};
    for (int i = 0; i < 8 && read.next(view) == ReadStatus::kRecord; ++i)
      ASSERT_LE(view.payload.data() + view.payload.size(), slot.data + 4096);
    static_cast<void>(read.seek_end());
  }
}

TEST_F(ReaderTest, NextInSlotStopsAtTheSlotsEnd) {
  fill(8);
  auto read = reader(1);
  ASSERT_EQ(read.seek(0), ReadStatus::kRecord);
  fill(10);
  shm::RecordView view{};
  for (int i = 0; i < 8; ++i) ASSERT_EQ(read.next_in_slot(view), ReadStatus::kRecord);
  EXPECT_EQ(read.next_in_slot(view), ReadStatus::kEmpty);
  EXPECT_EQ(view.header->offset, 7U);
  ASSERT_EQ(read.next(view), ReadStatus::kRecord);
  EXPECT_EQ(view.header->offset, 8U);
}

}  // namespace
}  // namespace mallbots::test
