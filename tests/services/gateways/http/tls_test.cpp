#include "tests/services/gateways/http/tls_client.h"

#include "services/gateways/http/server.h"
#include "tests/support/temp_dir.h"

namespace mallbots::gateways {
namespace {

class TlsTest : public testing::Test {
 protected:
  void SetUp() override { make_certificate(certificate_, key_); }
  Result<std::unique_ptr<Server>> start(const std::string& bind) {
    Router router;
    router.get("/who", [](const Request& request) {
      return json_response(200, request.is_secure ? "\"secure\"" : "\"open\"");
    });
    router.post("/who", [](const Request&) { return empty_response(204); }, Body::kNone);
    return Server::start(
        {.name = "test", .bind = bind, .tls_certificate = certificate_, .tls_key = key_},
        std::move(router));
  }
  test::TempDir folder_;
  std::string certificate_ = folder_ / "certificate.pem";
  std::string key_ = folder_ / "key.pem";
};

TEST_F(TlsTest, AnswersOverTlsAndOpensToOtherMachines) {
  const auto server = start("0.0.0.0");
  ASSERT_TRUE(server) << server.error().detail;
  EXPECT_TRUE((*server)->address().starts_with("https://"));
  EXPECT_NE(ask_over_tls((*server)->port(), "/who", TLS1_3_VERSION).find("\"secure\""),
            std::string::npos);
  EXPECT_NE(ask_over_tls((*server)->port(), "/who", TLS1_2_VERSION).find("\"secure\""),
            std::string::npos);
}

TEST_F(TlsTest, OldVersionsAndPlainTextAreNotAnswered) {
  const auto server = start("127.0.0.1");
  ASSERT_TRUE(server);
  EXPECT_EQ(ask_over_tls((*server)->port(), "/who", TLS1_1_VERSION), "no handshake");
  RawClient plain((*server)->port());
  plain.say("GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(plain.is_ended());
  EXPECT_NE(ask_over_tls((*server)->port(), "/who", TLS1_3_VERSION).find("\"secure\""),
            std::string::npos);
}

TEST_F(TlsTest, PageThatCameWithoutTlsChangesNothing) {
  const auto server = start("127.0.0.1");
  ASSERT_TRUE(server);
  const auto status = [&](const std::string& origin) {
    return say_over_tls((*server)->port(),
                        "POST /who HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                        "Connection: close\r\nOrigin: " +
                            origin + "\r\n\r\n")
        .substr(9, 3);
  };
  EXPECT_EQ(status("https://localhost"), "204");
  EXPECT_EQ(status("http://localhost"), "403");
}

TEST_F(TlsTest, KeyOfAnotherCertificateIsNamed) {
  make_certificate(folder_ / "other.pem", key_);
  const auto server = start("127.0.0.1");
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, ErrorCode::kBadConfig);
  EXPECT_NE(server.error().detail.find("test.tls_key"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::gateways
