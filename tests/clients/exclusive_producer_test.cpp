#include <cstring>

#include "clients/producer.h"
#include "tests/clients/fixture.h"

namespace mallbots::test {
namespace {

using client::as_bytes;
using client::ExclusiveProducer;

class ExclusiveProducerTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
    create(*connection_, "x", 2, {{"producers", "exclusive"}});
  }
  [[nodiscard]] static std::unique_ptr<ExclusiveProducer> open(client::Connection& connection,
                                                               bool take_over = false) {
    auto opened =
        ExclusiveProducer::open(connection, "x", {.partition = 1, .take_over = take_over});
    if (!opened) ADD_FAILURE() << opened.error().sentence();
    return opened ? std::move(*opened) : nullptr;
  }
  static void write(ExclusiveProducer& producer, std::string_view text) {
    const auto space = producer.reserve(text.size());
    ASSERT_OK(space);
    std::memcpy(space->data(), text.data(), text.size());
  }
  std::unique_ptr<client::Connection> connection_;
};

TEST_F(ExclusiveProducerTest, WritesInPlaceAndCommitsAllAtOnce) {
  const auto own = open(*connection_);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("x", {}, client::Start::oldest()));
  write(*own, "one");
  write(*own, "two");
  EXPECT_TRUE(reader->poll(Deadline::passed())->empty());
  const auto receipt = own->commit();
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->records, 2U);
  EXPECT_EQ(receipt->partition, 1U);
  EXPECT_EQ(read(*reader, 2), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(own->commit().error().code, ErrorCode::kBadArgument);
}

TEST_F(ExclusiveProducerTest, GoesOnOverManySlots) {
  const auto own = open(*connection_);
  const std::string text(3'000, 'x');
  for (Offset i = 0; i < 300; ++i) {
    write(*own, text);
    const auto receipt = own->commit();
    ASSERT_OK(receipt);
    ASSERT_EQ(receipt->offset, i);
  }
  const std::vector<client::Record> records(10, {.payload = as_bytes("b")});
  EXPECT_EQ(own->append_batch(records, {.acks = client::Acks::kDurable})->offset, 300U);
  EXPECT_EQ(own->durable_offset(), 310U);
}

TEST_F(ExclusiveProducerTest, TheLeaseIsHeldUntilItIsTakenOver) {
  const auto own = open(*connection_);
  ASSERT_OK(own->append({.payload = as_bytes("mine")}));
  const auto other_connection = connect();
  const auto refused = ExclusiveProducer::open(*other_connection, "x", {.partition = 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kLeaseHeld);
  const auto other = open(*other_connection, true);
  const auto receipt = other->append({.payload = as_bytes("theirs")});
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->offset, 1U);
  for (int i = 0; i < 2; ++i) {
    const auto lost = own->append({.payload = as_bytes("too late")});
    ASSERT_FALSE(lost.has_value());
    EXPECT_EQ(lost.error().code, ErrorCode::kLeaseLost);
  }
}

TEST_F(ExclusiveProducerTest, KeepsItsLeaseOverTheDeathOfTheBroker) {
  const auto own = open(*connection_);
  const std::string text(2'000, 'x');
  for (Offset i = 0; i < 200; ++i) {
    const auto receipt = own->append({.payload = as_bytes(text)});
    ASSERT_OK(receipt);
    ASSERT_EQ(receipt->offset, i);
    if (i == 20) daemon_.signal_broker(SIGKILL);
  }
  ASSERT_OK(own->append({.payload = as_bytes(text)}, {.acks = client::Acks::kDurable}));
}

/// Silent for so long after a death of the broker that its session ended.
class SilentExclusiveProducerTest : public ClientTest {
 protected:
  SilentExclusiveProducerTest() : ClientTest({.config = "session.reattach = \"100ms\"\n"}) {}
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
    create(*connection_, "x", 1, {{"producers", "exclusive"}});
    own_ = std::move(ExclusiveProducer::open(*connection_, "x").value());
    ASSERT_OK(own_->append({.payload = as_bytes("before")}));
    ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
    ASSERT_TRUE(daemon_.logs("it had no connection for too long")) << daemon_.log();
  }
  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<ExclusiveProducer> own_;
};

TEST_F(SilentExclusiveProducerTest, TakesItsLeaseAgainIfNobodyElseDid) {
  const auto receipt = own_->append({.payload = as_bytes("after")});
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->offset, 1U);
}

TEST_F(SilentExclusiveProducerTest, GivesWayToWhoeverAsked) {
  const auto other_connection = connect();
  const auto other = ExclusiveProducer::open(*other_connection, "x");
  ASSERT_OK(other);
  EXPECT_EQ((*other)->append({.payload = as_bytes("theirs")})->offset, 1U);
  const auto lost = own_->append({.payload = as_bytes("too late")});
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, ErrorCode::kLeaseLost);
}

TEST_F(ExclusiveProducerTest, EachKindOfTopicHasItsKindOfProducer) {
  EXPECT_EQ(client::Producer::open(*connection_, "x").error().code, ErrorCode::kBadArgument);
  create(*connection_, "shared");
  EXPECT_EQ(ExclusiveProducer::open(*connection_, "shared").error().code, ErrorCode::kBadArgument);
}

}  // namespace
}  // namespace mallbots::test
