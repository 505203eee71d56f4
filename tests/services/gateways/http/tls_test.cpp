#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>

#include "services/gateways/http/server.h"
#include "tests/services/gateways/http/raw_client.h"
#include "tests/support/temp_dir.h"

namespace mallbots::gateways {
namespace {

/// A key and the certificate that it signed for itself, as PEM files.
void make_certificate(const std::string& certificate_path, const std::string& key_path) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3'600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  ASSERT_NE(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  std::FILE* file = std::fopen(certificate_path.c_str(), "w");
  PEM_write_X509(file, certificate.get());
  std::fclose(file);
  file = std::fopen(key_path.c_str(), "w");
  PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
}

class TlsTest : public testing::Test {
 protected:
  void SetUp() override { make_certificate(certificate_, key_); }
  Result<std::unique_ptr<Server>> start(const std::string& bind) {
    Router router;
    router.get("/who", [](const Request& request) {
      return json_response(200, request.is_secure ? "\"secure\"" : "\"open\"");
    });
    return Server::start(
        {.name = "test", .bind = bind, .tls_certificate = certificate_, .tls_key = key_},
        std::move(router));
  }
  /// What comes back, at the given version of TLS.
  static std::string ask(std::uint16_t port, int version) {
    using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
    const Context context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    RawClient client(port);
    const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), SSL_free);
    SSL_set_fd(tls.get(), client.descriptor());
    if (SSL_connect(tls.get()) != 1) return "no handshake";
    const std::string request = "GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    SSL_write(tls.get(), request.data(), static_cast<int>(request.size()));
    std::string text;
    char bytes[1024];
    int got = 0;
    while ((got = SSL_read(tls.get(), bytes, sizeof bytes)) > 0) {
      text.append(bytes, static_cast<std::size_t>(got));
    }
    return text;
  }

  test::TempDir folder_;
  std::string certificate_ = folder_ / "certificate.pem";
  std::string key_ = folder_ / "key.pem";
};

TEST_F(TlsTest, AnswersOverTlsAndOpensToOtherMachines) {
  const auto server = start("0.0.0.0");
  ASSERT_TRUE(server) << server.error().detail;
  EXPECT_TRUE((*server)->address().starts_with("https://"));
  EXPECT_NE(ask((*server)->port(), TLS1_3_VERSION).find("\"secure\""), std::string::npos);
  EXPECT_NE(ask((*server)->port(), TLS1_2_VERSION).find("\"secure\""), std::string::npos);
}

TEST_F(TlsTest, OldVersionsAndPlainTextAreNotAnswered) {
  const auto server = start("127.0.0.1");
  ASSERT_TRUE(server);
  EXPECT_EQ(ask((*server)->port(), TLS1_1_VERSION), "no handshake");
  RawClient plain((*server)->port());
  plain.say("GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(plain.is_ended());
  EXPECT_NE(ask((*server)->port(), TLS1_3_VERSION).find("\"secure\""), std::string::npos);
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
