// Who may ask for what, through the socket of mallbotsd.
#include "broker/control/commands.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/broker/control/commands_fixture.h"

namespace mallbots::test {
namespace {

constexpr uid_t kStranger = 65'534;

/// What a process of another user gets to hear, as one word a line.
std::string stranger_tries(const std::string& socket_path) {
  ProcessOptions options;
  options.run_as = kStranger;
  Process stranger = Process::call(
      [&] {
        ControlClient client{socket_path};
        const auto welcome = client.hello("stranger");
        const auto word = [&](const char* what, const std::optional<Answer>& answer) {
          const ErrorCode code = answer ? answer->error() : ErrorCode::kConnectionLost;
          dprintf(STDOUT_FILENO, "%s=%s", what,
                  code == ErrorCode::kNone ? "ok" : error_entry(code).name.data());
          if (answer && code == ErrorCode::kNone)
            dprintf(STDOUT_FILENO, ",%zu", answer->fds.size());
          dprintf(STDOUT_FILENO, "\n");
        };
        word("status", client.call(shm::Status{}));
        word("create", client.call(shm::CreateTopic{.name = "mine", .partitions = 1}));
        word("closed", client.call(shm::OpenTopic{.name = "closed"}));
        word("read", client.call(shm::OpenTopic{.name = "readable"}));
        word("write",
             client.call(shm::OpenTopic{.name = "readable", .intent = shm::Intent::kProduce}));
        const auto writable =
            client.call(shm::OpenTopic{.name = "writable", .intent = shm::Intent::kProduce});
        word("both", writable);
        const auto opened = writable ? writable->as<shm::OpenTopicReply>() : std::nullopt;
        const std::uint64_t id = opened ? opened->topic_id : 0;
        word("left", client.call(shm::EndOfEpoch{.topic_id = id, .partition = 0, .log_epoch = 1}));
        word("file", client.call(shm::FindSegment{.topic_id = id, .partition = 0, .offset = 0}));
        const auto rings =
            client.call(shm::OpenTopic{.name = "handed_in", .intent = shm::Intent::kProduce});
        word("hand_in", rings);
        const auto sequenced = rings ? rings->as<shm::OpenTopicReply>() : std::nullopt;
        word("slot", client.call(shm::GetSlot{.topic_id = sequenced ? sequenced->topic_id : 0,
                                              .partition = 0}));
        word("at", client.call(shm::FindTime{.topic_id = id, .partition = 0, .time_ms = 0}));
        const auto list = client.call(shm::ListTopics{});
        const auto reply = list ? list->as<shm::ListTopicsReply>() : std::nullopt;
        dprintf(STDOUT_FILENO, "listed=%zu\n", reply ? reply->topics.size() : 99);
        return welcome ? 0 : 1;
      },
      options);
  EXPECT_EQ(stranger.wait().exit_code, 0);
  return stranger.output();
}

TEST_F(Commands, GoodbyeFreesTheSession) {
  ControlClient client{daemon_.socket_path()};
  const auto welcome = client.hello("short");
  ASSERT_TRUE(welcome);
  const auto answer = client.call(shm::Goodbye{});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error(), ErrorCode::kNone);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(ask<shm::StatusReply>(shm::Status{}).sessions, 1U);
}

TEST_F(Commands, StrangersMayWhatTheAllowListsSay) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to be another user";
  // The test's own folder is closed to others; what counts is the runtime directory.
  ASSERT_EQ(run({"chmod", "0711", daemon_.folder().path()}).ended.exit_code, 0);
  ASSERT_TRUE(admin_->create_topic("closed", 1));
  ASSERT_TRUE(admin_->create_topic("readable", 1, {{"consume.allow", "65534"}}));
  ASSERT_TRUE(admin_->create_topic("writable", 1, {{"produce.allow", "nobody"}}));
  ASSERT_TRUE(
      admin_->create_topic("handed_in", 1, {{"ingest", "sequenced"}, {"produce.allow", "nobody"}}));
  EXPECT_EQ(stranger_tries(daemon_.socket_path()),
            "status=NotPermitted\ncreate=NotPermitted\nclosed=NotPermitted\n"
            "read=ok,1\nwrite=NotPermitted\nboth=ok,2\nleft=ok,0\nfile=NotPermitted\n"
            "hand_in=ok,1\nslot=NotPermitted\nat=NotPermitted\nlisted=3\n");
}

}  // namespace
}  // namespace mallbots::test
