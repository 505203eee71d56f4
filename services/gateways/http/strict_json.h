// parse_strictly: JSON that came from outside. Readers differ in which of two fields of one name
// they take, so none is taken here.
//
// Who calls: handlers, any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mallbots::gateways {

struct StrictJson {
  nlohmann::json value;  ///< discarded: no JSON in UTF-8, or more than one value
  /// The first name that an object has twice, at most 100 bytes of it.
  std::optional<std::string> repeated;
};

[[nodiscard]] StrictJson parse_strictly(std::string_view text);

}  // namespace mallbots::gateways
