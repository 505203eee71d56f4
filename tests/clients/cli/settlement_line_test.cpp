#include "clients/cli/settlement_line.h"

#include <gtest/gtest.h>

namespace mallbots::client::cli {
namespace {

using Verb = SettlementLine::Verb;

TEST(SettlementLine, EachVerbIsUnderstood) {
  const auto ack = parse_settlement_line("ack orders/3/17/1");
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->verb, Verb::kAck);
  EXPECT_EQ(ack->token, (QueueToken{"orders", 3, 17, 1}));
  const auto nack = parse_settlement_line("nack orders/0/0/2");
  ASSERT_TRUE(nack);
  EXPECT_EQ(nack->verb, Verb::kNack);
  EXPECT_EQ(nack->delay_ms, 0U);
  const auto later = parse_settlement_line("nack orders/0/0/2 1m30s");
  ASSERT_TRUE(later);
  EXPECT_EQ(later->delay_ms, 90'000U);
  EXPECT_TRUE(parse_settlement_line("nack orders/0/0/2 24h"));
  const auto reject = parse_settlement_line("reject orders/0/0/2 no such  street/9");
  ASSERT_TRUE(reject);
  EXPECT_EQ(reject->verb, Verb::kReject);
  EXPECT_EQ(reject->reason, "no such  street/9");
  const auto extend = parse_settlement_line("extend orders/0/0/2");
  ASSERT_TRUE(extend);
  EXPECT_EQ(extend->verb, Verb::kExtend);
}

TEST(SettlementLine, ATokenComesBackAsItWasWritten) {
  for (const QueueToken& token :
       {QueueToken{"orders", 0, 0, 1}, QueueToken{"two words", 4095, 1ULL << 60, 4'294'967'295U}}) {
    const auto parsed = parse_settlement_line("ack " + token_text(token));
    ASSERT_TRUE(parsed) << token_text(token);
    EXPECT_EQ(parsed->token, token);
  }
}

TEST(SettlementLine, AnythingElseIsRefusedWithItsText) {
  for (const char* line : {"",
                           "ack",
                           "ack ",
                           "Ack t/0/0/1",
                           "ok t/0/0/1",
                           "ack t",
                           "ack t/0",
                           "ack t/0/1",
                           "ack t/0/1/",
                           "ack /0/1/1",
                           "ack t/0/1/1/1",
                           "ack t/-1/1/1",
                           "ack t/0/1/4294967296",
                           "ack t/4294967296/1/1",
                           "ack t/0/1/1 now",
                           "extend t/0/1/1 5s",
                           "nack t/0/1/1 soon",
                           "nack t/0/1/1 25h",
                           "nack t/0/1/1 -5s",
                           " ack t/0/1/1"}) {
    const auto parsed = parse_settlement_line(line);
    ASSERT_FALSE(parsed) << line;
    EXPECT_EQ(parsed.error().code, ErrorCode::kBadArgument);
    EXPECT_NE(parsed.error().detail.find("'" + std::string{line} + "'"), std::string::npos)
        << parsed.error().detail;
  }
}

}  // namespace
}  // namespace mallbots::client::cli
