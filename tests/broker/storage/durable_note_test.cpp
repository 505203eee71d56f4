#include "broker/storage/durable_note.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using broker::DurableNote;
using broker::NoteValue;

NoteValue value(Offset offset) {
  return {{offset, offset + 1, offset + 2, static_cast<UnixMillis>(offset + 3)},
          offset + 4,
          offset + 5,
          static_cast<std::uint32_t>(offset + 6)};
}

TEST(DurableNote, GivesBackTheLastValueAndNothingBeforeTheFirst) {
  DurableNote note{};
  EXPECT_FALSE(broker::load_note(note));
  for (Offset i = 1; i < 5; ++i) {
    broker::store_note(note, value(i));
    const auto loaded = broker::load_note(note);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->point, value(i).point);
    EXPECT_EQ(loaded->records, i + 4);
    EXPECT_EQ(loaded->slot_gen, i + 5);
    EXPECT_EQ(loaded->units, i + 6);
  }
}

TEST(DurableNote, AWriterThatDiesHalfWayLeavesTheValueBefore) {
  DurableNote note{};
  broker::store_note(note, value(1));
  broker::store_note(note, value(2));
  // The half that the next store would fill, with everything but its number.
  broker::NoteHalf& older = note.halves[note.halves[0].store < note.halves[1].store ? 0 : 1];
  older.offset = 999;
  older.units = 999;
  EXPECT_EQ(broker::load_note(note)->point, value(2).point);
}

}  // namespace
}  // namespace mallbots::test
