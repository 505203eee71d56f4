#include "services/gateways/access/devices.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::gateways {
namespace {

class DevicesTest : public testing::Test {
 protected:
  test::TempDir folder_;
  std::string path_ = devices_file(folder_.path());
  Devices devices_{path_};

  bool is_in(DeviceKind kind, const std::string& id, const std::string& secret) {
    const auto admitted = devices_.check(kind, id, secret);
    EXPECT_TRUE(admitted) << admitted.error().sentence();
    return admitted.value_or(false);
  }
};

TEST_F(DevicesTest, OnlyItsOwnSecretLetsADeviceIn) {
  const std::string secret = devices_.add(DeviceKind::kBot, "b1").value();
  const std::string other = devices_.add(DeviceKind::kKiosk, "b1").value();
  EXPECT_EQ(secret.size(), 64U);
  EXPECT_NE(secret, other);
  EXPECT_TRUE(is_in(DeviceKind::kBot, "b1", secret));
  EXPECT_TRUE(is_in(DeviceKind::kKiosk, "b1", other));
  EXPECT_FALSE(is_in(DeviceKind::kBot, "b1", other));
  EXPECT_FALSE(is_in(DeviceKind::kBot, "b2", secret));
  EXPECT_FALSE(is_in(DeviceKind::kBot, "b1", ""));
  EXPECT_FALSE(is_in(DeviceKind::kBot, "b1", secret + "0"));
}

TEST_F(DevicesTest, TheFileHoldsNoSecretAndIsItsUsersOwn) {
  const std::string secret = devices_.add(DeviceKind::kBot, "b1").value();
  const std::string content = test::text_of(path_);
  EXPECT_EQ(content.find(secret), std::string::npos);
  EXPECT_NE(content.find("\"b1\""), std::string::npos);
  struct stat about{};
  ASSERT_EQ(stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
}

TEST_F(DevicesTest, AChangeByAnotherProcessIsSeen) {
  EXPECT_FALSE(is_in(DeviceKind::kBot, "b1", "x"));
  Devices other(path_);
  const std::string secret = other.add(DeviceKind::kBot, "b1").value();
  EXPECT_TRUE(is_in(DeviceKind::kBot, "b1", secret));
  EXPECT_TRUE(devices_.knows(DeviceKind::kBot, "b1").value());
  ASSERT_TRUE(other.revoke(DeviceKind::kBot, "b1").value());
  EXPECT_FALSE(is_in(DeviceKind::kBot, "b1", secret));
  EXPECT_FALSE(devices_.knows(DeviceKind::kBot, "b1").value());
  EXPECT_FALSE(other.revoke(DeviceKind::kBot, "b1").value());
}

TEST_F(DevicesTest, ManyAreAddedTogetherOrNone) {
  const std::vector<std::string> ids = {"b1", "b2", "b3"};
  EXPECT_EQ(devices_.add(DeviceKind::kBot, ids).value().size(), 3U);
  const std::vector<std::string> more = {"b4", "b3"};
  EXPECT_EQ(devices_.add(DeviceKind::kBot, more).error().code, ErrorCode::kConflict);
  EXPECT_EQ(devices_.list().value().size(), 3U);
}

TEST_F(DevicesTest, IdsAreWordsAndBrokenFilesAreNamed) {
  for (const char* id : {"", "a b", "a/b", "\n"}) {
    EXPECT_EQ(devices_.add(DeviceKind::kBot, id).error().code, ErrorCode::kBadArgument);
  }
  ASSERT_TRUE(PrivateFile(path_).change([](const std::string&) { return "{\"devices\":[{}]}"; }));
  EXPECT_EQ(devices_.check(DeviceKind::kBot, "b1", "x").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(devices_.add(DeviceKind::kBot, "b1").error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace mallbots::gateways
