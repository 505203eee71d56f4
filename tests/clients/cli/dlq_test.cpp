#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "clients/admin.h"
#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "clients/toolkit/dead_letter.h"
#include "clients/toolkit/dead_letter_box.h"
#include "clients/toolkit/shm_bus.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using nlohmann::json;

/// Topic `orders`, group `billing`, and letters as the buses leave them.
class Dlq : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    ASSERT_EQ(mallbots("topic create orders -p 4").ended.exit_code, 0);
    ASSERT_EQ(mallbots("topic create orders.billing.dlq -p 2").ended.exit_code, 0);
  }
  [[nodiscard]] std::string command() const {
    return binary("mallbots") + " --runtime-dir " + daemon_.runtime_dir() + " ";
  }
  [[nodiscard]] Finished mallbots(const std::string& words) const {
    return run({"sh", "-c", command() + words});
  }
  [[nodiscard]] json listed(const std::string& words = "") const {
    const auto made = mallbots("--format json dlq list orders -g billing " + words);
    EXPECT_EQ(made.ended.exit_code, 0) << made.errors;
    return json::parse(made.output, nullptr, false);
  }
  [[nodiscard]] std::unique_ptr<client::Connection> connect() const {
    auto connection = client::Connection::open({.runtime_dir = daemon_.runtime_dir()});
    EXPECT_TRUE(connection);
    return connection ? std::move(*connection) : nullptr;
  }
  /// Letters `first` to `last`: every third was rejected by `ship`, the others failed in `charge`.
  void let_die(int first, int last) const {
    const auto connection = connect();
    auto letters = client::Producer::open(*connection, "orders.billing.dlq");
    ASSERT_TRUE(letters);
    for (int i = first; i <= last; ++i) {
      const bool third = i % 3 == 0;
      const std::string id = "m" + std::to_string(i);
      const client::Header headers[] = {{"msg.id", id}, {"shade", "blue"}, {"shade", "red"}};
      const std::string key = "k" + std::to_string(i % 7);
      const std::string payload = std::to_string(i);
      const auto died = client::as_message({.payload = client::as_bytes(payload),
                                            .key = client::as_bytes(i == 1 ? "" : key),
                                            .headers = headers},
                                           {.topic = "orders", .partition = 3, .offset = 7});
      ASSERT_TRUE(died);
      const toolkit::Failure failure{third ? "BadAddress" : "Timeout", "no answer",
                                     third ? "ship" : "charge"};
      const toolkit::DeadLetter letter{
          died->view(),
          {.group = "billing",
           .reason = third ? toolkit::DeadReason::kRejected : toolkit::DeadReason::kAttempts,
           .attempts = third ? 1U : 10U,
           .first = failure,
           .last = failure,
           .first_time_ms = 1000,
           .last_time_ms = 2000}};
      ASSERT_TRUE((*letters)->append(letter.record(), {.partition = 0}));
    }
    ASSERT_TRUE((*letters)->flush(Deadline::after_ms(20'000)));
  }
  /// How often which payload is in `orders`.
  [[nodiscard]] std::map<std::string, int> replayed() const {
    const auto all = mallbots("consume orders -o start -e");
    std::map<std::string, int> count;
    std::istringstream lines{all.output};
    for (std::string line; std::getline(lines, line);) ++count[line];
    return count;
  }
  Daemon daemon_;
};

TEST_F(Dlq, ListShowsEachLetterWithItsReasonAndCountsByFingerprint) {
  let_die(1, 10);
  const json letters = listed();
  ASSERT_EQ(letters.size(), 10U);
  EXPECT_EQ(letters[2]["id"], "0:2");
  EXPECT_EQ(letters[2]["reason"], "rejected");
  EXPECT_EQ(letters[2]["message_id"], "m3");
  EXPECT_EQ(letters[3]["attempts"], 10);
  EXPECT_EQ(letters[3]["topic"], "orders");
  EXPECT_EQ(letters[3]["last_time_ms"], 2000);
  const json prints = listed("--by fingerprint");
  ASSERT_EQ(prints.size(), 2U);
  EXPECT_EQ(prints[0]["handler"], "charge");
  EXPECT_EQ(prints[0]["letters"], 7);
  EXPECT_EQ(prints[1]["type"], "BadAddress");
  EXPECT_EQ(prints[1]["letters"], 3);
  const auto text = mallbots("dlq list orders -g billing");
  EXPECT_TRUE(text.output.starts_with("ID ")) << text.output;
  EXPECT_NE(text.output.find("\n0:9 "), std::string::npos) << text.output;
}

TEST_F(Dlq, AGroupWithoutLettersHasAnEmptyList) {
  const auto connection = connect();
  const auto member = client::Consumer::open(*connection);
  const std::string topics[] = {"orders"};
  ASSERT_TRUE(member && (*member)->subscribe(topics, "shipping"));
  const auto none = mallbots("--format json dlq list orders -g shipping");
  EXPECT_EQ(none.ended.exit_code, 0) << none.errors;
  EXPECT_EQ(json::parse(none.output, nullptr, false), json::array());
  const auto purged = mallbots("dlq purge orders -g shipping --all --execute");
  EXPECT_EQ(purged.output, "purged 0 letters, 0 left\n") << purged.errors;
  const auto unknown = mallbots("dlq show orders 0:1 -g shipping");
  EXPECT_NE(unknown.errors.find("no such dead letter"), std::string::npos) << unknown.errors;
  const auto nowhere = mallbots("dlq list nowhere -g shipping");
  EXPECT_NE(nowhere.errors.find("no topic of that name"), std::string::npos) << nowhere.errors;
}

TEST_F(Dlq, FiltersMustAllFit) {
  let_die(1, 20);
  EXPECT_EQ(listed("--reason rejected").size(), 6U);
  EXPECT_EQ(listed("--handler charge --type Timeout").size(), 14U);
  EXPECT_EQ(listed("--key k3").size(), 3U);
  EXPECT_EQ(listed("--key k3 --reason rejected").size(), 1U);
  EXPECT_EQ(listed("--since -1h").size(), 20U);
  EXPECT_EQ(listed("--until -1h").size(), 0U);
}

TEST_F(Dlq, ShowHasHeadersPayloadAndState) {
  let_die(1, 3);
  const auto shown = mallbots("--format json dlq show orders m2 -g billing");
  ASSERT_EQ(shown.ended.exit_code, 0) << shown.errors;
  const json letter = json::parse(shown.output, nullptr, false);
  EXPECT_EQ(letter["id"], "0:1");
  EXPECT_EQ(letter["state"], "left");
  EXPECT_EQ(letter["payload"], "2");
  EXPECT_EQ(letter["headers"][0], "msg.id");
  const auto text = mallbots("dlq show orders 0:1 -g billing");
  EXPECT_NE(text.output.find("dlq.handler"), std::string::npos);
  EXPECT_TRUE(text.output.ends_with("\n\n2\n")) << text.output;
}

TEST_F(Dlq, OfTenLettersEightAreLeftWhenTwoWereReplayedUnderTheirIds) {
  let_die(1, 10);
  const auto looked = mallbots("dlq replay orders 0:1 m5 -g billing");
  EXPECT_EQ(looked.ended.exit_code, 0) << looked.errors;
  EXPECT_NE(looked.output.find("add --execute"), std::string::npos) << looked.output;
  EXPECT_EQ(listed().size(), 10U);
  EXPECT_TRUE(replayed().empty());

  const auto done = mallbots("dlq replay orders 0:1 m5 -g billing --execute");
  EXPECT_EQ(done.output, "replayed 2 letters, 8 left\n") << done.errors;
  EXPECT_EQ(listed().size(), 8U);
  const auto back = mallbots("consume orders -o start -e -f '%k %h %s\\n'");
  std::multiset<std::string> lines;
  std::istringstream in{back.output};
  for (std::string line; std::getline(in, line);) lines.insert(line);
  EXPECT_EQ(lines, (std::multiset<std::string>{"k2 msg.id=m2,shade=blue,shade=red 2",
                                               "k5 msg.id=m5,shade=blue,shade=red 5"}));
}

TEST_F(Dlq, AMessageWithoutKeyGoesBackIntoItsPartition) {
  let_die(1, 1);
  EXPECT_EQ(mallbots("dlq replay orders -g billing --all --execute").ended.exit_code, 0);
  EXPECT_EQ(mallbots("consume orders -o start -e -f '%p %K %s'").output, "3 -1 1");
}

TEST_F(Dlq, PurgedLettersAreGoneAndNeverReplayed) {
  let_die(1, 10);
  const auto one = mallbots("dlq purge orders 0:4 -g billing --execute");
  EXPECT_EQ(one.output, "purged 1 letters, 9 left\n") << one.errors;
  EXPECT_EQ(mallbots("dlq replay orders -g billing --all --execute").output,
            "replayed 9 letters, 0 left\n");
  EXPECT_EQ(replayed().size(), 9U);
  EXPECT_FALSE(replayed().contains("5"));
  EXPECT_EQ(mallbots("dlq replay orders -g billing --all --execute").output,
            "replayed 0 letters, 0 left\n");
  EXPECT_EQ(json::parse(mallbots("--format json dlq show orders 0:4 -g billing").output)["state"],
            "purged");
}

TEST_F(Dlq, AnUnknownIdIsAnErrorAndNothingIsDone) {
  let_die(1, 3);
  for (const char* verb : {"replay", "purge"}) {
    const auto wrong =
        mallbots("dlq " + std::string{verb} + " orders 0:0 0:99 -g billing --execute");
    EXPECT_EQ(wrong.ended.exit_code, 1);
    EXPECT_NE(wrong.errors.find("there is no such dead letter: '0:99'"), std::string::npos)
        << wrong.errors;
  }
  EXPECT_EQ(listed().size(), 3U);
  EXPECT_TRUE(replayed().empty());
  EXPECT_EQ(mallbots("dlq show orders nobody -g billing").ended.exit_code, 1);
  ASSERT_EQ(mallbots("dlq replay orders 0:0 -g billing --execute").ended.exit_code, 0);
  const auto again = mallbots("dlq replay orders 0:0 -g billing --execute");
  EXPECT_EQ(again.ended.exit_code, 1);
  EXPECT_NE(again.errors.find("was replayed before"), std::string::npos) << again.errors;
}

TEST_F(Dlq, WhatIsToBeDoneMustBeSaid) {
  let_die(1, 3);
  EXPECT_EQ(mallbots("dlq purge orders -g billing --execute").ended.exit_code, 2);
  EXPECT_EQ(mallbots("dlq purge orders 0:1 --all -g billing --execute").ended.exit_code, 2);
  EXPECT_EQ(mallbots("dlq list orders -g nobody").ended.exit_code, 1);
  EXPECT_EQ(listed().size(), 3U);
}

TEST_F(Dlq, LettersOfATopicMadeAnewAreOtherLetters) {
  let_die(1, 3);
  ASSERT_EQ(mallbots("dlq purge orders -g billing --all --execute").ended.exit_code, 0);
  ASSERT_EQ(mallbots("topic delete orders.billing.dlq --execute").ended.exit_code, 0);
  ASSERT_EQ(mallbots("topic create orders.billing.dlq -p 2").ended.exit_code, 0);
  let_die(1, 2);
  EXPECT_EQ(listed().size(), 2U);
}

TEST_F(Dlq, ALetterThatCannotGoBackStaysAndThoseBeforeItAreDone) {
  let_die(1, 2);
  ASSERT_EQ(mallbots("produce orders.billing.dlq -p 0 --acks durable < /dev/null").ended.exit_code,
            0);
  ASSERT_EQ(run({"sh", "-c",
                 "echo stray | " + command() + "produce orders.billing.dlq -p 0 --acks durable"})
                .ended.exit_code,
            0);
  let_die(3, 3);
  const auto stuck = mallbots("dlq replay orders -g billing --all --execute");
  EXPECT_EQ(stuck.ended.exit_code, 2);
  EXPECT_NE(stuck.errors.find("letter 0:2"), std::string::npos) << stuck.errors;
  EXPECT_EQ(replayed().size(), 2U);
  EXPECT_EQ(listed().size(), 2U);
}

TEST_F(Dlq, AReplayKilledAtAnyMomentAndRepeatedLosesNoLetter) {
  constexpr int kLetters = 1500;
  let_die(1, kLetters);
  std::mt19937 random{std::random_device{}()};
  int kills = 0;
  for (;; ++kills) {
    Process replay = Process::start(
        {"sh", "-c", "exec " + command() + "dlq replay orders -g billing --all --execute"});
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + random() % 60));
    replay.send(SIGKILL);
    if (replay.wait(20).exit_code == 0 || kills == 60) break;
  }
  const auto last = mallbots("dlq replay orders -g billing --all --execute");
  ASSERT_EQ(last.ended.exit_code, 0) << last.errors;
  EXPECT_TRUE(listed().empty());
  const auto count = replayed();
  EXPECT_EQ(count.size(), static_cast<std::size_t>(kLetters));
  int extra = 0;
  for (const auto& [payload, times] : count) extra += times - 1;
  EXPECT_LE(extra, kills * static_cast<int>(toolkit::kLettersPerMark));
}

TEST_F(Dlq, AReplayRidesOutTheDeathOfTheBroker) {
  constexpr int kLetters = 1500;
  let_die(1, kLetters);
  Process replay = Process::start(
      {"sh", "-c", "exec " + command() + "dlq replay orders -g billing --all --execute"});
  ASSERT_TRUE(eventually([&] { return replayed().size() > 20; }));
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  EXPECT_EQ(replay.wait(60).exit_code, 0) << replay.errors();
  EXPECT_EQ(replayed().size(), static_cast<std::size_t>(kLetters));
  EXPECT_TRUE(listed().empty());
}

TEST_F(Dlq, WhatAHandlerRejectedComesAgainUnderItsIdWhenItIsReplayed) {
  ASSERT_EQ(mallbots("topic create parcels").ended.exit_code, 0);
  const auto connection = connect();
  toolkit::ShmBus bus{*connection};
  const auto members = bus.subscribe({.topics = {"parcels"}, .group = "depot"});
  ASSERT_TRUE(members) << members.error().sentence();
  const client::Header id[] = {{"msg.id", "parcel-7"}};
  ASSERT_TRUE(bus.publish("parcels", {{{.payload = client::as_bytes("box"), .headers = id}}}));
  const auto receive = [&] { return (*members)->receive(Deadline::after_ms(20'000)); };
  auto first = receive();
  ASSERT_TRUE(first && *first);
  ASSERT_TRUE((**first).reject({.type = "NoSuchShelf", .text = "shelf 9", .handler = "store"}));
  const auto left = mallbots("--format json dlq list parcels -g depot --type NoSuchShelf");
  EXPECT_EQ(json::parse(left.output, nullptr, false)[0]["message_id"], "parcel-7") << left.errors;
  EXPECT_EQ(mallbots("dlq replay parcels parcel-7 -g depot --execute").output,
            "replayed 1 letters, 0 left\n");
  auto again = receive();
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((**again)->header("msg.id"), "parcel-7");
  EXPECT_EQ((**again)->text(), "box");
  EXPECT_FALSE((**again)->header(toolkit::kDeadReason));
  EXPECT_TRUE((**again).ack());
}

TEST_F(Dlq, OfTwoReplaysAtOnceTheSlowerEndsWithConflictAndNoLetterIsLost) {
  let_die(1, 200);
  const auto connection = connect();
  auto one = toolkit::DeadLetterBox::open(*connection, "orders", "billing");
  ASSERT_TRUE(one);
  const auto all = [](std::uint64_t) { return true; };
  ASSERT_TRUE((*one)->replay({.reason = "rejected"}, all));
  auto two = toolkit::DeadLetterBox::open(*connection, "orders", "billing");
  ASSERT_TRUE(two);
  ASSERT_TRUE((*one)->replay({.key = "k1"}, all));
  const auto late = (*two)->replay({}, all);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kConflict);
  const auto rest = mallbots("dlq replay orders -g billing --all --execute");
  EXPECT_EQ(rest.ended.exit_code, 0);
  const auto count = replayed();
  EXPECT_EQ(count.size(), 200U);
  for (const auto& [payload, times] : count) EXPECT_EQ(times, 1) << payload;
}

}  // namespace
}  // namespace mallbots::test
