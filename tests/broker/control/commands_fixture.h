// A running mallbotsd and an administrator attached to it: for the tests of the commands.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/support/control_client.h"
#include "tests/support/daemon.h"

namespace mallbots::test {

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    admin_.emplace(daemon_.socket_path());
    ASSERT_TRUE(admin_->hello("admin"));
  }
  void TearDown() override { EXPECT_EQ(daemon_.stop().exit_code, 0) << daemon_.log(); }

  template <class Message>
  ErrorCode error_of(const Message& message) {
    const auto answer = admin_->call(message);
    return answer ? answer->error() : ErrorCode::kConnectionLost;
  }
  template <class Reply, class Message>
  Reply ask(const Message& message) {
    const std::optional<Answer> answer = admin_->call(message);
    EXPECT_TRUE(answer);
    if (!answer) return {};
    EXPECT_EQ(answer->error(), ErrorCode::kNone) << answer->detail();
    return answer->as<Reply>().value_or(Reply{});
  }
  std::uint64_t open(const std::string& topic, shm::Intent intent = shm::Intent::kProduce) {
    return ask<shm::OpenTopicReply>(shm::OpenTopic{.name = topic, .intent = intent}).topic_id;
  }

  Daemon daemon_;
  std::optional<ControlClient> admin_;
};

}  // namespace mallbots::test
