// shm/LAYOUT.md and the structs say the same, in both directions.
#include "shm/layout/layout.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <tuple>

#include "shm/layout/board.h"
#include "shm/layout/control.h"
#include "shm/layout/ingest.h"
#include "shm/layout/knock.h"
#include "shm/layout/record.h"
#include "shm/layout/registry.h"
#include "shm/layout/session_page.h"
#include "shm/layout/slot.h"

namespace mallbots::test {
namespace {

using namespace shm;  // the table below names a hundred fields

struct Place {
  std::size_t offset;
  std::size_t bytes;
  friend bool operator==(const Place&, const Place&) = default;
};
void PrintTo(const Place& place, std::ostream* out) { *out << place.offset << "+" << place.bytes; }

using Table = std::map<std::string, Place>;  // "Struct.field", "Struct" for the whole

#define WHOLE(type)                  \
  {                                  \
    #type, Place { 0, sizeof(type) } \
  }
#define FIELD(type, field)                                                 \
  {                                                                        \
    #type "." #field, Place { offsetof(type, field), sizeof(type::field) } \
  }

const Table kCompiled{
    WHOLE(SlotHeader),
    FIELD(SlotHeader, word),
    FIELD(SlotHeader, pairs),
    FIELD(SlotHeader, publication),
    FIELD(SlotHeader, identity),
    FIELD(SlotHeader, reserved),
    WHOLE(CommitPair),
    FIELD(CommitPair, end_units),
    FIELD(CommitPair, slot_gen),
    FIELD(CommitPair, next_offset),
    FIELD(CommitPair, last_timestamp_ms),
    WHOLE(SlotIdentity),
    FIELD(SlotIdentity, slot_gen),
    FIELD(SlotIdentity, retiring),
    FIELD(SlotIdentity, magic),
    FIELD(SlotIdentity, layout_version),
    FIELD(SlotIdentity, partition_id),
    FIELD(SlotIdentity, log_epoch),
    FIELD(SlotIdentity, data_units),
    FIELD(SlotIdentity, base_set),
    FIELD(SlotIdentity, base_offset),
    FIELD(SlotIdentity, base_timestamp_ms),
    WHOLE(RecordHeader),
    FIELD(RecordHeader, length),
    FIELD(RecordHeader, type),
    FIELD(RecordHeader, flags),
    FIELD(RecordHeader, attribute_bytes),
    FIELD(RecordHeader, offset),
    FIELD(RecordHeader, producer_id),
    FIELD(RecordHeader, sequence),
    FIELD(RecordHeader, timestamp_ms),
    FIELD(RecordHeader, body_hash),
    FIELD(RecordHeader, producer_epoch),
    FIELD(RecordHeader, batch_position),
    FIELD(RecordHeader, key_bytes),
    FIELD(RecordHeader, header_check),
    WHOLE(BoardHeader),
    FIELD(BoardHeader, page),
    FIELD(BoardHeader, topic_id),
    FIELD(BoardHeader, partitions),
    FIELD(BoardHeader, slots),
    FIELD(BoardHeader, slot_bytes),
    FIELD(BoardHeader, flags),
    FIELD(BoardHeader, record_max_bytes),
    FIELD(BoardHeader, stall_limit_ns),
    FIELD(BoardHeader, flush_interval_ns),
    FIELD(BoardHeader, state),
    FIELD(BoardHeader, incarnation),
    FIELD(BoardHeader, sequencer),
    FIELD(BoardHeader, reserved),
    WHOLE(PageHeader),
    FIELD(PageHeader, magic),
    FIELD(PageHeader, layout_version),
    FIELD(PageHeader, size_bytes),
    WHOLE(PartitionBoard),
    FIELD(PartitionBoard, durable_offset),
    FIELD(PartitionBoard, start_offset),
    FIELD(PartitionBoard, partition_id),
    FIELD(PartitionBoard, log_epoch),
    FIELD(PartitionBoard, reserved),
    FIELD(PartitionBoard, lease),
    FIELD(PartitionBoard, open_hint),
    FIELD(PartitionBoard, oldest_hint),
    FIELD(PartitionBoard, readonly),
    FIELD(PartitionBoard, entries),
    WHOLE(SlotEntry),
    FIELD(SlotEntry, n),
    FIELD(SlotEntry, slot_id),
    FIELD(SlotEntry, state),
    FIELD(SlotEntry, reserved),
    WHOLE(KnockHeader),
    FIELD(KnockHeader, page),
    FIELD(KnockHeader, broker),
    WHOLE(KnockLine),
    FIELD(KnockLine, data),
    FIELD(KnockLine, room),
    FIELD(KnockLine, durable),
    WHOLE(SessionHeader),
    FIELD(SessionHeader, page),
    FIELD(SessionHeader, session),
    FIELD(SessionHeader, cells),
    FIELD(SessionHeader, revoked),
    FIELD(SessionHeader, news),
    FIELD(SessionHeader, doorbell),
    FIELD(SessionHeader, polls),
    FIELD(SessionHeader, acquires),
    FIELD(SessionHeader, taken),
    FIELD(SessionHeader, reserved),
    WHOLE(ReaderCell),
    FIELD(ReaderCell, halves),
    FIELD(ReaderCell, pins),
    WHOLE(PositionHalf),
    FIELD(PositionHalf, group_generation),
    FIELD(PositionHalf, log_epoch),
    FIELD(PositionHalf, offset),
    FIELD(PositionHalf, store),
    WHOLE(ProducerCell),
    FIELD(ProducerCell, halves),
    FIELD(ProducerCell, partition_id),
    FIELD(ProducerCell, producer_id),
    WHOLE(SequenceHalf),
    FIELD(SequenceHalf, slot_gen),
    FIELD(SequenceHalf, end_units),
    FIELD(SequenceHalf, sequence),
    WHOLE(Registry),
    FIELD(Registry, page),
    FIELD(Registry, next_slot_id),
    FIELD(Registry, next_lease),
    FIELD(Registry, next_producer_id),
    FIELD(Registry, incarnation),
    FIELD(Registry, log_epoch),
    FIELD(Registry, sessions),
    FIELD(Registry, fences),
    FIELD(Registry, rings),
    WHOLE(RingEntry),
    FIELD(RingEntry, partition_id),
    FIELD(RingEntry, producer_id),
    FIELD(RingEntry, session),
    FIELD(RingEntry, producer_epoch),
    FIELD(RingEntry, data_bytes),
    FIELD(RingEntry, scope),
    WHOLE(IngestHeader),
    FIELD(IngestHeader, page),
    FIELD(IngestHeader, partition_id),
    FIELD(IngestHeader, producer_id),
    FIELD(IngestHeader, data_bytes),
    FIELD(IngestHeader, handed_in),
    FIELD(IngestHeader, answered),
    FIELD(IngestHeader, last_sequence),
    FIELD(IngestHeader, closed),
    FIELD(IngestHeader, answers),
    WHOLE(IngestEntry),
    FIELD(IngestEntry, state),
    FIELD(IngestEntry, data_at),
    FIELD(IngestEntry, data_bytes),
    FIELD(IngestEntry, request_bytes),
    FIELD(IngestEntry, records),
    FIELD(IngestEntry, kind),
    FIELD(IngestEntry, flags),
    FIELD(IngestEntry, sequence),
    FIELD(IngestEntry, expected),
    FIELD(IngestEntry, arguments),
    WHOLE(IngestAnswer),
    FIELD(IngestAnswer, number),
    FIELD(IngestAnswer, code),
    FIELD(IngestAnswer, flags),
    FIELD(IngestAnswer, value),
    FIELD(IngestAnswer, timestamp_ms),
    FIELD(IngestAnswer, extras),
    WHOLE(IngestRecord),
    FIELD(IngestRecord, payload_bytes),
    FIELD(IngestRecord, key_bytes),
    FIELD(IngestRecord, attribute_bytes),
    FIELD(IngestRecord, type),
    FIELD(IngestRecord, flags),
    WHOLE(SessionEntry),
    FIELD(SessionEntry, state),
    FIELD(SessionEntry, pid),
    FIELD(SessionEntry, uid),
    FIELD(SessionEntry, next_cell),
    FIELD(SessionEntry, token),
    FIELD(SessionEntry, name),
    WHOLE(FenceNote),
    FIELD(FenceNote, partition_id),
    FIELD(FenceNote, slot_gen),
    FIELD(FenceNote, session),
    FIELD(FenceNote, tail_units),
    FIELD(FenceNote, slot_id),
    WHOLE(MessageHeader),
    FIELD(MessageHeader, type),
    FIELD(MessageHeader, version),
    FIELD(MessageHeader, request_id),
    FIELD(MessageHeader, error),
    FIELD(MessageHeader, reserved),
    FIELD(MessageHeader, body_bytes),
};

#undef WHOLE
#undef FIELD

struct Document {
  Table places;
  std::map<std::string, unsigned> messages;
};

Document as_written() {
  std::ifstream file("shm/LAYOUT.md");  // tests run in the source root
  Document document;
  const std::regex heading("### (\\w+)"), field(R"(\| (\d+) \| (\d+) \| `(\w+)` \|.*)"),
      whole(R"(\| - \| (\d+) \| \(whole\) \|.*)"), message(R"(\| (\d+) \| `(\w+)` \|.*)");
  std::string line, current;
  while (std::getline(file, line)) {
    std::smatch found;
    if (std::regex_match(line, found, heading)) current = found[1];
    if (std::regex_match(line, found, field))
      document.places[current + "." + found[3].str()] = {std::stoul(found[1]),
                                                         std::stoul(found[2])};
    if (std::regex_match(line, found, whole)) document.places[current] = {0, std::stoul(found[1])};
    if (current == "MessageType" && std::regex_match(line, found, message))
      document.messages[found[2]] = static_cast<unsigned>(std::stoul(found[1]));
  }
  return document;
}

TEST(Layout, DocumentAndStructsSayTheSame) {
  const Table written = as_written().places;
  for (const auto& [name, place] : kCompiled) {
    ASSERT_TRUE(written.contains(name)) << name << " is not in shm/LAYOUT.md";
    EXPECT_EQ(written.at(name), place) << name;
  }
  for (const auto& [name, place] : written)
    EXPECT_TRUE(kCompiled.contains(name)) << name << " is in shm/LAYOUT.md only";
}

TEST(Layout, DocumentNamesEveryMessageByItsNumber) {
  const auto number = [](MessageType type) { return static_cast<unsigned>(type); };
  std::map<std::string, unsigned> compiled{{"Reply", number(MessageType::kReply)}};
#define MESSAGE(name) compiled[#name] = number(name::kType)
  MESSAGE(Hello);
  MESSAGE(OpenTopic);
  MESSAGE(GetSlot);
  MESSAGE(OpenProducer);
  MESSAGE(TakeLease);
  MESSAGE(OpenReader);
  MESSAGE(CloseCell);
  MESSAGE(FindSegment);
  MESSAGE(FindTime);
  MESSAGE(JoinGroup);
  MESSAGE(LeaveGroup);
  MESSAGE(AssignmentDone);
  MESSAGE(CommitDurable);
  MESSAGE(CreateTopic);
  MESSAGE(DeleteTopic);
  MESSAGE(AlterTopic);
  MESSAGE(ListTopics);
  MESSAGE(DescribeTopic);
  MESSAGE(ListGroups);
  MESSAGE(DescribeGroup);
  MESSAGE(SeekGroup);
  MESSAGE(DeleteGroup);
  MESSAGE(Status);
  MESSAGE(ListClients);
  MESSAGE(Goodbye);
  MESSAGE(OpenRing);
  MESSAGE(CloseRing);
  MESSAGE(EndOfEpoch);
  MESSAGE(JoinQueue);
  MESSAGE(LeaveQueue);
  MESSAGE(Settle);
  MESSAGE(Assignment);
  MESSAGE(Notice);
  MESSAGE(ListStreams);
  MESSAGE(OpenDelayed);
  MESSAGE(ListDelayed);
  MESSAGE(CancelDelayed);
  MESSAGE(NameProducer);
  MESSAGE(Grants);
  MESSAGE(Settled);
#undef MESSAGE
  EXPECT_EQ(as_written().messages, compiled);
}

TEST(Word, FieldsDoNotTouchEachOther) {
  const Word word{0xABCD'0000'0000'0000ULL};
  for (const SessionIndex session : {0, 1, 4095}) {
    const Word held = word.with_tail(kMaxTailUnits).acquired_by(session);
    EXPECT_TRUE(held.owned());
    EXPECT_TRUE(held.owned_by(session));
    EXPECT_EQ(held.owner(), session);
    EXPECT_EQ(held.tail_units(), kMaxTailUnits);
    EXPECT_FALSE(held.sealed());
    EXPECT_EQ(held.fence_epoch(), 0xABCD);
    EXPECT_EQ(held.released().with_tail(0), word);
    EXPECT_TRUE(held.with_seal().sealed());
    EXPECT_EQ(held.with_seal().tail_units(), kMaxTailUnits);
  }
  EXPECT_EQ(Word{0xFFFF'0000'0000'0001ULL}.with_next_epoch(), Word{1});  // it goes round
}

TEST(Publication, NamesTheGenerationByItsLower32Bits) {
  const auto published = Publication::of(0x1'0000'0005, Word{}.with_tail(7).with_seal());
  EXPECT_TRUE(published.is_of(0x1'0000'0005));
  EXPECT_FALSE(published.is_of(0x1'0000'0006));
  EXPECT_EQ(published.tail_units(), 7U);
  EXPECT_TRUE(published.sealed());
}

TEST(Pin, IsNeverNothingAndTellsPartitionAndGeneration) {
  EXPECT_NE(pin_of(0, 0), 0U);
  EXPECT_NE(pin_of(1, 0), pin_of(2, 0));
  EXPECT_NE(pin_of(1, 0), pin_of(1, 1));
}

TEST(Lease, HoldsNumberAndHolder) {
  const Lease lease = Lease::of(77, 4095);
  EXPECT_TRUE(lease.held());
  EXPECT_EQ(lease.number(), 77U);
  EXPECT_EQ(lease.holder(), 4095);
  EXPECT_FALSE(Lease{}.held());
}

}  // namespace
}  // namespace mallbots::test
