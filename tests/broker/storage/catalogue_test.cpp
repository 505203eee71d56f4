#include "broker/storage/catalogue.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>

#include "tests/broker/storage/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace mallbots::test {
namespace {

using broker::Catalogue;
using broker::TopicEntry;

bool same(const Catalogue& a, const Catalogue& b) {
  const auto equal = [](const TopicEntry& x, const TopicEntry& y) {
    return x.id == y.id && x.name == y.name && x.state == y.state && x.created_ms == y.created_ms &&
           x.partitions == y.partitions && x.settings == y.settings;
  };
  return std::ranges::equal(a.topics, b.topics, equal);
}

TopicEntry topic(const std::string& name, std::uint64_t id) {
  TopicEntry entry;
  entry.id = TopicId{id};
  entry.name = name;
  entry.created_ms = 1234;
  entry.partitions = {PartitionId{id * 10}, PartitionId{id * 10 + 1}};
  entry.settings = {{"segment.bytes", "67108864"}, {"unknown.key", "kept"}};
  return entry;
}

RC_GTEST_PROP(Catalogue, ComesBackAsItWasSaved,
              (std::vector<std::pair<std::string, std::vector<std::uint64_t>>> topics)) {
  Catalogue catalogue;
  for (const auto& [name, partitions] : topics) {
    TopicEntry entry = topic(name, catalogue.topics.size() + 1);
    entry.partitions.clear();
    for (const auto id : partitions) entry.partitions.push_back(PartitionId{id});
    catalogue.topics.push_back(entry);
  }
  const auto decoded = broker::decode_catalogue(broker::encode_catalogue(catalogue));
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(same(*decoded, catalogue));
}

TEST(Catalogue, EveryFlippedBitAndEveryShortFileIsCorrupt) {
  Catalogue catalogue;
  catalogue.topics = {topic("orders", 1), topic("bots", 2)};
  const auto bytes = broker::encode_catalogue(catalogue);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto decoded = broker::decode_catalogue(damaged);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
  }
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    ASSERT_FALSE(broker::decode_catalogue(std::span(bytes).first(n)));
  }
}

TEST(Catalogue, AMissingFileIsCorruptNotEmpty) {
  TempDir dir;
  auto disk = plain_disk(broker::EngineChoice::kThread);
  const auto data = broker::open_data_directory(*disk, dir / "data");
  ASSERT_TRUE(data);
  EXPECT_TRUE(broker::load_catalogue(*disk, *data)->topics.empty());
  std::filesystem::remove(data->catalogue_path());
  const auto missing = broker::load_catalogue(*disk, *data);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kCorrupt);
}

TEST(Catalogue, PowerCutsLeaveTheOldListOrTheNew) {
  TempDir dir;
  auto disk = plain_disk(broker::EngineChoice::kThread);
  FaultyDisk recording{*disk};
  const auto data = broker::open_data_directory(recording, dir / "data");
  ASSERT_TRUE(data);
  recording.record(dir / "data");
  Catalogue catalogue;
  std::vector<std::pair<std::size_t, std::size_t>> promises{{0, 0}};
  for (std::uint64_t i = 1; i <= 5; ++i) {
    catalogue.topics.push_back(topic("t" + std::to_string(i), i));
    ASSERT_TRUE(broker::save_catalogue(recording, *data, catalogue));
    promises.emplace_back(recording.now(), i);
  }
  std::mt19937_64 dice(5);
  for (std::size_t moment = 0; moment <= recording.now(); ++moment) {
    const std::string into = dir / ("cut" + std::to_string(moment));
    std::filesystem::create_directories(into);
    recording.cut(moment, dice, into);
    broker::DataDirectory cut;
    cut.path = into;
    const auto loaded = broker::load_catalogue(*disk, cut);
    ASSERT_TRUE(loaded) << loaded.error().sentence();
    std::size_t promised = 0;
    for (const auto& [when, topics] : promises) {
      if (when <= moment) promised = topics;
    }
    EXPECT_GE(loaded->topics.size(), promised);
    EXPECT_LE(loaded->topics.size(), promised + 1);
  }
}

TEST(Catalogue, TopicFoldersThatNobodyNamesAreReportedAndKept) {
  TempDir dir;
  auto disk = plain_disk(broker::EngineChoice::kThread);
  const auto data = broker::open_data_directory(*disk, dir / "data");
  ASSERT_TRUE(data);
  ASSERT_TRUE(broker::make_topic_folders(*disk, *data, TopicId{1}, 1));
  ASSERT_TRUE(broker::make_topic_folders(*disk, *data, TopicId{2}, 1));
  Catalogue catalogue;
  catalogue.topics = {topic("known", 1)};
  const auto unknown = broker::unknown_topic_folders(*disk, *data, catalogue);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(*unknown, (std::vector<std::string>{data->topic_folder(TopicId{2})}));
  EXPECT_TRUE(std::filesystem::exists(unknown->front()));
}

}  // namespace
}  // namespace mallbots::test
