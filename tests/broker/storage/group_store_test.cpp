#include "broker/storage/group_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/broker/storage/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace mallbots::test {
namespace {

using broker::GroupKey;
using broker::GroupStore;

class Told final : public broker::GroupStoreListener {
 public:
  void flush_done(std::uint64_t ticket, const Error* error) override {
    last = ticket;
    if (error != nullptr) errors.push_back(*error);
  }
  std::uint64_t last = 0;
  std::vector<Error> errors;
};

constexpr TopicId kTopic{5};

class Groups : public testing::Test {
 protected:
  Groups() { std::filesystem::create_directory(folder); }
  std::unique_ptr<GroupStore> open(BootNanos retry_ns = 1) {
    auto store = GroupStore::open(disk, folder, told,
                                  {.retry_first_ns = retry_ns, .retry_last_ns = 2 * retry_ns});
    EXPECT_TRUE(store) << store.error().sentence();
    return std::move(*store);
  }
  void flush(GroupStore& store) {
    store.flush();
    settle(disk);
  }
  std::optional<Offset> position(const GroupStore& store, const std::string& group,
                                 PartitionIndex partition = 0) {
    const auto it = store.groups().find(group);
    if (it == store.groups().end()) return std::nullopt;
    const auto found = it->second.positions.find({kTopic, partition});
    if (found == it->second.positions.end()) return std::nullopt;
    return found->second.offset;
  }

  TempDir dir;
  std::string folder = dir / "groups";
  std::unique_ptr<broker::Disk> inner = plain_disk(broker::EngineChoice::kThread);
  FaultyDisk disk{*inner};
  Told told;
};

TEST_F(Groups, PositionsSurviveAStartAndRemovalsToo) {
  {
    auto store = open();
    store->set_generation("till", 7);
    for (PartitionIndex p = 0; p < 300; ++p) store->set({"till", kTopic, p}, {1, p + 10}, 1000);
    store->set({"gone", kTopic, 0}, {1, 3}, 1000);
    flush(*store);
    store->set({"till", kTopic, 5}, {2, 500}, 1000);
    store->remove_position({"till", kTopic, 6});
    store->remove_group("gone");
    flush(*store);
  }
  auto store = open();
  EXPECT_EQ(store->groups().at("till").generation, 7U);
  EXPECT_EQ(store->groups().at("till").positions.size(), 299U);
  EXPECT_EQ(position(*store, "till", 5), 500U);
  EXPECT_EQ(store->groups().at("till").positions.at({kTopic, 5}).log_epoch, 2U);
  EXPECT_EQ(position(*store, "till", 6), std::nullopt);
  EXPECT_FALSE(store->groups().contains("gone"));
  EXPECT_EQ(store->damage(), "");
}

TEST_F(Groups, APositionNeverLiesAboveTheDurableOne) {
  auto store = open();
  store->set({"till", kTopic, 0}, {1, 90}, 40);
  EXPECT_EQ(position(*store, "till"), 40U);
}

TEST_F(Groups, AGroupMadeAnewHasNothingOfTheOldOne) {
  {
    auto store = open();
    store->set({"till", kTopic, 0}, {1, 10}, 1000);
    store->set({"till", kTopic, 1}, {1, 11}, 1000);
    flush(*store);
    store->remove_group("till");
    store->set({"till", kTopic, 1}, {1, 2}, 1000);
    flush(*store);
  }
  auto store = open();
  EXPECT_EQ(position(*store, "till", 0), std::nullopt);
  EXPECT_EQ(position(*store, "till", 1), 2U);
}

TEST_F(Groups, ADeletedTopicTakesItsPositionsAlong) {
  {
    auto store = open();
    store->set({"till", kTopic, 0}, {1, 10}, 1000);
    store->set({"till", TopicId{6}, 0}, {1, 20}, 1000);
    flush(*store);
    store->remove_topic(kTopic);
    flush(*store);
  }
  auto store = open();
  EXPECT_EQ(position(*store, "till"), std::nullopt);
  EXPECT_EQ(store->groups().at("till").positions.size(), 1U);
}

TEST_F(Groups, AFailedFlushIsSaidNotRepeatedAndMadeGoodInAFreshFile) {
  auto store = open();
  store->set({"till", kTopic, 0}, {1, 1}, 1000);
  flush(*store);
  for (const auto effect : {Fault::kError, Fault::kErrorAfter, Fault::kTornError}) {
    disk.clear_faults();
    disk.add({Fault::kWrites, disk.writes() + 1, disk.writes() + 1, effect, EIO});
    told.errors.clear();
    store->set({"till", kTopic, 0}, {1, 50}, 1000);
    flush(*store);
    EXPECT_EQ(told.errors.size(), 1U);
    EXPECT_TRUE(store->dirty());
    flush(*store);
    EXPECT_FALSE(store->dirty());
    EXPECT_EQ(told.errors.size(), 1U);
    EXPECT_EQ(position(*open(), "till"), 50U);
    store->set({"till", kTopic, 0}, {1, 1}, 1000);
    flush(*store);
  }
  EXPECT_EQ(disk.flushes_after_failure(), 0U);
}

TEST_F(Groups, FlushesThatFailLeaveOneFileAtMost) {
  auto store = open();
  store->set({"till", kTopic, 0}, {1, 1}, 1000);
  flush(*store);
  disk.add({Fault::kWrites, disk.writes() + 1, ~0ULL, Fault::kError, ENOSPC});
  store->set({"till", kTopic, 0}, {1, 2}, 1000);
  for (int i = 0; i < 100; ++i) {
    store->flush();
    disk.reap();
  }
  EXPECT_GT(told.errors.size(), 2U);
  EXPECT_EQ(*inner->list(folder), (std::vector<std::string>{"groups.1", "groups.2.new"}));
  EXPECT_EQ(position(*open(), "till"), 1U);
  disk.clear_faults();
  while (store->dirty()) flush(*store);
  EXPECT_EQ(*inner->list(folder), std::vector<std::string>{"groups.2"});
  EXPECT_EQ(position(*open(), "till"), 2U);
  EXPECT_EQ(disk.flushes_after_failure(), 0U);
}

TEST_F(Groups, AFolderThatCannotBeSyncedLeavesTheLastDurableFileInPlace) {
  auto store = open();
  store->set({"till", kTopic, 0}, {1, 1}, 1000);
  flush(*store);
  disk.add({Fault::kWrites, disk.writes() + 1, disk.writes() + 1, Fault::kError, EIO});
  store->set({"till", kTopic, 0}, {1, 2}, 1000);
  flush(*store);
  disk.fail_folder_syncs(EIO);
  while (told.errors.size() < 10) flush(*store);
  EXPECT_EQ(*inner->list(folder), (std::vector<std::string>{"groups.1", "groups.2"}));
  disk.fail_folder_syncs(0);
  while (store->dirty()) flush(*store);
  EXPECT_EQ(*inner->list(folder), std::vector<std::string>{"groups.2"});
  EXPECT_EQ(position(*open(), "till"), 2U);
}

TEST_F(Groups, WaitsBeforeItTriesAgain) {
  auto store = open(3600 * kSecond);
  disk.fail_control(EIO);
  store->set({"till", kTopic, 0}, {1, 1}, 1000);
  flush(*store);
  EXPECT_EQ(told.errors.size(), 1U);
  EXPECT_GT(store->retry_at(), boot_now_ns());
  disk.fail_control(0);
  flush(*store);
  EXPECT_TRUE(store->dirty());
  EXPECT_EQ(told.errors.size(), 1U);
}

TEST_F(Groups, ARemovalWhoseFlushFailedIsNotForgotten) {
  auto store = open();
  for (const auto effect : {Fault::kError, Fault::kErrorAfter, Fault::kTornError}) {
    store->set({"till", kTopic, 0}, {1, 1}, 1000);
    flush(*store);
    disk.clear_faults();
    disk.add({Fault::kWrites, disk.writes() + 1, disk.writes() + 1, effect, EIO});
    store->remove_group("till");
    flush(*store);
    EXPECT_TRUE(store->dirty());
    flush(*store);
    EXPECT_FALSE(store->dirty());
    EXPECT_TRUE(open()->groups().empty());
  }
}

TEST_F(Groups, ATornLastBlockLosesItsChangesOnly) {
  auto store = open();
  store->set({"till", kTopic, 0}, {1, 1}, 1000);
  flush(*store);
  store->set({"till", kTopic, 0}, {1, 2}, 1000);
  flush(*store);
  const std::string path = folder + "/groups.1";
  ASSERT_EQ(std::filesystem::file_size(path), 8192U);
  std::filesystem::resize_file(path, 4096 + 60);
  EXPECT_EQ(position(*open(), "till"), 1U);
  std::filesystem::resize_file(path, 8192);
  EXPECT_EQ(position(*open(), "till"), 1U);
}

TEST_F(Groups, ADamagedBlockIsSaidAndTheRestIsKept) {
  {
    auto store = open();
    for (PartitionIndex p = 0; p < 400; ++p) store->set({"till", kTopic, p}, {1, p}, 1000);
    flush(*store);
  }
  const std::string path = folder + "/groups.1";
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 100);
  file.put('!');
  file.close();
  auto store = open();
  EXPECT_NE(store->damage().find(path), std::string::npos);
  EXPECT_GT(store->groups().at("till").positions.size(), 200U);
}

TEST_F(Groups, NothingReadableIsCorruptNotEmpty) {
  std::ofstream(folder + "/groups.3") << std::string(8192, 'x');
  const auto store = GroupStore::open(disk, folder, told);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(std::filesystem::exists(folder + "/groups.3"));
}

TEST_F(Groups, GrowsNoLargerThanAFewTimesWhatItHolds) {
  auto store = open();
  for (Offset i = 1; i < 2500; ++i) {
    store->set({"till", kTopic, 0}, {1, i}, 10'000);
    flush(*store);
  }
  std::uintmax_t bytes = 0;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    bytes += entry.file_size();
    ++files;
  }
  EXPECT_EQ(files, 1);
  EXPECT_LT(bytes, 5U << 20);
  EXPECT_EQ(position(*open(), "till"), 2499U);
}

TEST_F(Groups, PowerCutsKeepEveryFlushedPosition) {
  disk.record(folder);
  std::vector<std::pair<std::size_t, Offset>> promises{{0, 0}};
  {
    auto store = open();
    for (Offset i = 1; i <= 60; ++i) {
      store->set({"till", kTopic, 0}, {1, i}, 1000);
      for (PartitionIndex p = 1; p < i * 3; ++p) store->set({"till", kTopic, p}, {1, i}, 1000);
      flush(*store);
      promises.emplace_back(disk.now(), i);
    }
  }
  std::mt19937_64 dice(3);
  for (int state = 0; state < 120; ++state) {
    const std::size_t moment = dice() % (disk.now() + 1);
    const std::string into = dir / ("cut" + std::to_string(state));
    std::filesystem::create_directories(into);
    disk.cut(moment, dice, into);
    Offset promised = 0;
    for (const auto& [when, value] : promises) {
      if (when <= moment) promised = value;
    }
    auto store = GroupStore::open(*inner, into, told);
    ASSERT_TRUE(store) << store.error().sentence();
    EXPECT_GE(position(**store, "till").value_or(0), promised) << "state " << state;
    std::filesystem::remove_all(into);
  }
}

}  // namespace
}  // namespace mallbots::test
