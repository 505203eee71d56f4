// The address line of a request, taken apart by Boost.URL: segments and query, decoded.
//
// Who calls: the server's thread, on what a peer sent. Nothing: malformed, control characters, or
// not UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateways/http/message.h"

namespace mallbots::gateways {

struct Target {
  std::vector<std::string> segments;  ///< at least one, perhaps empty: "/" is [""]
  Pairs query;
};

/// "/a/b?c=d", or the whole "http://host/a/b?c=d". At most 100 segments and 100 parameters.
[[nodiscard]] std::optional<Target> parse_target(std::string_view text);
/// "shop.example:80" or "[::1]:80" without its port, in small letters.
[[nodiscard]] std::string host_without_port(std::string_view authority);

}  // namespace mallbots::gateways
