#include "services/gateways/access/secret.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <span>

#include "shm/base/check.h"

namespace mallbots::gateways {
namespace {

constexpr std::uint64_t kLogCost = 15;
constexpr std::uint64_t kBlock = 8;
constexpr std::uint64_t kParallel = 1;
constexpr std::size_t kSaltBytes = 16;
using Hash = std::array<unsigned char, 32>;

std::string hex(std::span<const unsigned char> bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string scrypt(std::string_view password, std::string_view salt) {
  // 32 MiB each: many at once would be a way to use up the memory.
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  Hash hash{};
  const int done = EVP_PBE_scrypt(password.data(), password.size(),
                                  reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                                  std::uint64_t{1} << kLogCost, kBlock, kParallel,
                                  std::uint64_t{64} << 20, hash.data(), hash.size());
  CHECK(done == 1);
  return hex(hash);
}

std::string prefix() { return fmt::format("scrypt:{}:{}:{}:", kLogCost, kBlock, kParallel); }

}  // namespace

std::string random_token() {
  Hash bytes{};
  CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  return hex(bytes);
}

std::string digest_of(std::string_view token) {
  Hash digest{};
  unsigned int size = 0;
  CHECK(EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  return hex(digest);
}

bool equal_secrets(std::string_view left, std::string_view right) noexcept {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string hash_of_password(std::string_view password) {
  const std::string salt = random_token().substr(0, 2 * kSaltBytes);
  return prefix() + salt + ":" + scrypt(password, salt);
}

bool is_password(std::string_view password, std::string_view hash) {
  const std::string front = prefix();
  const bool is_hash = hash.starts_with(front) && hash.size() > front.size() + 2 * kSaltBytes + 1;
  if (!is_hash) {
    (void)scrypt(password, "nobody has this");
    return false;
  }
  const std::string_view salt = hash.substr(front.size(), 2 * kSaltBytes);
  return equal_secrets(scrypt(password, salt), hash.substr(front.size() + 2 * kSaltBytes + 1));
}

}  // namespace mallbots::gateways
