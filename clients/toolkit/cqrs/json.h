// Json: a JSON value as plain data, its text form, and the reading back. No library in the header:
// what travels as JSON names its fields (message_type.h), and only json.cpp knows the parser.
//
// Numbers are 64-bit integers or doubles; money is neither (write decimal strings or whole cents).
// Members keep their order. Any thread; values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::toolkit {

struct Json {
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value =
      nullptr;

  [[nodiscard]] bool is_null() const noexcept {
    return std::holds_alternative<std::nullptr_t>(value);
  }
  /// Null: this is no object, or has no such member.
  [[nodiscard]] const Json* find(std::string_view name) const noexcept;
  friend bool operator==(const Json&, const Json&) = default;
};

/// One line, UTF-8; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string to_text(const Json& json);
/// Undecodable: not JSON, with the place; or nested deeper than 64, or a number above 63 bits.
[[nodiscard]] Result<Json> parse_json(std::string_view text);

}  // namespace mallbots::toolkit
