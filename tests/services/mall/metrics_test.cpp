// The metrics of the mall's processes, as Prometheus asks for them.
#include "services/mall/metrics_page.h"

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
  for (const char* metric : {"outbox_messages_waiting{service=\"orders\"}",
                             "saga_instances{saga=\"create-order\",state=\"stuck\"}"})
    EXPECT_NE(page.body.find(metric), std::string::npos) << metric << page.body;
  EXPECT_EQ(page.body.find("service=\"stores\"") != std::string::npos, is_together);
  const auto searching = get(is_together ? address : mall.address_of("metrics.search"), "/metrics");
  EXPECT_NE(searching.body.find("view_lag_messages{view=\"search\"}"), std::string::npos);
  EXPECT_EQ(get(address, "/").status, 404);
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
