// `mall device`: what it prints once is what gateways accept, until it is revoked.
#include <gtest/gtest.h>

#include <sstream>

#include "services/gateways/access/devices.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::mall {
namespace {

class DeviceCommand : public testing::Test {
 protected:
  test::Finished device(std::vector<std::string> words) {
    words.insert(words.begin(), {test::binary("mall"), "device"});
    words.insert(words.end(), {"--data-dir", folder_.path().string()});
    return test::run(words);
  }
  bool is_let_in(gateways::DeviceKind kind, const std::string& credential) {
    const auto dot = credential.rfind('.');
    const auto is_right =
        devices_.check(kind, credential.substr(0, dot), credential.substr(dot + 1));
    return is_right && *is_right;
  }

  test::TempDir folder_;
  gateways::Devices devices_{gateways::devices_file(folder_.path())};
};

TEST_F(DeviceCommand, PrintsACredentialOnceThatHoldsUntilItIsRevoked) {
  using enum gateways::DeviceKind;
  const auto added = device({"add", "kiosk", "hall.1", "hall.2"});
  ASSERT_EQ(added.ended.exit_code, 0) << added.errors;
  std::istringstream lines(added.output);
  std::string first;
  std::string second;
  ASSERT_TRUE(std::getline(lines, first) && std::getline(lines, second));
  EXPECT_TRUE(is_let_in(kKiosk, first));
  EXPECT_TRUE(is_let_in(kKiosk, second));
  EXPECT_FALSE(is_let_in(kBot, first));

  const std::string kept = test::text_of(gateways::devices_file(folder_.path()));
  EXPECT_EQ(kept.find(first.substr(first.rfind('.') + 1)), std::string::npos);
  EXPECT_EQ(device({"list"}).output, "kiosk  hall.1\nkiosk  hall.2\n");

  EXPECT_EQ(device({"revoke", "kiosk", "hall.1"}).ended.exit_code, 0);
  EXPECT_FALSE(is_let_in(kKiosk, first));
  EXPECT_TRUE(is_let_in(kKiosk, second));
}

TEST_F(DeviceCommand, RefusesWhatIsNoDeviceAndAddsAllOrNone) {
  EXPECT_EQ(device({"add", "kiosk", "hall.1"}).ended.exit_code, 0);
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"add", "kiosk", "hall.2", "hall.1"},
                                             {"add", "kiosk", "hall.2", "a b"},
                                             {"add", "kettle", "hall.2"},
                                             {"add", "kiosk"},
                                             {"revoke", "kiosk", "hall.3"},
                                             {"revoke", "bot", "hall.1"}}) {
    const auto refused = device(wrong);
    EXPECT_NE(refused.ended.exit_code, 0);
    EXPECT_NE(refused.errors, "");
  }
  EXPECT_EQ(device({"list"}).output, "kiosk  hall.1\n");
}

}  // namespace
}  // namespace mallbots::mall
