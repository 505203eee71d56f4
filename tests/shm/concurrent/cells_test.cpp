#include "shm/concurrent/cells.h"

#include <gtest/gtest.h>

#include "tests/shm/steps.h"

namespace mallbots::test {
namespace {

TEST(ReaderCell, HasNoPositionBeforeTheFirstStore) {
  shm::ReaderCell cell{};
  EXPECT_FALSE(shm::load_position(cell).has_value());
}

TEST(ReaderCell, LatestStoreCountsAlsoWhenItGoesBack) {
  shm::ReaderCell cell{};
  for (const Offset offset : {10, 20, 5, 30}) {
    shm::store_position(cell, 3, {1, offset});
    EXPECT_EQ(shm::load_position(cell)->position, (Position{1, offset}));
  }
  EXPECT_EQ(shm::load_position(cell)->store, 4U);
  EXPECT_EQ(shm::load_position(cell)->group_generation, 3U);
}

TEST(ReaderCell, ConsumerThatDiesAtAnyStepOfACommitLeavesTheOldOrTheNewPosition) {
  for (const int before : {0, 1, 2, 3}) {
    bool ended = false;
    for (int visit = 0; !ended; ++visit) {
      shm::ReaderCell cell{};
      for (int i = 1; i <= before; ++i) shm::store_position(cell, 1, {1, static_cast<Offset>(i)});
      const std::string where = die_at({visit, {}}, [&] { shm::store_position(cell, 2, {2, 77}); });
      ended = where.empty();
      const auto stored = shm::load_position(cell);
      if (ended) {
        ASSERT_EQ(stored->position, (Position{2, 77}));
      } else if (before == 0) {
        ASSERT_FALSE(stored.has_value()) << where;
      } else {
        ASSERT_EQ(stored->position, (Position{1, static_cast<Offset>(before)})) << where;
      }
      // Its heir stores on top of whatever was left.
      shm::store_position(cell, 3, {3, 88});
      ASSERT_EQ(shm::load_position(cell)->position, (Position{3, 88}));
    }
  }
}

TEST(ReaderCell, ClearedCellHoldsNothing) {
  shm::ReaderCell cell{};
  shm::store_position(cell, 1, {1, 10});
  cell.pins[1].store(shm::pin_of(1, 5));
  shm::clear_cell(cell);
  EXPECT_FALSE(shm::load_position(cell).has_value());
  EXPECT_FALSE(shm::is_pinned(cell, shm::pin_of(1, 5)));
}

TEST(ReaderCell, OnlyTheNamedPinIsTakenAway) {
  shm::ReaderCell cell{};
  cell.pins[0].store(shm::pin_of(1, 5));
  cell.pins[1].store(shm::pin_of(1, 6));
  shm::revoke_pin(cell, shm::pin_of(1, 5));
  EXPECT_FALSE(shm::is_pinned(cell, shm::pin_of(1, 5)));
  EXPECT_TRUE(shm::is_pinned(cell, shm::pin_of(1, 6)));
}

TEST(ReaderCell, CommitIntoATakenCellIsRefused) {
  shm::SessionHeader header{};
  shm::ReaderCell reader{};
  for (const std::uint32_t cell : {0U, 63U, 64U, shm::kSessionCells - 1}) {
    EXPECT_TRUE(shm::commit_position(header, cell, reader, {1, {1, 10}}));
    shm::take_cell(header, cell);
    EXPECT_FALSE(shm::commit_position(header, cell, reader, {1, {1, 20}}));
  }
  EXPECT_FALSE(shm::is_cell_taken(header, 1)) << "its neighbour is not taken";
  header.revoked.store(1);
  EXPECT_TRUE(shm::is_cell_taken(header, 1));
}

TEST(ProducerCell, HalvesStandForThemselves) {
  shm::ProducerCell cell{};
  EXPECT_FALSE(shm::load_sequence(cell, 0).has_value());
  shm::store_sequence(cell, 0, {.slot_gen = 4, .end_units = 9, .sequence = 7});
  shm::store_sequence(cell, 1, {.slot_gen = 4, .end_units = 12, .sequence = 8});
  EXPECT_EQ(shm::load_sequence(cell, 0)->sequence, 7U);
  EXPECT_EQ(shm::load_sequence(cell, 1)->end_units, 12U);
  shm::void_sequence(cell, 1);
  EXPECT_FALSE(shm::load_sequence(cell, 1).has_value());
  EXPECT_EQ(shm::load_sequence(cell, 0)->slot_gen, 4U);
}

}  // namespace
}  // namespace mallbots::test
