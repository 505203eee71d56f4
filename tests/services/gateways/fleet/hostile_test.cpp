// What a hostile or broken robot may say to the fleet gateway, over the stream and over the topics:
// each is refused with its code, the connection lives, and nothing has happened.
#include <grpcpp/generic/generic_stub.h>

#include <functional>

#include "clients/consumer.h"
#include "clients/producer.h"
#include "services/gateways/fleet/topics.h"
#include "tests/services/gateways/fleet/fleet_fixture.h"

namespace mallbots::test {
namespace {

using fleetpb::FromRobot;
using fleetpb::ToRobot;

/// A stream of bytes.
class RawRobot {
 public:
  explicit RawRobot(int port) : stub_(channel_to(port)) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
    stream_ = stub_.PrepareCall(&context_, "/fleetpb.Fleet/Connect", &queue_);
    stream_->StartCall(this);
    static_cast<void>(is_done());
  }
  ~RawRobot() {
    context_.TryCancel();
    static_cast<void>(finish());
  }
  bool send(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    stream_->Write(grpc::ByteBuffer(&slice, 1), this);
    return is_done();
  }
  bool send(const FromRobot& message) { return send(message.SerializeAsString()); }
  std::optional<ToRobot> read() {
    ToRobot message;
    stream_->Read(&message, this);
    if (!is_done()) return std::nullopt;
    return message;
  }
  ToRobot answer() { return answer_to(*this); }
  grpc::StatusCode finish() {
    if (!is_over_) {
      is_over_ = true;
      while (read()) {
      }
      stream_->Finish(&status_, this);
      static_cast<void>(is_done());
    }
    return status_.error_code();
  }

 private:
  bool is_done() {
    void* tag = nullptr;
    bool is_good = false;
    return queue_.Next(&tag, &is_good) && is_good;
  }

  grpc::TemplatedGenericStub<grpc::ByteBuffer, ToRobot> stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<grpc::ByteBuffer, ToRobot>> stream_;
  grpc::Status status_;
  bool is_over_ = false;
};

FromRobot hello(const std::string& id, const std::string& secret) {
  FromRobot message;
  message.mutable_hello()->set_bot_id(id);
  message.mutable_hello()->set_secret(secret);
  return message;
}
FromRobot at(std::int32_t x, std::int32_t y, std::uint32_t battery) {
  FromRobot message = heartbeat(x, y);
  message.mutable_heartbeat()->set_battery_percent(battery);
  return message;
}
FromRobot with(FromRobot message, const std::function<void(fleetpb::ItemsPicked&)>& change) {
  change(*message.mutable_items_picked());
  return message;
}

struct WrongReport {
  const char* what;
  FromRobot message;
  fleetpb::RejectCode code;
};

/// Of a robot that is at s1 with `mine` begun.
std::vector<WrongReport> wrong_reports(const std::string& mine, const std::string& others) {
  const std::string huge(200'000, 'x');
  return {
      {"another's list", started(others), fleetpb::NOT_YOURS},
      {"another's list, given back", decline(others), fleetpb::NOT_YOURS},
      {"no such list", started("none"), fleetpb::UNKNOWN},
      {"no list at all", started(""), fleetpb::UNKNOWN},
      {"a huge list", started(huge), fleetpb::UNKNOWN},
      {"control characters", started(std::string("a\0b\n", 4)), fleetpb::UNKNOWN},
      {"home too early", at_depot(mine), fleetpb::WRONG_STATE},
      {"emptied, though not canceled", emptied(mine), fleetpb::WRONG_STATE},
      {"given back when begun", decline(mine), fleetpb::WRONG_STATE},
      {"a store that is not on the list", at_store(mine, "s9"), fleetpb::INVALID},
      {"a huge store", at_store(mine, huge), fleetpb::INVALID},
      {"picked where it is not", picked(mine, "s2", 2), fleetpb::WRONG_STATE},
      {"more than wanted", picked(mine, "s1", 3), fleetpb::INVALID},
      {"less than wanted", picked(mine, "s1", 1), fleetpb::INVALID},
      {"below 0", picked(mine, "s1", -1, 3), fleetpb::INVALID},
      {"as low as can be", picked(mine, "s1", INT32_MIN, INT32_MIN), fleetpb::INVALID},
      {"so much that it overflows", picked(mine, "s1", INT32_MAX, INT32_MAX), fleetpb::INVALID},
      {"nothing of what is wanted",
       with(picked(mine, "s1", 2), [](auto& picked) { picked.clear_items(); }), fleetpb::INVALID},
      {"something else",
       with(picked(mine, "s1", 2),
            [](auto& picked) { picked.mutable_items(0)->set_product_id("gold"); }),
       fleetpb::INVALID},
      {"the same twice",
       with(picked(mine, "s1", 2), [](auto& picked) { *picked.add_items() = picked.items(0); }),
       fleetpb::INVALID},
      {"of thousands of things",
       with(picked(mine, "s1", 2),
            [](auto& picked) {
              for (int i = 0; i < 5'000; ++i) picked.add_items()->set_product_id(std::to_string(i));
            }),
       fleetpb::INVALID},
  };
}

struct WrongMessage {
  const char* what;
  std::string bytes;
  const char* said;
};

std::string numbered(FromRobot message, std::uint64_t number) {
  message.set_sequence(number);
  return message.SerializeAsString();
}

/// `next`: the number of the next report.
std::vector<WrongMessage> wrong_messages(const std::string& mine, std::uint64_t next) {
  const std::string whole = numbered(at_depot(mine), next);
  const std::string half = whole.substr(0, whole.size() / 2);
  std::string no_text = numbered(started("ab"), next);
  no_text.replace(no_text.find("ab"), 2, "\xc3\x28");
  return {
      {"nothing", "", "says nothing"},
      {"no message", "\xff\xff\xff\xff", "says nothing"},
      {"half a message", half, "says nothing"},
      {"text that is no UTF-8", no_text, "says nothing"},
      {"fields that nobody knows", "\xa8\x06\x01", "says nothing"},
      {"a number for a message", "\x60\x01", "says nothing"},
      {"a report without a number", numbered(at_depot(mine), 0), "number"},
      {"a gap", numbered(at_depot(mine), next + 1), "comes before"},
      {"the last number there is", numbered(at_depot(mine), UINT64_MAX), "comes before"},
      {"Hello again", hello("b1", "secret").SerializeAsString(), "before"},
      {"another's Hello", hello("b2", "secret").SerializeAsString(), "before"},
      {"from under the floor", at(-1, 4, 50).SerializeAsString(), "no robot is there"},
      {"from far away", at(3, INT32_MAX, 50).SerializeAsString(), "no robot is there"},
      {"overcharged", at(3, 4, UINT32_MAX).SerializeAsString(), "no robot is there"},
  };
}

using Hostile = FleetTest;

TEST_F(Hostile, WhatARobotSaysWrongIsRefusedAndNothingHasHappened) {
  RawRobot robbie(fleet_->port());
  robot("b1")->die();  // its credential
  robbie.send(hello("b1", secrets_["b1"]));
  ASSERT_TRUE(robbie.read().value().has_welcome());
  const std::string mine = list_of("o1", {"s1", "s2"});
  wait_for_status(mine, "assigned");
  const auto other = robot("b2");
  other->hello();
  const std::string others = list_of("o2");
  wait_for_status(others, "assigned");
  std::uint64_t sequence = 0;
  const auto report = [&](FromRobot message) {
    message.set_sequence(++sequence);
    robbie.send(message);
    return robbie.answer();
  };
  ASSERT_TRUE(report(started(mine)).has_done());
  ASSERT_TRUE(report(at_store(mine, "s1")).has_done());
  const std::string before = list(mine).SerializeAsString() + list(others).SerializeAsString() +
                             bot("b1").SerializeAsString() + bot("b2").SerializeAsString();

  // --- Reports under the next number: the depot refuses them.
  for (const WrongReport& row : wrong_reports(mine, others)) {
    SCOPED_TRACE(row.what);
    const ToRobot answer = report(row.message);
    EXPECT_EQ(answer.reject().code(), row.code) << answer.ShortDebugString();
    EXPECT_EQ(answer.reject().sequence(), sequence);
    EXPECT_FALSE(answer.reject().reason().empty());
    EXPECT_LT(answer.reject().reason().size(), 500U);
  }

  // --- What never comes so far.
  for (const WrongMessage& row : wrong_messages(mine, sequence + 1)) {
    SCOPED_TRACE(row.what);
    ASSERT_TRUE(robbie.send(row.bytes));
    const ToRobot answer = robbie.answer();
    EXPECT_EQ(answer.reject().code(), fleetpb::INVALID) << answer.ShortDebugString();
    EXPECT_NE(answer.reject().reason().find(row.said), std::string::npos)
        << answer.reject().reason();
  }

  // --- Numbers that were answered: the same answer, whatever is said under them.
  robbie.send(numbered(started(mine), 1));
  EXPECT_EQ(robbie.answer().done().sequence(), 1U);
  robbie.send(numbered(at_depot(mine), 2));
  EXPECT_EQ(robbie.answer().done().sequence(), 2U);
  robbie.send(numbered(picked(mine, "s1", 2), 3));
  EXPECT_EQ(robbie.answer().reject().code(), fleetpb::NOT_YOURS);
  robbie.send(ack_of(UINT64_MAX));  // of what was never said

  EXPECT_EQ(list(mine).SerializeAsString() + list(others).SerializeAsString() +
                bot("b1").SerializeAsString() + bot("b2").SerializeAsString(),
            before);
  // It goes on as if nothing had been.
  EXPECT_TRUE(report(picked(mine, "s1", 2)).has_done());
  EXPECT_TRUE(report(at_store(mine, "s2")).has_done());
  for (int i = 0; i < 70; ++i) ASSERT_TRUE(report(at_depot(mine)).has_reject());
  robbie.send(numbered(started(mine), 1));
  EXPECT_EQ(robbie.answer().reject().code(), fleetpb::TOO_OLD);
  EXPECT_TRUE(report(picked(mine, "s2", 1, 1)).has_done());
  EXPECT_TRUE(report(at_depot(mine)).has_done());

  robbie.send(numbered(started(std::string(300'000, 'x')), sequence + 1));
  EXPECT_EQ(robbie.finish(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(bot("b2").epoch(), 1U);
}

TEST_F(Hostile, WhoIsNotAdmittedChangesNoEpoch) {
  const auto robbie = robot("b1");
  robbie->hello();
  robot("b2")->die();  // its credential
  const std::string right = secrets_["b1"];
  std::string nearly = right;
  nearly.back() = nearly.back() == '0' ? '1' : '0';
  std::string upper = right;
  for (char& letter : upper) letter = static_cast<char>(toupper(letter));
  const struct {
    const char* what;
    std::string id;
    std::string secret;
  } rows[] = {
      {"no secret", "b1", ""},
      {"nearly the secret", "b1", nearly},
      {"half the secret", "b1", right.substr(0, 32)},
      {"the secret and more", "b1", right + "0"},
      {"another's secret", "b1", secrets_["b2"]},
      {"a huge secret", "b1", std::string(200'000, '0')},
      {"no id", "", right},
      {"an id that nobody has", "b9", right},
      {"a huge id", std::string(200'000, 'b'), right},
      {"an id with a zero", std::string("b1\0", 3), right},
      {"an id with a space", "b1 ", right},
      {"a path", "../b1", right},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    RawRobot thief(fleet_->port());
    thief.send(hello(row.id, row.secret));
    EXPECT_EQ(thief.answer().reject().code(), fleetpb::NOT_ADMITTED);
    EXPECT_EQ(thief.finish(), grpc::StatusCode::UNAUTHENTICATED);
  }
  RawRobot garbled(fleet_->port());
  garbled.send(std::string("\xff\xff"));
  EXPECT_EQ(garbled.answer().reject().code(), fleetpb::SAY_HELLO);
  EXPECT_EQ(bot("b1").epoch(), 1U);
  EXPECT_EQ(bot("b1").status(), "idle");
  EXPECT_EQ(robbie->report(started("none")).reject().code(), fleetpb::UNKNOWN);
}

// Whoever may append to the topic of reports.
TEST_F(Hostile, WhatALocalControllerSaysWrongIsRefusedToo) {
  robot("b1")->die();  // the device is known
  const auto connection = client::Connection::open({.runtime_dir = daemon_.runtime_dir()}).value();
  const auto reports = client::Producer::open(*connection, fleet::kReportsTopic).value();
  const auto directives =
      client::Consumer::open(*connection, {.read = client::ReadLevel::kCommitted}).value();
  ASSERT_TRUE(directives->assign(fleet::kDirectivesTopic, {}, client::Start::end()));
  const auto say = [&](const std::string& key, const std::string& bytes) {
    ASSERT_TRUE(reports->append(
        {.payload = std::as_bytes(std::span{bytes}), .key = std::as_bytes(std::span{key})}));
  };
  const auto hear = [&]() -> std::pair<std::string, ToRobot> {
    for (int i = 0; i < 300; ++i) {
      const auto batch = directives->poll(Deadline::after_ms(100), 1);
      if (!batch || batch->empty()) continue;
      const client::Message& record = *batch->begin();
      ToRobot message;
      EXPECT_TRUE(message.ParseFromString(std::string(record.text())));
      return {std::string(record.key_text()), message};
    }
    ADD_FAILURE() << "nothing was heard";
    return {};
  };
  const auto in_epoch = [](FromRobot message, std::uint64_t epoch) {
    message.set_epoch(epoch);
    message.set_sequence(1);
    return message.SerializeAsString();
  };
  say("b1", hello("b1", "").SerializeAsString());
  ASSERT_TRUE(hear().second.has_welcome());
  const std::uint64_t epoch = bot("b1").epoch();
  const struct {
    const char* what;
    std::string key;
    std::string bytes;
    fleetpb::RejectCode code;
  } rows[] = {
      {"an older connection", "b1", in_epoch(started("x"), epoch - 1), fleetpb::FENCED},
      {"a connection to come", "b1", in_epoch(started("x"), epoch + 1), fleetpb::FENCED},
      {"a robot that has not said Hello", "b2", in_epoch(started("x"), 1), fleetpb::SAY_HELLO},
      {"Hello of an unknown device", "b9", hello("b9", "").SerializeAsString(),
       fleetpb::NOT_ADMITTED},
      {"Hello under another's key", "b9", hello("b1", "").SerializeAsString(), fleetpb::INVALID},
      {"nothing", "b1", in_epoch({}, epoch), fleetpb::INVALID},
      {"no such list", "b1", in_epoch(started("none"), epoch), fleetpb::UNKNOWN},
  };
  say("b1", "\xff\xff\xff");  // a dead letter: who says such things hears no answer
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    say(row.key, row.bytes);
    const auto [key, answer] = hear();
    EXPECT_EQ(key, row.key);
    EXPECT_EQ(answer.reject().code(), row.code) << answer.ShortDebugString();
  }
  EXPECT_EQ(bot("b1").epoch(), epoch);
  EXPECT_EQ(bot("b1").status(), "idle");
}

}  // namespace
}  // namespace mallbots::test
