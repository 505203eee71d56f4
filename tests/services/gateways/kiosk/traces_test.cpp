// One order's spans, from the kiosk's call through events, commands and outboxes to the saga's
// steps, are one trace: that of the caller.
#include <fstream>
#include <set>

#include "tests/services/gateways/kiosk/kiosk_fixture.h"

namespace mallbots::kiosk {
namespace {

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kCallersSpan = "b7ad6b7169203331";

struct Spans {
  std::set<std::string> ids;
  std::set<std::string> parents;
  std::set<std::string> services;
  std::set<std::string> steps;  ///< of the order's saga
  std::size_t strange_steps = 0;
};

std::string attribute(const json& of, const std::string& key) {
  for (const json& one : of.at("attributes"))
    if (one.at("key") == key) return one.at("value").at("stringValue");
  return {};
}

/// Those of the trace; steps of the order's saga wherever they are.
Spans read_spans(const std::string& path, const std::string& order) {
  Spans spans;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const json read = json::parse(line, nullptr, false);
    if (read.is_discarded()) continue;  // still being written
    const json& of = read.at("resourceSpans").at(0);
    const json& span = of.at("scopeSpans").at(0).at("spans").at(0);
    const bool is_ours = span.at("traceId") == kTrace;
    if (attribute(span, "saga.instance") == order) {
      if (is_ours)
        spans.steps.insert(span.at("name"));
      else
        ++spans.strange_steps;
    }
    if (!is_ours) continue;
    spans.ids.insert(span.at("spanId"));
    spans.parents.insert(span.value("parentSpanId", ""));
    spans.services.insert(attribute(of.at("resource"), "service.name"));
  }
  return spans;
}

TEST_F(KioskTest, AnOrdersSpansFromTheCallToTheSagaAreOneTrace) {
  const std::string path = daemon_.folder() / "traces.jsonl";
  open(kAll, {{"traces.file", path}});
  fill();
  const Told told = ask("POST", path_of(cart_) + "/submit",
                        {{"phone", "+44 1234 567890"},
                         {"name", "Ann"},
                         {"card_token", "tok_visa"},
                         {"confirmed_total", {{"minor", 699}, {"currency", "GBP"}}}},
                        with(cart_) + "Idempotency-Key: " + kKey + "\r\ntraceparent: 00-" + kTrace +
                            "-" + kCallersSpan + "-01\r\n");
  ASSERT_EQ(told.status, 201) << told.body;
  ASSERT_TRUE(test::eventually([&] { return order(cart_).body["status"] == "approved"; }));
  const std::set<std::string> wanted{"customers", "depot", "kiosk", "orders", "payments", "test"};
  Spans spans;
  // Spans are written when they end, children before their parents.
  const bool is_whole = test::eventually([&] {
    spans = read_spans(path, cart_.id);
    std::erase_if(spans.parents, [&](const auto& id) { return spans.ids.contains(id); });
    return spans.services == wanted && spans.parents == std::set<std::string>{kCallersSpan};
  });
  EXPECT_TRUE(is_whole) << testing::PrintToString(spans.services)
                        << " parents away: " << testing::PrintToString(spans.parents);
  EXPECT_GE(spans.steps.size(), 4U) << testing::PrintToString(spans.steps);
  EXPECT_EQ(spans.strange_steps, 0U);
}

}  // namespace
}  // namespace mallbots::kiosk
