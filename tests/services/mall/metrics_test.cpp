// The metrics of the mall's processes, as Prometheus asks for them.
#include "services/mall/metrics_page.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "tests/services/gateways/http/raw_client.h"
#include "tests/services/mall/mall_fixture.h"

namespace mallbots::test {
namespace {

TEST(MetricsPort, OfEachServiceIsTheNextOne) {
  EXPECT_EQ(mall::metrics_port_of("customers", "9700").value(), "9700");
  EXPECT_EQ(mall::metrics_port_of("orders", "9700").value(), "9701");
  EXPECT_EQ(mall::metrics_port_of("orders", "0").value(), "0");
  for (const char* wrong : {"65535", "65536", "-1", "x", "9700x", "99999999999999999999"}) {
    const auto refused = mall::metrics_port_of("orders", wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, ErrorCode::kBadConfig);
    EXPECT_NE(refused.error().detail.find(wrong), std::string::npos) << refused.error().detail;
  }
}

std::string quoted(const std::string& label, const std::string& value) {
  return label + "=\"" + value + "\"";
}

/// Of the first line of that metric with these labels.
std::optional<double> value(const std::string& page, const std::string& metric,
                            const std::vector<std::string>& labels) {
  std::istringstream lines{page};
  for (std::string line; std::getline(lines, line);) {
    const auto end = line.find_first_of("{ ");
    if (line.substr(0, end) != metric) continue;
    const auto is_in = [&](const std::string& label) {
      return line.find(label) != std::string::npos;
    };
    if (std::ranges::all_of(labels, is_in)) return std::stod(line.substr(line.rfind(' ') + 1));
  }
  return std::nullopt;
}

class MallMetricsTest : public testing::TestWithParam<Manner> {
 protected:
  /// Of a published address, "http://127.0.0.1:40123/metrics".
  static gateways::RawAnswer get(const std::string& address, const std::string& path) {
    const auto colon = address.rfind(':');
    if (colon == std::string::npos) return {};
    return gateways::RawClient(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))))
        .ask("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  }
};

TEST_P(MallMetricsTest, EachProcessServesItsOwn) {
  RunningMall mall(GetParam(),
                   {.services = "orders,stores,search", .settings = {"metrics.port=0"}});
  ASSERT_TRUE(mall.start()) << mall.log();
  const bool is_together = GetParam() == Manner::kTogether;
  const std::string address = mall.address_of(is_together ? "metrics.mall" : "metrics.orders");
  ASSERT_TRUE(address.starts_with("http://127.0.0.1:")) << address;
  ASSERT_TRUE(address.ends_with("/metrics")) << address;
  const auto page = get(address, "/metrics");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(page.has("text/plain; version=0.0.4")) << page.head;
  EXPECT_EQ(value(page.body, "outbox_messages_waiting", {"service=\"stores\""}).has_value(),
            is_together);
  EXPECT_EQ(get(address, "/").status, 404);
  EXPECT_TRUE(mall.stop());
}

TEST_P(MallMetricsTest, TellWhatALittleTrafficGives) {
  RunningMall mall(GetParam(),
                   {.services = "orders,stores,search", .settings = {"metrics.port=0"}});
  ASSERT_TRUE(mall.start()) << mall.log();
  open_store(mall, {"s1", "Tea House", "10,4", {{"mug", 250}, {"cake", 199}}});
  fill_cart(mall, "o1", {{"mug", 2}, {"cake", 1}});
  orderspb::CheckOutCartRequest out;
  out.set_id("o1");
  out.set_customer_id("ada");
  out.set_payment_id("held");
  out.mutable_confirmed_total()->set_minor(699);
  out.mutable_confirmed_total()->set_currency("GBP");
  google::protobuf::Empty done;
  const auto checked_out =
      mall.ask("orders", &orderspb::OrdersService::Stub::CheckOutCart, out, &done);
  ASSERT_TRUE(checked_out.ok()) << checked_out.error_message();

  const bool is_together = GetParam() == Manner::kTogether;
  const auto page_of = [&](const char* service) {
    const std::string of = is_together ? "mall" : service;
    return get(mall.address_of("metrics." + of), "/metrics").body;
  };
  const auto becomes = [&](const char* service, const char* metric,
                           const std::vector<std::string>& labels, double wanted) {
    std::optional<double> now;
    EXPECT_TRUE(eventually(
        [&] {
          now = value(page_of(service), metric, labels);
          return now == wanted;
        },
        30))
        << metric << " is " << now.value_or(-1) << ", not " << wanted << page_of(service);
  };
  // Nobody is there who knows customers: the order waits for the answer.
  for (const auto& [state, count] : {std::pair{"running", 1}, {"undoing", 0}, {"stuck", 0}})
    becomes("orders", "saga_instances", {"saga=\"create-order\"", quoted("state", state)}, count);
  const std::vector<std::string> products{"handler=\"orders.catalogue\"",
                                          "topic=\"mallbots.stores.events.Product\""};
  becomes("orders", "messages_publish_to_consume_seconds_count", products, 2);
  becomes("orders", "messages_in_flight", products, 0);
  const std::string page = page_of("orders");
  EXPECT_EQ(value(page, "messages_processed_total", products).value_or(-1) -
                value(page, "messages_retried_total", products).value_or(-1),
            2);
  EXPECT_EQ(value(page, "messages_dead_lettered_total", products), 0);
  for (const char* service : {"orders", "stores", "search"}) {
    for (const char* metric : {"outbox_messages_waiting", "outbox_messages_refused"})
      becomes(service, metric, {quoted("service", service)}, 0);
    becomes(service, "service_metrics_failures_total", {}, 0);
  }
  for (const auto& [service, view] : {std::pair{"search", "search"}, {"stores", "catalogue"}}) {
    becomes(service, "view_lag_messages", {quoted("view", view)}, 0);
    becomes(service, "view_building", {quoted("view", view)}, 0);
  }
  EXPECT_TRUE(mall.stop());
}

TEST(MallMetrics, AreNoReasonToEndLateWhileTheBrokerIsAway) {
  RunningMall mall(
      Manner::kSeparate,
      {.services = "stores,search", .settings = {"metrics.port=0"}, .apart = "search"});
  ASSERT_TRUE(mall.start()) << mall.log();
  mall.daemon().process().kill_all();
  // sleep: how far the view is behind is asked for every 2 s, so the question is under way then
  std::this_thread::sleep_for(std::chrono::seconds{3});
  EXPECT_TRUE(mall.stop_apart(12));
  EXPECT_TRUE(mall.stop());
}

TEST_P(MallMetricsTest, AreServedToNobodyUnlessAskedFor) {
  RunningMall mall(GetParam(), {.services = "stores"});
  ASSERT_TRUE(mall.start()) << mall.log();
  EXPECT_EQ(mall.address_of("metrics.stores"), "");
  EXPECT_TRUE(mall.stop());
}

MALLBOTS_BOTH_WAYS(MallMetricsTest);

}  // namespace
}  // namespace mallbots::test
