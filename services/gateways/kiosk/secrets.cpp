#include "services/gateways/kiosk/secrets.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstdint>

#include "services/gateways/access/secret.h"
#include "services/runtime/private_file.h"
#include "shm/base/check.h"

namespace mallbots::kiosk {
namespace {

constexpr std::size_t kKeyDigits = 64;

}  // namespace

Result<Secrets> Secrets::open(const std::string& path) {
  const PrivateFile file(path);
  MALLBOTS_TRY(file.change([](const std::string& content) -> Result<std::string> {
    return content.empty() ? gateways::random_token() : content;
  }));
  auto key = file.read();
  if (!key) return std::unexpected(std::move(key).error());
  if (key->size() == kKeyDigits) return Secrets(*std::move(key));
  return fail(ErrorCode::kCorrupt, "'" + path + "' holds no key of 64 digits");
}

std::string Secrets::derive(std::string_view purpose,
                            std::initializer_list<std::string_view> parts) const {
  // Lengths keep ("a", "bc") from ("ab", "c").
  std::string message(purpose);
  for (const std::string_view part : parts) {
    message += ":" + std::to_string(part.size()) + ":";
    message += part;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  const auto* done = HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
                          reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                          bytes.data(), &size);
  CHECK(done != nullptr && size == kKeyDigits / 2);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  for (unsigned at = 0; at < size; ++at) {
    digits += kDigits[bytes.at(at) >> 4];
    digits += kDigits[bytes.at(at) & 15];
  }
  return digits;
}

std::string Secrets::token_of(std::string_view cart_id) const { return derive("cart", {cart_id}); }

bool Secrets::is_token_of(std::string_view cart_id, std::string_view token) const {
  return gateways::equal_secrets(token_of(cart_id), token);
}

std::string short_id(std::string_view digits) {
  // Crockford's alphabet: nothing that reads like something else.
  constexpr std::string_view kLetters = "0123456789abcdefghjkmnpqrstvwxyz";
  constexpr std::size_t kLength = 16;
  CHECK(digits.size() >= 20);
  std::string id;
  std::uint32_t bits = 0;
  int count = 0;
  for (std::size_t at = 0; id.size() < kLength; ++at) {
    const char digit = digits[at];
    bits = bits << 4 | static_cast<std::uint32_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    count += 4;
    if (count < 5) continue;
    count -= 5;
    id += kLetters[bits >> count & 31];
  }
  return id;
}

}  // namespace mallbots::kiosk
