#include "services/gateways/http/internal/target.h"

#include <algorithm>
#include <boost/url/src.hpp>

#include "services/runtime/text.h"

namespace mallbots::gateways {
namespace {

constexpr std::size_t kParts = 100;

}  // namespace

std::optional<Target> parse_target(std::string_view text) {
  namespace urls = boost::urls;
  const auto parsed = text.starts_with('/') ? urls::parse_origin_form(text) : urls::parse_uri(text);
  if (!parsed) return std::nullopt;
  Target target;
  if (parsed->encoded_segments().size() > kParts) return std::nullopt;
  if (parsed->encoded_params().size() > kParts) return std::nullopt;
  for (const std::string& segment : parsed->segments()) {
    if (!is_readable(segment)) return std::nullopt;
    target.segments.push_back(segment);
  }
  if (target.segments.empty()) target.segments.emplace_back();
  for (const auto& parameter : parsed->params()) {
    if (!is_readable(parameter.key) || !is_readable(parameter.value)) return std::nullopt;
    target.query.emplace_back(parameter.key, parameter.value);
  }
  return target;
}

std::string host_without_port(std::string_view authority) {
  const auto parsed = boost::urls::parse_authority(authority);
  if (!parsed || parsed->has_userinfo()) return {};
  const std::string_view encoded = parsed->encoded_host();
  std::string host(encoded);
  std::ranges::transform(host, host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return host;
}

}  // namespace mallbots::gateways
