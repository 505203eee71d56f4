// Certificates and a client for tests of the gateways over TLS.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>

#include "tests/services/gateways/http/raw_client.h"

namespace mallbots::gateways {

/// A key and the certificate that it signed for itself, as PEM files.
inline void make_certificate(const std::string& certificate_path, const std::string& key_path) {
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
  X509_set_version(certificate.get(), X509_VERSION_3);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> names(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"),
      X509_EXTENSION_free);
  X509_add_ext(certificate.get(), names.get(), -1);
  ASSERT_NE(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  std::FILE* file = std::fopen(certificate_path.c_str(), "w");
  PEM_write_X509(file, certificate.get());
  std::fclose(file);
  file = std::fopen(key_path.c_str(), "w");
  PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
}

/// What comes back, at the given version of TLS, until the connection ends.
inline std::string say_over_tls(std::uint16_t port, const std::string& request,
                                int version = TLS1_3_VERSION) {
  using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
  const Context context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  RawClient client(port);
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), SSL_free);
  SSL_set_fd(tls.get(), client.descriptor());
  if (SSL_connect(tls.get()) != 1) return "no handshake";
  SSL_write(tls.get(), request.data(), static_cast<int>(request.size()));
  std::string text;
  char bytes[1024];
  int got = 0;
  while ((got = SSL_read(tls.get(), bytes, sizeof bytes)) > 0) {
    text.append(bytes, static_cast<std::size_t>(got));
  }
  return text;
}
inline std::string ask_over_tls(std::uint16_t port, const std::string& path,
                                int version = TLS1_3_VERSION) {
  return say_over_tls(
      port, "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", version);
}

}  // namespace mallbots::gateways
