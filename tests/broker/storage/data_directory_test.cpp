#include "broker/storage/data_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "broker/storage/catalogue.h"
#include "tests/broker/storage/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace mallbots::test {
namespace {

using broker::open_data_directory;

class DataDirectory : public testing::Test {
 protected:
  TempDir dir;
  std::unique_ptr<broker::Disk> disk = plain_disk(broker::EngineChoice::kThread);
};

TEST_F(DataDirectory, IsMadeOnceAndKnownAgain) {
  std::uint64_t id = 0;
  {
    const auto data = open_data_directory(*disk, dir / "data");
    ASSERT_TRUE(data) << data.error().sentence();
    EXPECT_TRUE(data->created);
    id = data->instance_id;
    EXPECT_NE(id, 0U);
  }
  const auto data = open_data_directory(*disk, dir / "data");
  ASSERT_TRUE(data);
  EXPECT_FALSE(data->created);
  EXPECT_EQ(data->instance_id, id);
  struct stat info{};
  ASSERT_EQ(::stat((dir / "data").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST_F(DataDirectory, ADirectoryWithoutMarkerIsRefusedUnlessEmpty) {
  std::filesystem::create_directory(dir / "data");
  std::filesystem::permissions(dir / "data", std::filesystem::perms::owner_all);
  std::filesystem::create_directory(dir / "data/lost+found");
  {
    EXPECT_TRUE(open_data_directory(*disk, dir / "data")) << "a fresh file system";
  }
  std::filesystem::remove(dir / "data/MALLBOTS");
  const auto data = open_data_directory(*disk, dir / "data");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code, ErrorCode::kNoMarker);
  EXPECT_NE(data.error().detail.find(dir / "data"), std::string::npos);
}

TEST_F(DataDirectory, OpenToOthersOrOfAnotherUserIsRefused) {
  std::filesystem::create_directory(dir / "data");
  ::chmod((dir / "data").c_str(), 0755);
  auto data = open_data_directory(*disk, dir / "data");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code, ErrorCode::kWrongOwner);
  EXPECT_NE(data.error().detail.find("0755"), std::string::npos);
  ::chmod((dir / "data").c_str(), 0700);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown((dir / "data").c_str(), 65534, 65534), 0);
    data = open_data_directory(*disk, dir / "data");
    ASSERT_FALSE(data);
    EXPECT_EQ(data.error().code, ErrorCode::kWrongOwner);
    ASSERT_EQ(::chown((dir / "data").c_str(), 0, 0), 0);
  }
  std::ofstream(dir / "file") << "x";
  EXPECT_EQ(open_data_directory(*disk, dir / "file").error().code, ErrorCode::kWrongOwner);
}

TEST_F(DataDirectory, ASecondBrokerIsRefusedAndToldWhoHasIt) {
  auto first = open_data_directory(*disk, dir / "data");
  ASSERT_TRUE(first);
  const auto second = open_data_directory(*disk, dir / "data");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInUse);
  EXPECT_NE(second.error().detail.find(std::to_string(::getpid())), std::string::npos);
  first->lock.reset();
  EXPECT_TRUE(open_data_directory(*disk, dir / "data"));
}

TEST_F(DataDirectory, AnotherFormatVersionIsRefused) {
  {
    ASSERT_TRUE(open_data_directory(*disk, dir / "data"));
  }
  std::fstream file(dir / "data/MALLBOTS", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(8);
  file.put(9);
  file.close();
  EXPECT_EQ(open_data_directory(*disk, dir / "data").error().code, ErrorCode::kCorrupt)
      << "a version that the checksum does not cover is damage";
}

TEST_F(DataDirectory, TheCleanMarkIsTakenOnce) {
  auto data = open_data_directory(*disk, dir / "data");
  ASSERT_TRUE(data);
  EXPECT_EQ(broker::take_clean_mark(*disk, *data).value(), std::nullopt);
  ASSERT_TRUE(broker::write_clean_mark(*disk, *data, 4));
  EXPECT_EQ(broker::take_clean_mark(*disk, *data).value(), LogEpoch{4});
  EXPECT_EQ(broker::take_clean_mark(*disk, *data).value(), std::nullopt);
  std::ofstream(dir / "data/CLEAN") << "rubbish";
  EXPECT_EQ(broker::take_clean_mark(*disk, *data).value(), std::nullopt) << "no mark: unclean";
}

TEST_F(DataDirectory, TopicFoldersComeAndGoAlsoAfterACrashHalfWay) {
  auto data = open_data_directory(*disk, dir / "data");
  ASSERT_TRUE(data);
  const TopicId topic{0xABC};
  for (int twice = 0; twice < 2; ++twice) {
    ASSERT_TRUE(broker::make_topic_folders(*disk, *data, topic, 3));
  }
  EXPECT_TRUE(std::filesystem::is_directory(data->partition_folder(topic, 2)));
  std::ofstream(data->partition_folder(topic, 1) + "/0000000001.seg") << "x";
  std::filesystem::remove(data->partition_folder(topic, 0));
  for (int twice = 0; twice < 2; ++twice) {
    ASSERT_TRUE(broker::remove_topic_folders(*disk, *data, topic));
  }
  EXPECT_FALSE(std::filesystem::exists(data->topic_folder(topic)));
}

TEST_F(DataDirectory, PowerCutsWhileItIsMadeLeaveItUsable) {
  FaultyDisk recording{*disk};
  std::filesystem::create_directory(dir / "root");
  recording.record(dir / "root");
  {
    ASSERT_TRUE(open_data_directory(recording, dir / "root/data"));
  }
  std::mt19937_64 dice(1);
  for (std::size_t moment = 0; moment <= recording.now(); ++moment) {
    for (int i = 0; i < 6; ++i) {
      const std::string into = dir / ("cut" + std::to_string(moment) + "-" + std::to_string(i));
      std::filesystem::create_directories(into);
      recording.cut(moment, dice, into);
      if (std::filesystem::exists(into + "/data")) ::chmod((into + "/data").c_str(), 0700);
      auto data = open_data_directory(*disk, into + "/data");
      ASSERT_TRUE(data) << "moment " << moment << ": " << data.error().sentence();
      EXPECT_TRUE(broker::load_catalogue(*disk, *data));
    }
  }
}

TEST(SpaceRule, RefusesBelowTheReserveAndComesBackAtTwice) {
  const broker::SpaceRule rule{.reserve_bytes = 100, .reserve_share = 0.5};
  EXPECT_FALSE(is_full({.total_bytes = 1000, .free_bytes = 100}, rule, false));
  EXPECT_TRUE(is_full({.total_bytes = 1000, .free_bytes = 99}, rule, false));
  EXPECT_TRUE(is_full({.total_bytes = 1000, .free_bytes = 199}, rule, true));
  EXPECT_FALSE(is_full({.total_bytes = 1000, .free_bytes = 200}, rule, true));
  EXPECT_TRUE(is_full({.total_bytes = 100, .free_bytes = 49}, rule, false));
  EXPECT_FALSE(is_full({.total_bytes = 100, .free_bytes = 51}, rule, false))
      << "the smaller counts";
}

}  // namespace
}  // namespace mallbots::test
