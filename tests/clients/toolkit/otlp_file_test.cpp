// Spans as OTLP/JSON lines: the fields as OpenTelemetry publishes them, and the hops that give
// spans: handler, saga step, relay.
#include "clients/toolkit/otlp_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "clients/toolkit/testkit/test_kit.h"
#include "tests/clients/toolkit/crash_shop.h"
#include "tests/clients/toolkit/saga/service.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using Json = nlohmann::json;
using toolkit::OtlpFile;
using toolkit::Span;

constexpr const char* kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::vector<Json> lines_of(const std::string& path) {
  std::vector<Json> lines;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}
Json span_in(const Json& line) {
  return line.at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").at(0);
}
std::string attribute(const Json& span, const std::string& key) {
  for (const Json& one : span.at("attributes"))
    if (one.at("key") == key) return one.at("value").at("stringValue");
  return "";
}

TEST(OtlpFile, ALineIsWhatTheFileExporterOfOpenTelemetryWrites) {
  Span span{.context = {"5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"},
            .parent_id = "eee19b7ec3c1b173",
            .name = "orders bill",
            .kind = toolkit::SpanKind::kConsumer,
            .start_ns = 1'544'712'660'000'000'000,
            .duration_ns = 1'000'000'000,
            .attributes = {{"topic", "orders"}}};
  const auto line = Json::parse(otlp_line({.path = "", .service = "billing"}, span));
  EXPECT_EQ(line, Json::parse(R"({"resourceSpans":[{
    "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"billing"}}]},
    "scopeSpans":[{"scope":{"name":"mallbots.toolkit"},"spans":[{
      "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
      "parentSpanId":"eee19b7ec3c1b173","flags":1,"name":"orders bill","kind":5,
      "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000",
      "attributes":[{"key":"topic","value":{"stringValue":"orders"}}],"status":{}}]}]}]})"));
  span.parent_id.clear();
  span.failed = true;
  span.problem = "Down: \xff\"";
  const Json failed = span_in(Json::parse(otlp_line({.path = "", .service = "b"}, span)));
  EXPECT_FALSE(failed.contains("parentSpanId"));
  EXPECT_EQ(failed.at("status").at("code"), 2);
  EXPECT_EQ(failed.at("status").at("message"), "Down: \xef\xbf\xbd\"");
}

TEST(OtlpFile, M19_1_EachTryOfAHandlerIsALine) {
  const TempDir dir;
  const auto spans = OtlpFile::open({.path = dir / "spans", .service = "billing"}).value();
  toolkit::TestKit kit{{.middlewares = {toolkit::tracing(*spans)}}};
  ASSERT_TRUE(kit.router().add(
      {.name = "bill", .topics = {"orders"}, .group = "billing"},
      [](toolkit::Context&, const toolkit::Message& message) -> toolkit::Handled {
        return message.attempt() == 1 ? toolkit::try_again("Down", "once") : toolkit::Handled{};
      }));
  ASSERT_TRUE(kit.start());
  ASSERT_TRUE(kit.publish("orders", {.payload = "x", .id = "m1", .trace = kParent}));
  ASSERT_TRUE(kit.wait_until_quiet());
  const auto lines = lines_of(dir / "spans");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(spans->recorded(), 2U);
  const Json span = span_in(lines[0]);
  EXPECT_EQ(span.at("traceId"), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(span.at("parentSpanId"), "b7ad6b7169203331");
  EXPECT_EQ(span.at("name"), "orders bill");
  EXPECT_EQ(attribute(span, "topic"), "orders");
  EXPECT_EQ(attribute(span, "handler"), "bill");
  EXPECT_EQ(attribute(span, "message.id"), "m1");
  EXPECT_EQ(span.at("status").at("code"), 2);
  EXPECT_EQ(span.at("status").at("message"), "Down: once");
  EXPECT_EQ(span_in(lines[1]).at("status"), Json::object());
}

TEST(OtlpFile, M19_4_SagaStepsAndTheRelaysHopAreSpansOfTheTrace) {
  const TempDir dir;
  const auto spans = OtlpFile::open({.path = dir / "spans", .service = "shop"}).value();
  Service service;
  const toolkit::TopicNames names{.service = "shop"};
  toolkit::SagaRunner saga{
      toolkit::Saga<Order>{"order"}
          .begins_with<OrderPlaced>([](const OrderPlaced& event) { return event.id; },
                                    [](const OrderPlaced& event) { return Order{event}; })
          .step("make list", [](const Order& order,
                                toolkit::SagaOut& out) { out.send(Do{order.id, "make list"}); })
          .plan(),
      service.store(), names, &*spans};
  ASSERT_TRUE(saga.open());
  toolkit::Relay relay{*service.database, *service.outbox, service.bus, {.spans = &*spans}};
  const auto begun =
      service.database->transact([&](toolkit::Transaction& transaction) -> Result<void> {
        EXPECT_TRUE(saga.begin(transaction, "o-1", Order{{"o-1"}}, {.trace = kParent}));
        EXPECT_TRUE(lines_of(dir / "spans").empty());  // not before it is true
        return {};
      });
  ASSERT_TRUE(begun);
  EXPECT_EQ(relay.run_once().value(), 1U);
  const auto lines = lines_of(dir / "spans");
  ASSERT_EQ(lines.size(), 2U);
  const Json step = span_in(lines[0]);
  EXPECT_EQ(step.at("name"), "order make list");
  EXPECT_EQ(step.at("kind"), 1);
  EXPECT_EQ(attribute(step, "saga.instance"), "o-1");
  const Json hop = span_in(lines[1]);
  EXPECT_EQ(hop.at("name"), "commands.Do relay");
  EXPECT_EQ(hop.at("kind"), 4);
  EXPECT_NE(attribute(hop, "message.id"), "");
  EXPECT_NE(attribute(hop, "outbox.waited_ms"), "");
  for (const Json& span : {step, hop}) {
    EXPECT_EQ(span.at("traceId"), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(span.at("parentSpanId"), "b7ad6b7169203331");
  }
}

TEST(OtlpFile, WhatCannotBeWrittenIsCountedAndDisturbsNobody) {
  const auto spans = OtlpFile::open({.path = "/dev/full", .service = "shop"}).value();
  spans->record({.context = toolkit::TraceContext::start(), .name = "x"});
  EXPECT_EQ(spans->lost(), 1U);
  EXPECT_EQ(OtlpFile::open({.path = "/nowhere/x", .service = "s"}).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace mallbots::test
