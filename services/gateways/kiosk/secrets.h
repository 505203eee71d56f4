// Secrets of carts: a cart's token is a keyed hash of its id, so none has to be stored. Ids that
// must be the same when a request comes again are keyed hashes, too, of what the request carries.
//
// Who calls: the gateway's handlers, any thread. The key is 256 random bits in a private file; who
// loses the file makes all tokens invalid, and orders are then found by their cards.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "shm/base/result.h"

namespace mallbots::kiosk {

class Secrets {
 public:
  /// Makes the file if it is not there. Errors: those of PrivateFile; Corrupt (no key in it).
  [[nodiscard]] static Result<Secrets> open(const std::string& path);

  [[nodiscard]] std::string token_of(std::string_view cart_id) const;
  [[nodiscard]] bool is_token_of(std::string_view cart_id, std::string_view token) const;
  /// 64 hexadecimal digits of these parts; `purpose` keeps one use from another.
  [[nodiscard]] std::string derive(std::string_view purpose,
                                   std::initializer_list<std::string_view> parts) const;

 private:
  explicit Secrets(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

/// 16 small letters and digits of 64 or more hexadecimal digits: short enough for a screen, 80
/// bits.
[[nodiscard]] std::string short_id(std::string_view digits);

}  // namespace mallbots::kiosk
