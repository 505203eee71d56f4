// The database of a service: what is in it after a commit, an error, an exception.
#include "clients/toolkit/store/database.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "clients/message.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using toolkit::Database;
using toolkit::Transaction;

/// Every promise holds for a file and for its double in memory.
class DatabaseTest : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<Database> open() {
    auto database = Database::open({.path = GetParam() ? dir_ / "service.db" : ""});
    EXPECT_TRUE(database) << database.error().sentence();
    EXPECT_TRUE((*database)->ensure("create table if not exists t (id integer primary key, x)"));
    return std::move(*database);
  }
  static std::int64_t count(Database& database) {
    return database.read("select count(*) from t")->front().integer(0);
  }
  static Result<void> insert(Transaction& transaction, int number) {
    MALLBOTS_TRY(transaction.run("insert into t (x) values (?)", {number}));
    return {};
  }
  TempDir dir_;
};
INSTANTIATE_TEST_SUITE_P(Stores, DatabaseTest, testing::Values(true, false),
                         [](const auto& of) { return of.param ? "File" : "Memory"; });

TEST_P(DatabaseTest, ACommitIsSeenAndAMissingOneLeavesNothing) {
  const auto database = open();
  {
    auto transaction = database->begin();
    ASSERT_TRUE(insert(*transaction, 1));
  }
  EXPECT_EQ(count(*database), 0);
  auto transaction = database->begin();
  ASSERT_TRUE(insert(*transaction, 2));
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(count(*database), 1);
  EXPECT_EQ(transaction->commit().error().code, ErrorCode::kBadArgument);
}

TEST_P(DatabaseTest, AnErrorOrAnExceptionOfTheBodyRollsBack) {
  const auto database = open();
  const auto refused = database->transact([](Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(insert(transaction, 1));
    return fail(ErrorCode::kRefused, "no seats");
  });
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THROW(static_cast<void>(database->transact([](Transaction& transaction) -> Result<void> {
                 MALLBOTS_TRY(insert(transaction, 1));
                 throw std::runtime_error{"a bug"};
               })),
               std::runtime_error);
  EXPECT_EQ(count(*database), 0);
  EXPECT_TRUE(database->transact([](Transaction& transaction) { return insert(transaction, 3); }));
  EXPECT_EQ(count(*database), 1);
}

TEST_P(DatabaseTest, AnAttemptThatFailsIsUndoneAndTheTransactionGoesOn) {
  const auto database = open();
  const auto done = database->transact([](Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(insert(transaction, 1));
    const auto attempt = transaction.attempt([&]() -> Result<void> {
      MALLBOTS_TRY(insert(transaction, 2));
      return fail(ErrorCode::kRefused);
    });
    EXPECT_EQ(attempt.error().code, ErrorCode::kRefused);
    return insert(transaction, 3);
  });
  EXPECT_TRUE(done);
  const auto rows = database->read("select x from t order by x");
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ(rows->at(1).integer(0), 3);
}

TEST_P(DatabaseTest, ABadStatementNamesItself) {
  const auto database = open();
  const auto bad = database->read("select nothing from nowhere");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ErrorCode::kStoreFailed);
  EXPECT_NE(bad.error().detail.find("nowhere"), std::string::npos);
  const auto twice = database->transact([](Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(transaction.run("insert into t values (7, 0)"));
    MALLBOTS_TRY(transaction.run("insert into t values (7, 0)"));
    return {};
  });
  EXPECT_EQ(twice.error().code, ErrorCode::kStoreFailed);
  EXPECT_EQ(count(*database), 0);
}

TEST_P(DatabaseTest, ATransactionInsideATransactionIsRefusedAndNotADeadlock) {
  const auto database = open();
  auto transaction = database->begin();
  ASSERT_TRUE(transaction);
  EXPECT_EQ(database->begin().error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(database->read("select 1").error().code, ErrorCode::kBadArgument);
}

TEST_P(DatabaseTest, ValuesComeBackAsTheyWere) {
  const auto database = open();
  const std::string bytes{"a\0b", 3};
  const auto row =
      database->read("select ?, ?, ?, ?, ?", {-5, 2.5, "text", client::as_bytes(bytes), nullptr});
  ASSERT_TRUE(row) << row.error().sentence();
  EXPECT_EQ(row->front().integer(0), -5);
  EXPECT_EQ(row->front().real(1), 2.5);
  EXPECT_EQ(row->front().text(2), "text");
  EXPECT_EQ(row->front().text(3), bytes);
  EXPECT_TRUE(row->front().is_null(4));
}

TEST_P(DatabaseTest, WhoCommitsLaterHasTheHigherRowNumber) {
  // M10.5: ids are given under the one write lock, so no reader can pass a row that comes later.
  const auto database = open();
  std::vector<std::jthread> threads;
  std::mutex mutex;
  std::vector<std::int64_t> order;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        const auto done = database->transact([&](Transaction& transaction) -> Result<void> {
          MALLBOTS_TRY(insert(transaction, i));
          const auto id = transaction.rows("select last_insert_rowid()");
          if ((i + round) % 4 == 0) return fail(ErrorCode::kRefused);
          const std::scoped_lock lock{mutex};
          order.push_back(id->front().integer(0));
          return {};
        });
        EXPECT_TRUE(done || done.error().code == ErrorCode::kRefused);
      }
    });
  }
  threads.clear();
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_EQ(count(*database), 120);
}

TEST(Database, ASecondProcessIsRefusedUntilTheFirstIsGone) {
  const TempDir dir;
  auto mine = Database::open({.path = dir / "service.db"});
  ASSERT_TRUE(mine);
  const auto second = [&] {
    auto child = Process::call([&] {
      const auto theirs = Database::open({.path = dir / "service.db"});
      if (theirs) return 0;
      return theirs.error().code == ErrorCode::kInUse ? 7 : 1;
    });
    return child.wait().exit_code;
  };
  EXPECT_EQ(second(), 7);
  mine->reset();
  EXPECT_EQ(second(), 0);
}

TEST(Database, ReadersSeeWhatIsCommittedWhileSomebodyWrites) {
  const TempDir dir;
  const auto database = Database::open({.path = dir / "service.db"}).value();
  ASSERT_TRUE(database->ensure("create table t (x); insert into t values (1)"));
  auto transaction = database->begin();
  ASSERT_TRUE(transaction->run("insert into t values (2)"));
  std::jthread{[&] {
    EXPECT_EQ(database->read("select count(*) from t")->front().integer(0), 1);
  }}.join();
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(database->read("select count(*) from t")->front().integer(0), 2);
}

TEST(Database, AFileThatIsNoDatabaseIsCorrupt) {
  const TempDir dir;
  {
    std::ofstream{dir / "service.db"} << std::string(4096, 'x');
  }
  const auto opened = Database::open({.path = dir / "service.db"});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Database::open({.path = dir / "none/service.db"}).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace mallbots::test
