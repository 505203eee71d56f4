#include "broker/streams/checkpoint_writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/broker/storage/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace mallbots::test {
namespace {

using broker::CheckpointWriter;
using broker::load_checkpoint;
using broker::stream_key;
using broker::StreamState;
using broker::StreamTable;

constexpr PartitionId kPartition{77};
constexpr LogEpoch kEpoch = 4;

class Checkpoints : public testing::Test {
 protected:
  Checkpoints() { std::filesystem::create_directory(folder); }

  /// One event each of the streams [first, end).
  void append(std::uint32_t first, std::uint32_t end) {
    for (std::uint32_t i = first; i < end; ++i) {
      std::array<shm::EventLinks, 1> links;
      const auto key = stream_key(std::to_string(i));
      table.put(key, *broker::with_events(table.state_of(key), log_end, links), log_end + 1);
      ++log_end;
    }
  }
  /// Until the writer does nothing any more by itself.
  void drive(CheckpointWriter& writer, Offset durable) {
    while (writer.duty(durable)) settle(disk);
  }

  TempDir dir;
  std::string folder = dir / "partition";
  std::string path = folder + "/streams";
  std::unique_ptr<broker::Disk> inner = plain_disk(broker::EngineChoice::kThread);
  FaultyDisk disk{*inner};
  StreamTable table;
  Offset log_end = 0;
  CheckpointWriter writer{disk, table, path, kPartition};
};

TEST_F(Checkpoints, ComeBackWhole) {
  append(0, 20'000);
  append(0, 5'000);
  ASSERT_TRUE(writer.begin(kEpoch));
  drive(writer, log_end);
  EXPECT_TRUE(writer.idle());
  EXPECT_EQ(writer.done(), log_end);
  const auto loaded = load_checkpoint(disk, path, kPartition);
  ASSERT_TRUE(loaded) << loaded.error().sentence();
  ASSERT_TRUE(*loaded);
  EXPECT_EQ((*loaded)->from, log_end);
  EXPECT_EQ((*loaded)->end, log_end);
  EXPECT_EQ((*loaded)->log_epoch, kEpoch);
  EXPECT_EQ((*loaded)->index->streams(), 20'000U);
  EXPECT_EQ((*loaded)->index->state_of(stream_key("17")).version, 2U);
  EXPECT_EQ((*loaded)->index->state_of(stream_key("17000")).last(), 17'000U);
}

TEST_F(Checkpoints, AreNeverAheadOfTheDurableLog) {
  append(0, 20'000);
  ASSERT_TRUE(writer.begin(kEpoch));
  ASSERT_TRUE(writer.duty(0));
  append(20'000, 20'500);  // while it is being written
  settle(disk);
  drive(writer, 20'499);
  EXPECT_FALSE(writer.idle());
  EXPECT_FALSE(std::filesystem::exists(path));
  drive(writer, 20'500);
  EXPECT_TRUE(writer.idle());
  const auto loaded = load_checkpoint(disk, path, kPartition);
  ASSERT_TRUE(loaded && *loaded);
  EXPECT_EQ((*loaded)->from, 20'000U);
  EXPECT_EQ((*loaded)->end, 20'500U);
}

TEST_F(Checkpoints, ThatAreNotThereAreNoError) {
  const auto loaded = load_checkpoint(disk, path, kPartition);
  ASSERT_TRUE(loaded);
  EXPECT_FALSE(*loaded);
}

TEST_F(Checkpoints, OfNoStreamsAreWhole) {
  ASSERT_TRUE(writer.begin(kEpoch));
  drive(writer, 0);
  const auto loaded = load_checkpoint(disk, path, kPartition);
  ASSERT_TRUE(loaded && *loaded);
  EXPECT_EQ((*loaded)->index->streams(), 0U);
}

TEST_F(Checkpoints, WithAnyDamageAreRefused) {
  append(0, 5'000);
  ASSERT_TRUE(writer.begin(kEpoch));
  drive(writer, log_end);
  const auto size = std::filesystem::file_size(path);
  std::mt19937_64 dice{7};
  for (int round = 0; round < 50; ++round) {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    const auto at = static_cast<std::streamoff>(dice() % (size - broker::kCheckpointBlockBytes));
    file.seekg(at);
    const char was = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(was ^ 0x10));
    file.close();
    const auto loaded = load_checkpoint(disk, path, kPartition);
    // The zeros behind the entries of a block say nothing, and are not checked.
    if (loaded) {
      EXPECT_EQ((*loaded)->index->streams(), 5'000U);
    } else {
      EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupt);
    }
    std::fstream back{path, std::ios::in | std::ios::out | std::ios::binary};
    back.seekp(at);
    back.put(was);
  }
  for (const auto cut : {size - 1, size - broker::kCheckpointBlockBytes, std::uintmax_t{65'536},
                         std::uintmax_t{1}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(path, cut);
    EXPECT_EQ(load_checkpoint(disk, path, kPartition).error().code, ErrorCode::kCorrupt) << cut;
  }
  EXPECT_EQ(load_checkpoint(disk, path, PartitionId{78}).error().code, ErrorCode::kCorrupt);
}

TEST_F(Checkpoints, FailWithoutHarmAndAreTriedAgain) {
  append(0, 1'000);
  ASSERT_TRUE(writer.begin(kEpoch));
  drive(writer, log_end);
  append(1'000, 2'000);
  for (const auto sort : {Fault::kWrites, Fault::kFlushes, Fault::kFolderSyncs}) {
    disk.clear_faults();
    disk.add({.sort = sort, .effect = Fault::kError});
    ASSERT_TRUE(writer.begin(kEpoch));
    drive(writer, log_end);
    EXPECT_TRUE(writer.idle());
    EXPECT_TRUE(writer.take_failure());
    const auto loaded = load_checkpoint(disk, path, kPartition);
    ASSERT_TRUE(loaded && *loaded);
  }
  disk.clear_faults();
  ASSERT_TRUE(writer.begin(kEpoch));
  drive(writer, log_end);
  EXPECT_FALSE(writer.take_failure());
  EXPECT_EQ(writer.done(), 2'000U);
}

TEST_F(Checkpoints, AreTheOldOrTheNewOneAfterAPowerCutAtAnyMoment) {
  append(0, 20'000);
  disk.record(folder);
  ASSERT_TRUE(writer.begin(kEpoch));
  drive(writer, log_end);
  const std::size_t first_done = disk.now();
  append(10'000, 30'000);
  ASSERT_TRUE(writer.begin(kEpoch));
  ASSERT_TRUE(writer.duty(log_end));
  append(0, 10);
  settle(disk);
  drive(writer, log_end - 1);
  const std::size_t before_durable = disk.now();
  drive(writer, log_end);
  std::mt19937_64 dice{11};
  for (std::size_t moment = 0; moment <= disk.now(); ++moment) {
    for (int round = 0; round < 4; ++round) {
      const TempDir after;
      disk.cut(moment, dice, after.path());
      const auto loaded = load_checkpoint(*inner, after / "streams", kPartition);
      ASSERT_TRUE(loaded) << "moment " << moment << ": " << loaded.error().sentence();
      ASSERT_TRUE(moment < first_done || *loaded) << "moment " << moment;
      if (!*loaded) continue;
      const bool is_new = (*loaded)->from != 20'000;
      ASSERT_TRUE(!is_new || moment > before_durable) << "moment " << moment;
      ASSERT_EQ((*loaded)->index->streams(), is_new ? 30'000U : 20'000U);
      ASSERT_TRUE(moment != disk.now() || is_new);
    }
  }
}

}  // namespace
}  // namespace mallbots::test
