// The gateway's TCP door: where it may be bound, and TLS from PEM files.
#include <fstream>

#include "services/runtime/read_file.h"
#include "tests/services/gateways/fleet/fleet_fixture.h"
#include "tests/services/gateways/http/tls_client.h"

namespace mallbots::test {
namespace {

class DoorTest : public FleetTest {
 protected:
  void SetUp() override {
    FleetTest::SetUp();
    gateways::make_certificate(certificate_, key_);
    gateways::make_certificate(other_certificate_, other_key_);
  }
  [[nodiscard]] Settings with_tls() const {
    return {{"fleet.tls_certificate", certificate_}, {"fleet.tls_key", key_}};
  }
  void restart_gateway(const Settings& settings) {
    stop_gateway();
    fleet_settings_ = settings;
    start_gateway();
  }
  /// Of a gateway that does not start.
  Error refusal(const Settings& settings) {
    const auto host = open_host("refused", settings);
    const auto made = fleet::open_fleet(*host);
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
  }
  /// Somebody who speaks TLS and trusts that certificate alone.
  std::unique_ptr<TestRobot> robot_that_trusts(const std::string& certificate) {
    robot("b1")->die();  // its credential
    const auto credentials =
        grpc::SslCredentials({.pem_root_certs = read_file(certificate).value()});
    return std::make_unique<TestRobot>(channel_to(fleet_->port(), credentials), "b1",
                                       secrets_["b1"]);
  }

  TempDir pem_;
  std::string certificate_ = pem_ / "certificate.pem";
  std::string key_ = pem_ / "key.pem";
  std::string other_certificate_ = pem_ / "other_certificate.pem";
  std::string other_key_ = pem_ / "other_key.pem";
};

TEST_F(DoorTest, ARobotThatTrustsTheCertificateWorksOverTls) {
  restart_gateway(with_tls());
  const auto robbie = robot_that_trusts(certificate_);
  robbie->hello();
  const std::string id = list_of("o1");
  EXPECT_EQ(robbie->directive().offer().list_id(), id);
  robbie->do_report(started(id));
  EXPECT_EQ(bot("b1").epoch(), 1U);
}

TEST_F(DoorTest, WhoTrustsAnotherCertificateOrSpeaksPlainTextSaysNoHello) {
  restart_gateway(with_tls());
  const auto distrustful = robot_that_trusts(other_certificate_);
  distrustful->say_hello();
  EXPECT_FALSE(distrustful->read());
  EXPECT_EQ(distrustful->finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto plain = robot("b1");
  plain->say_hello();
  EXPECT_FALSE(plain->read());
  EXPECT_EQ(plain->finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  // The secret was not heard, and the door stands.
  EXPECT_EQ(fleet_->numbers().welcomed, 0U);
  robot_that_trusts(certificate_)->hello();
  EXPECT_EQ(bot("b1").epoch(), 1U);
}

TEST_F(DoorTest, AnOpenAddressNeedsTlsAndTheRefusalSaysHow) {
  for (const char* bind : {"0.0.0.0", "::", "192.0.2.1", "127.one.example"}) {
    SCOPED_TRACE(bind);
    const Error error = refusal({{"fleet.bind", bind}});
    EXPECT_EQ(error.code, ErrorCode::kBadConfig);
    EXPECT_NE(error.detail.find(bind), std::string::npos) << error.detail;
    EXPECT_NE(error.detail.find("fleet.tls_certificate"), std::string::npos) << error.detail;
    EXPECT_NE(error.detail.find("127.0.0.1"), std::string::npos) << error.detail;
  }
  Settings open = with_tls();
  open["fleet.bind"] = "0.0.0.0";
  restart_gateway(open);
  robot_that_trusts(certificate_)->hello();
}

TEST_F(DoorTest, PemFilesThatAreNoneAreRefusedAndNamed) {
  const std::string junk = pem_ / "junk.pem";
  std::ofstream(junk) << "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
  const std::string missing = pem_ / "missing.pem";
  const struct {
    const char* what;
    std::string certificate;
    std::string key;
    ErrorCode code;
    std::string named;
  } rows[] = {
      {"no key", certificate_, "", ErrorCode::kBadConfig, "fleet.tls_key"},
      {"no certificate", "", key_, ErrorCode::kBadConfig, "fleet.tls_certificate"},
      {"a file that is not there", missing, key_, ErrorCode::kIo, missing},
      {"a key that is not there", certificate_, missing, ErrorCode::kIo, missing},
      {"a certificate that is none", junk, key_, ErrorCode::kBadConfig, "fleet.tls_certificate"},
      {"a key that is none", certificate_, junk, ErrorCode::kBadConfig, "fleet.tls_key"},
      {"the key of another", certificate_, other_key_, ErrorCode::kBadConfig, "fleet.tls_key"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    const Error error =
        refusal({{"fleet.tls_certificate", row.certificate}, {"fleet.tls_key", row.key}});
    EXPECT_EQ(error.code, row.code) << error.sentence();
    EXPECT_NE(error.detail.find(row.named), std::string::npos) << error.detail;
  }
}

}  // namespace
}  // namespace mallbots::test
