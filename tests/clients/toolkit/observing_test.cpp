// What one sees of a service: lines, traces, claims, the order of middlewares, and what the test
// kit says.
#include <fstream>
#include <set>

#include "clients/toolkit/claim_check.h"
#include "clients/toolkit/middleware/breaker.h"
#include "clients/toolkit/middleware/chaos.h"
#include "clients/toolkit/middleware/dedup.h"
#include "clients/toolkit/middleware/logging.h"
#include "clients/toolkit/middleware/poison.h"
#include "clients/toolkit/middleware/retry.h"
#include "clients/toolkit/middleware/throttle.h"
#include "clients/toolkit/middleware/timeout.h"
#include "clients/toolkit/middleware/tracing.h"
#include "tests/clients/toolkit/middleware_fixture.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using namespace toolkit;

// --- Logging, tracing

TEST_F(MiddlewareTest, M5_1_ALineNamesTheMessageItsHandlerAndTheCorrelation) {
  add({logging(log_, {.payload_bytes = 100})},
      [](Context&, const Message&) -> Handled { return {}; });
  publish(
      {.payload = "{\"a\": 1}", .name = "order_created", .id = "i", .correlation_id = "request-1"});
  run();
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0],
            "info handled message_id=i name=order_created topic=in handler=h "
            "correlation_id=request-1 attempt=1 payload=\"{\\\"a\\\": 1}\" duration_ms=0");
}

TEST_F(MiddlewareTest, M5_2_TheCorrelationIdReachesEveryMessageDownstream) {
  add({}, [](Context& context, const Message&) -> Handled {
    context.publish("second", {.payload = "returned"});
    EXPECT_OK(context.publish_now("second", {.payload = "through the bus"}));  // M5.4
    return {};
  });
  ASSERT_OK(kit().router().add({.name = "next", .topics = {"second"}, .group = "next"},
                               [](Context& context, const Message&) -> Handled {
                                 context.publish("third", {.payload = "x"});
                                 return {};
                               }));
  publish({.payload = "x", .correlation_id = "request-1"});
  run();
  const auto third = once(kit().published("third"));
  ASSERT_EQ(third.size(), 2U);
  for (const auto& one : third) EXPECT_EQ(Message{one.view()}.correlation_id(), "request-1");
}

struct Spans final : SpanRecorder {
  void record(Span span) override {
    const std::scoped_lock lock{mutex};
    all.push_back(std::move(span));
  }
  std::mutex mutex;
  std::vector<Span> all;
};

TEST_F(MiddlewareTest, M19_TheTraceGoesOnAndEachTryIsASpanOfItsOwn) {
  Spans spans;
  add({tracing(spans), retry()}, [](Context& context, const Message& message) -> Handled {
    if (message.attempt() == 1) return try_again("Down", "once");
    context.publish("out", {.payload = "x"});
    return {};
  });
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  publish({.payload = "x", .trace = parent});
  run();
  ASSERT_EQ(spans.all.size(), 2U);
  for (const Span& span : spans.all) {
    EXPECT_EQ(span.name, "in h");
    EXPECT_EQ(span.context.trace_id, "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(span.parent_id, "b7ad6b7169203331");
  }
  EXPECT_TRUE(spans.all[0].failed);
  EXPECT_EQ(spans.all[0].problem, "Down: once");
  EXPECT_FALSE(spans.all[1].failed);
  const auto out = once(kit().published("out"));
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0]->trace_context(), spans.all[1].context.traceparent());
}

TEST(TraceContext, ReadsWhatItWritesAndNothingElse) {
  const TraceContext start = TraceContext::start();
  const auto read = TraceContext::parse(start.traceparent());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->traceparent(), start.traceparent());
  EXPECT_EQ(start.child().trace_id, start.trace_id);
  EXPECT_NE(start.child().span_id, start.span_id);
  EXPECT_TRUE(TraceContext::parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"));
  for (const char* wrong : {"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"})
    EXPECT_FALSE(TraceContext::parse(wrong)) << wrong;
}

// --- Claim check

TEST_F(MiddlewareTest, ALargePayloadGoesByTheStoreAndTheHandlerSeesNoDifference) {
  TempDir folder;
  DirectoryClaims store{folder.path()};
  ClaimingPublisher publisher{kit().bus(), store, 100};
  std::set<std::string> seen;
  add({claims(store)}, [&](Context&, const Message& message) -> Handled {
    seen.emplace(message.payload());
    return {};
  });
  const std::string large(100'000, 'x');
  std::vector<Draft> drafts{{.payload = "small"}, {.payload = large}};
  ASSERT_OK(toolkit::publish(publisher, "in", drafts));
  run();
  EXPECT_EQ(seen, (std::set<std::string>{"small", large}));
  EXPECT_EQ(kit().published_texts("in"), (Strings{"small", ""}));
}

TEST(DirectoryClaims, FindsDamageAndRefusesNamesThatAreNotItsOwn) {
  TempDir folder;
  DirectoryClaims store{folder.path()};
  const auto name = store.put("payload");
  ASSERT_OK(name);
  EXPECT_EQ(store.put("payload").value(), *name) << "the same content is kept once";
  EXPECT_EQ(store.get(*name).value(), "payload");
  EXPECT_EQ(store.get("../../etc/passwd").error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(store.get(std::string(32, 'a')).error().code, ErrorCode::kIo);
  std::ofstream{folder / *name} << "other";
  EXPECT_EQ(store.get(*name).error().code, ErrorCode::kCorrupt);
}

// --- The order

TEST_F(MiddlewareTest, M5_5_AllOfThemInTheirDocumentedOrderAndNoTwoSwapped) {
  counts_calls();  // and has chaos of its own
  Spans spans;
  const std::vector<Middleware> right{tracing(spans), logging(log_),  poison(),
                                      retry(),        chaos({}),      dedup(),
                                      breaker(),      throttle(1, 1), timeout(1)};
  const auto add_with = [&](std::vector<Middleware> middlewares) {
    return kit().router().add(
        {.name = "h", .topics = {"in"}, .group = "g", .middlewares = std::move(middlewares)},
        [](Context&, const Message&) -> Handled { return {}; });
  };
  for (std::size_t i = 0; i < right.size(); ++i) {
    for (std::size_t j = i + 1; j < right.size(); ++j) {
      const auto wrong = add_with({right[j], right[i]});
      ASSERT_FALSE(wrong) << right[j].name << " outside " << right[i].name;
      EXPECT_NE(wrong.error().detail.find("'" + right[i].name + "' must stand before (outside) '" +
                                          right[j].name + "'"),
                std::string::npos)
          << wrong.error().detail;
    }
  }
  EXPECT_OK(add_with(right));
}

TEST(Router, MergesItsMiddlewaresWithTheHandlersByTheirLayer) {
  TestKit kit{{.middlewares = {retry()}}};
  Strings lines;
  const auto log = [&](const LogLine& line) { lines.push_back(as_text(line)); };
  ASSERT_OK(
      kit.router().add({.name = "h", .topics = {"in"}, .group = "g", .middlewares = {logging(log)}},
                       [](Context&, const Message& message) -> Handled {
                         if (message.attempt() == 1) return try_again("Down", "once");
                         return {};
                       }));
  const auto twice =
      kit.router().add({.name = "x", .topics = {"in"}, .group = "x", .middlewares = {retry()}},
                       [](Context&, const Message&) -> Handled { return {}; });
  EXPECT_FALSE(twice) << "retry in retry";
  ASSERT_OK(kit.publish("in", {.payload = "x"}));
  ASSERT_OK(kit.start());
  ASSERT_OK(kit.wait_until_quiet());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].find("again in 100 ms"), std::string::npos) << "logging stands outside retry";
}

TEST_F(MiddlewareTest, ABatchRefusesWhatMustActBeforeTheHandler) {
  const auto refused = kit().router().add_batch(
      {.name = "h", .topics = {"in"}, .group = "g", .middlewares = {dedup()}}, {},
      [](std::span<BatchItem>) {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("takes batches, which 'dedup' cannot wrap"),
            std::string::npos);
  EXPECT_OK(kit().router().add_batch({.name = "h",
                                      .topics = {"in"},
                                      .group = "g",
                                      .middlewares = {logging(log_), poison(), retry()}},
                                     {}, [](std::span<BatchItem>) {}));
}

// --- The test kit

TEST(TestKit, SaysWhatIsStillPending) {
  TestKit kit;
  ASSERT_OK(kit.router().add(
      {.name = "h", .topics = {"in"}, .group = "g", .max_deliveries = 0},
      [](Context&, const Message&) -> Handled { return try_again("Down", "always", 3'600'000); }));
  kit.also_wait_for("rows in the outbox", [] { return std::size_t{2}; });
  ASSERT_OK(kit.publish("in", {.payload = "x"}));
  ASSERT_OK(kit.start());
  ASSERT_TRUE(eventually([&] { return kit.bus().backlog().groups.at(0).waiting == 1; }));
  const auto quiet = kit.wait_until_quiet({.patience_ms = 50, .may_move_time = false});
  ASSERT_FALSE(quiet);
  EXPECT_EQ(quiet.error().code, ErrorCode::kTimeout);
  EXPECT_NE(quiet.error().detail.find("2 rows in the outbox"), std::string::npos);
  EXPECT_NE(quiet.error().detail.find("group 'g': 0 to be handled, 0 being handled, 1 waiting"),
            std::string::npos)
      << quiet.error().detail;
}

TEST(TestKit, MovesTheClockToWhatIsScheduled) {
  TestKit kit;
  std::set<UnixMillis> at;
  ASSERT_OK(kit.router().add({.name = "h", .topics = {"in"}, .group = "g"},
                             [&](Context& context, const Message&) -> Handled {
                               at.insert(context.clock().wall_ms());
                               return {};
                             }));
  const UnixMillis tomorrow = kit.clock().wall_ms() + 86'400'250;  // no whole second (D7)
  ASSERT_OK(kit.publish("in", {.payload = "x", .publish_at = tomorrow}));
  ASSERT_OK(kit.start());
  ASSERT_OK(kit.wait_until_quiet());
  EXPECT_EQ(at, std::set<UnixMillis>{tomorrow});
}

}  // namespace
}  // namespace mallbots::test
