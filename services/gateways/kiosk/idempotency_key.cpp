#include "services/gateways/kiosk/idempotency_key.h"

#include <algorithm>

namespace mallbots::kiosk {
namespace {

constexpr std::size_t kLeastBytes = 16;
constexpr std::size_t kMostBytes = 128;

}  // namespace

std::expected<std::optional<std::string>, gateways::Response> idempotency_key(
    const gateways::Request& request) {
  const auto key = request.header("idempotency-key");
  if (!key) return std::nullopt;
  const bool is_good = key->size() >= kLeastBytes && key->size() <= kMostBytes &&
                       std::ranges::all_of(*key, [](char c) { return c > ' ' && c < 0x7F; });
  if (is_good) return std::string(*key);
  return std::unexpected(gateways::problem(
      {400, "invalid", "the Idempotency-Key is not 16 to 128 visible ASCII characters",
       "make a random one for each submit that is confirmed"}));
}

}  // namespace mallbots::kiosk
