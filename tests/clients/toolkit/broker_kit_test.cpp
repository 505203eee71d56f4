// M7: a whole service against a broker of its own, without sleeping.
#include "clients/toolkit/testkit/broker_kit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "tests/clients/toolkit/twice.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::Handled;
using toolkit::Message;

class BrokerKitTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    auto kit = toolkit::BrokerKit::open({.runtime_dir = daemon_.runtime_dir()});
    ASSERT_TRUE(kit) << kit.error().sentence();
    kit_ = std::move(*kit);
    ASSERT_TRUE(kit_->topics({"users", "greetings", "mails"}));
  }
  Daemon daemon_;
  std::unique_ptr<toolkit::BrokerKit> kit_;
};

TEST_F(BrokerKitTest, M7_1_WaitsUntilAllThatWasCausedIsDone) {
  std::atomic<int> tries{0};
  ASSERT_TRUE(kit_->router().add(
      {.name = "greet", .topics = {"users"}, .group = "greeter"},
      [&](Context& context, const Message& user) -> Handled {
        if (++tries % 3 == 1) return toolkit::try_again("Moody", "once");
        context.publish("greetings", {.payload = "Hello " + std::string{user.payload()}});
        return {};
      }));
  ASSERT_TRUE(kit_->router().add({.name = "mail", .topics = {"greetings"}, .group = "mailer"},
                                 [](Context& context, const Message& greeting) -> Handled {
                                   context.publish("mails",
                                                   {.payload = std::string{greeting.payload()}});
                                   return {};
                                 }));
  ASSERT_TRUE(kit_->start());
  for (const char* name : {"Ann", "Bob", "Cid"})
    ASSERT_TRUE(kit_->publish("users", {.payload = name, .key = "one"}));
  const auto quiet = kit_->wait_until_quiet();
  ASSERT_TRUE(quiet) << quiet.error().sentence();
  auto mails = kit_->published_texts("mails").value();
  if (is_everything_twice()) {
    EXPECT_EQ(mails.size(), 12U) << "the switch reaches a kit with a broker, too";
    mails.erase(std::ranges::unique(mails).begin(), mails.end());
  }
  EXPECT_EQ(mails, (std::vector<std::string>{"Hello Ann", "Hello Bob", "Hello Cid"}));
}

TEST_F(BrokerKitTest, M7_3_SaysWhatIsStillPending) {
  ASSERT_TRUE(kit_->router().add({.name = "never", .topics = {"users"}, .group = "never"},
                                 [](Context&, const Message&) -> Handled {
                                   return toolkit::not_now("Later", "in an hour", 3'600'000);
                                 }));
  std::size_t rows = 2;
  kit_->also_wait_for("outbox rows", [&] { return rows; });
  ASSERT_TRUE(kit_->start());
  ASSERT_TRUE(kit_->publish("users", {.payload = "Ann"}));
  const auto quiet = kit_->wait_until_quiet(300);
  ASSERT_FALSE(quiet);
  EXPECT_NE(quiet.error().detail.find("group 'never': 1 not done"), std::string::npos)
      << quiet.error().detail;
  EXPECT_NE(quiet.error().detail.find("2 outbox rows"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::test
