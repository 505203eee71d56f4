// Who gets as far as the kiosk's calls: addresses, TLS, credentials.
#include "services/gateways/access/devices.h"
#include "services/gateways/kiosk/kiosk.h"
#include "tests/services/gateways/http/tls_client.h"
#include "tests/services/gateways/kiosk/kiosk_fixture.h"

namespace mallbots::kiosk {
namespace {

class EntryTest : public KioskTest {
 protected:
  /// What making the service with these settings gives.
  Result<std::uint16_t> try_open(Mall::Settings settings) {
    auto host = Host::open({.name = "test",
                            .runtime_dir = daemon_.runtime_dir(),
                            .data_dir = daemon_.folder() / "shop",
                            .settings = std::move(settings),
                            .log = [](const toolkit::LogLine&) {}});
    if (!host) return std::unexpected(host.error());
    const auto kiosk = open_kiosk(**host);
    if (!kiosk) return std::unexpected(kiosk.error());
    return (*kiosk)->port();
  }
  gateways::Devices devices_{gateways::devices_file(daemon_.folder() / "shop")};
};

TEST_F(EntryTest, AddressThatOthersReachIsRefusedWithoutTlsAndTheRemedyIsSaid) {
  for (const char* address : {"0.0.0.0", "::", "192.0.2.1"}) {
    const auto refused = try_open({{"kiosk.bind", address}});
    ASSERT_FALSE(refused) << address;
    EXPECT_EQ(refused.error().code, ErrorCode::kBadConfig);
    EXPECT_THAT(refused.error().sentence(), HasSubstr("kiosk.tls_certificate"));
    EXPECT_THAT(refused.error().sentence(), HasSubstr("kiosk.tls_key"));
  }
  EXPECT_TRUE(try_open({{"kiosk.bind", "127.0.0.1"}}));
}

TEST_F(EntryTest, SettingsThatAreNoneAreNamed) {
  for (const auto& [name, value] : Mall::Settings{{"kiosk.bind", "the hall"},
                                                  {"kiosk.port", "65536"},
                                                  {"kiosk.workers", "many"},
                                                  {"kiosk.timeout_ms", "-1"},
                                                  {"kiosk.requests_per_s", "1e3"},
                                                  {"kiosk.tls_key", "/nowhere.pem"}}) {
    const auto refused = try_open({{name, value}});
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kBadConfig) << name;
    EXPECT_THAT(refused.error().sentence(), HasSubstr(name));
  }
}

TEST_F(EntryTest, TlsFromPemFilesOpensTheKioskToOthers) {
  const std::string certificate = daemon_.folder() / "certificate.pem";
  const std::string key = daemon_.folder() / "key.pem";
  gateways::make_certificate(certificate, key);
  open({},
       {{"kiosk.bind", "0.0.0.0"}, {"kiosk.tls_certificate", certificate}, {"kiosk.tls_key", key}});
  const std::uint16_t port = mall_->kiosk().port();
  EXPECT_THAT(gateways::ask_over_tls(port, "/kiosk/v1/health"), HasSubstr("serving"));
  EXPECT_EQ(RawClient(port).ask("GET /kiosk/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n").status,
            0);
}

TEST_F(EntryTest, EveryCallFromElsewhereNeedsACredential) {
  Kiosk kiosk{KioskParts{.devices = &devices_}};  // no context is asked
  const gateways::Router router = kiosk.routes();
  ASSERT_FALSE(router.routes().empty());
  for (const gateways::Route& route : router.routes()) {
    gateways::Request request;
    request.method = route.method;
    EXPECT_EQ(route.handler(request).status, 401) << route.pattern;
    request.headers = {{"authorization", "Bearer hall.1." + std::string(64, '0')}};
    EXPECT_EQ(route.handler(request).status, 401) << route.pattern;
  }
}

TEST_F(EntryTest, CredentialIsAskedForWhenSetSoAndEndsWhenItIsRevoked) {
  open({orders::make_orders}, {{"kiosk.loopback_credential", "on"}});
  const Told nobody = ask("POST", "/kiosk/v1/carts");
  EXPECT_EQ(nobody.problem(), "no-credential");
  EXPECT_THAT(nobody.head, HasSubstr("WWW-Authenticate: Bearer"));
  const auto secret = devices_.add(gateways::DeviceKind::kKiosk, "hall.1");
  const auto robot = devices_.add(gateways::DeviceKind::kBot, "b1");
  ASSERT_TRUE(secret && robot);
  const std::string right = "Authorization: Bearer hall.1." + *secret + "\r\n";
  EXPECT_FALSE(start(right).id.empty());
  for (const std::string& wrong :
       {"hall.2." + *secret, "hall.1." + secret->substr(1), std::string("hall.1"), std::string(),
        *secret, "b1." + *robot, "hall.1." + *secret + "0"}) {
    EXPECT_EQ(
        ask("POST", "/kiosk/v1/carts", nullptr, "Authorization: Bearer " + wrong + "\r\n").status,
        401)
        << wrong;
  }
  EXPECT_EQ(ask("POST", "/kiosk/v1/carts", nullptr, "Authorization: Basic aDp4\r\n").status, 401);
  EXPECT_EQ(ask("GET", "/kiosk/v1/health").status, 200);
  ASSERT_TRUE(devices_.revoke(gateways::DeviceKind::kKiosk, "hall.1"));
  EXPECT_EQ(ask("POST", "/kiosk/v1/carts", nullptr, right).problem(), "no-credential");
}

}  // namespace
}  // namespace mallbots::kiosk
