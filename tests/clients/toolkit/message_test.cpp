// What a draft says, a message says; what is not said is filled in so that chains hold.
#include "clients/toolkit/message.h"

#include <gtest/gtest.h>

#include <set>

#include "clients/toolkit/dead_letter.h"

namespace mallbots::test {
namespace {

using toolkit::Draft;
using toolkit::Message;

client::OwnedMessage on_the_log(const Draft& draft) {
  const toolkit::DraftRecord record{draft};
  auto made = client::as_message(
      record.record(), {.topic = "orders", .partition = 3, .offset = 7, .timestamp_ms = 1'000});
  EXPECT_TRUE(made) << made.error().sentence();
  return std::move(*made);
}

TEST(Message, SaysWhatTheDraftSaid) {
  const Draft draft{.payload = "{}",
                    .name = "order_created",
                    .version = 2,
                    .key = "order-1",
                    .id = "id-1",
                    .correlation_id = "request-1",
                    .causation_id = "id-0",
                    .trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                    .trace_state = "a=b",
                    .headers = {{"currency", "EUR"}}};
  const auto logged = on_the_log(draft);
  const Message message{logged.view(), 4};
  EXPECT_EQ(message.id(), "id-1");
  EXPECT_EQ(message.name(), "order_created");
  EXPECT_EQ(message.version(), 2U);
  EXPECT_EQ(message.key(), "order-1");
  EXPECT_EQ(message.payload(), "{}");
  EXPECT_EQ(message.correlation_id(), "request-1");
  EXPECT_EQ(message.causation_id(), "id-0");
  EXPECT_EQ(message.trace(), draft.trace);
  EXPECT_EQ(message.header("currency"), "EUR");
  EXPECT_EQ(message.attempt(), 4U);
  EXPECT_EQ(message.topic(), "orders");
  EXPECT_EQ(message.published_ms(), 1'000);
  EXPECT_EQ(message.with_payload(client::as_bytes("other")).payload(), "other");
}

TEST(Message, OfAStrangerHasItsPlaceForAnId) {
  auto made = client::as_message({.payload = client::as_bytes("x")},
                                 {.topic = "t", .partition = 1, .offset = 9});
  ASSERT_TRUE(made);
  const Message message{made->view()};
  EXPECT_EQ(message.id(), "t/1/9");
  EXPECT_EQ(message.name(), "");
  EXPECT_EQ(message.version(), 1U);
  EXPECT_EQ(message.correlation_id(), "gen_t/1/9");
}

TEST(Message, AVersionThatIsNoNumberIsNone) {
  const Draft draft{.id = "i", .headers = {{"msg.version", "2x"}}};
  const auto logged = on_the_log(draft);
  EXPECT_EQ(Message{logged.view()}.version(), 0U);
}

TEST(Draft, CarriesOnWhatCausedIt) {
  const auto cause_record =
      on_the_log({.id = "id-1", .correlation_id = "request-1", .actor = "staff:ann"});
  Draft draft;
  toolkit::fill(draft, Message{cause_record.view()}.as_cause());
  EXPECT_EQ(draft.actor, "staff:ann");
  EXPECT_EQ(draft.correlation_id, "request-1");
  EXPECT_EQ(draft.causation_id, "id-1");
  EXPECT_EQ(draft.id.size(), 36U);
}

TEST(Draft, NeverOverwritesAnIdThatItHas) {
  Draft draft{.id = "mine", .correlation_id = "mine too", .causation_id = "and this"};
  toolkit::fill(draft, {.correlation_id = "theirs", .causation_id = "theirs"});
  EXPECT_EQ(draft.id, "mine");
  EXPECT_EQ(draft.correlation_id, "mine too");
  EXPECT_EQ(draft.causation_id, "and this");
}

TEST(Draft, AGeneratedCorrelationIdCanBeRecognised) {
  Draft draft;
  toolkit::fill(draft, {});
  EXPECT_EQ(draft.correlation_id, "gen_" + draft.id);
}

TEST(Draft, OfAMessageIsTheSameWithoutItsObituary) {
  const Draft first{.payload = "p",
                    .name = "n",
                    .key = "k",
                    .id = "i",
                    .correlation_id = "c",
                    .headers = {{"mine", "1"}, {"dlq.topic", "orders"}}};
  const auto logged = on_the_log(first);
  const Draft again = toolkit::draft_of(Message{logged.view()});
  EXPECT_EQ(again.id, "i");
  EXPECT_EQ(again.payload, "p");
  EXPECT_EQ(again.key, "k");
  EXPECT_EQ(again.correlation_id, "c");
  EXPECT_EQ(again.headers, (std::vector<std::pair<std::string, std::string>>{{"mine", "1"}}));
}

TEST(MessageId, IsNewEachTimeAndAUuidOfVersion7) {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = toolkit::new_message_id();
    ASSERT_EQ(id.size(), 36U);
    ASSERT_EQ(id[14], '7');
    ASSERT_NE(std::string{"89ab"}.find(id[19]), std::string::npos);
    ASSERT_TRUE(seen.insert(id).second);
  }
}

}  // namespace
}  // namespace mallbots::test
