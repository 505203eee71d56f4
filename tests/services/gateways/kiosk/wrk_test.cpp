// The kiosk under wrk: a stranger's client, as fast as it can.
#include <cstdio>

#include "tests/services/gateways/kiosk/kiosk_fixture.h"

namespace mallbots::kiosk {
namespace {

class WrkTest : public KioskTest {
 protected:
  /// What wrk says about so many connections; each is a thread of its own if it follows a script.
  std::string wrk(const std::string& path, std::vector<std::string> words) {
    words.insert(words.begin(), {"wrk", "--timeout", "20s"});
    words.push_back("http://127.0.0.1:" + std::to_string(mall_->kiosk().port()) + path);
    const auto finished = test::run(words);
    EXPECT_EQ(finished.ended.exit_code, 0) << finished.errors;
    return finished.output;
  }
};

TEST_F(WrkTest, OrdersAreMadeWithoutOneErrorByManyKiosksAtATime) {
  open();
  fill();
  const std::string said =
      wrk("/", {"-t16", "-c16", "-d4s", "-s", "tests/services/gateways/kiosk/orders.lua"});
  const auto at = said.find("answers ");
  ASSERT_NE(at, std::string::npos) << said;
  int answers = 0;
  int orders = 0;
  int wrong = -1;
  int broken = -1;
  ASSERT_EQ(std::sscanf(said.c_str() + at, "answers %d, orders %d, wrong %d, broken %d", &answers,
                        &orders, &wrong, &broken),
            4)
      << said;
  EXPECT_GT(orders, 0) << said;
  EXPECT_EQ(wrong, 0) << said;
  EXPECT_EQ(broken, 0) << said;
  EXPECT_EQ(ask("GET", "/kiosk/v1/health").status, 200);
}

TEST_F(WrkTest, ListsAreReadWithoutOneErrorOverManyConnections) {
  open();
  fill();
  for (const char* path : {"/kiosk/v1/stores", "/kiosk/v1/stores/s1/products", "/"}) {
    const std::string said = wrk(path, {"-t2", "-c128", "-d2s"});
    EXPECT_THAT(said, HasSubstr("requests in"));
    EXPECT_THAT(said, testing::Not(HasSubstr("Non-2xx"))) << path;
    EXPECT_THAT(said, testing::Not(HasSubstr("Socket errors"))) << path;
  }
}

}  // namespace
}  // namespace mallbots::kiosk
