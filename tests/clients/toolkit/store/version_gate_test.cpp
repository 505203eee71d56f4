// M12.3: versions of one entity, whatever order they come in.
#include "clients/toolkit/store/version_gate.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using toolkit::Entry;

TEST(VersionGate, AGapIsNotAppliedThenFilledAndStaleOnesArePassed) {
  const auto database = toolkit::Database::open().value();
  const auto gate = toolkit::VersionGate::open(*database, "g").value();
  const auto enter = [&](const char* entity, std::int64_t version) {
    return database->transact([&](toolkit::Transaction& transaction) {
      return gate->enter(transaction, entity, version);
    });
  };
  EXPECT_EQ(enter("a", 1), Entry::kNext);
  EXPECT_EQ(enter("a", 3), Entry::kGap);
  EXPECT_EQ(enter("b", 1), Entry::kNext);
  EXPECT_EQ(enter("a", 2), Entry::kNext);
  EXPECT_EQ(enter("a", 3), Entry::kNext);
  EXPECT_EQ(enter("a", 3), Entry::kStale);
  EXPECT_EQ(enter("a", 1), Entry::kStale);
}

TEST(VersionGate, AnEntryOfATransactionThatFailsIsNone) {
  const auto database = toolkit::Database::open().value();
  const auto gate = toolkit::VersionGate::open(*database, "g").value();
  {
    auto transaction = database->begin();
    EXPECT_EQ(gate->enter(*transaction, "a", 1), Entry::kNext);
  }
  auto transaction = database->begin();
  EXPECT_EQ(gate->enter(*transaction, "a", 1), Entry::kNext);
}

}  // namespace
}  // namespace mallbots::test
