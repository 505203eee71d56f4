#include "services/gateways/http/router.h"

#include <algorithm>
#include <array>
#include <optional>

#include "shm/base/check.h"

namespace mallbots::gateways {
namespace {

std::vector<std::string> split(std::string_view pattern) {
  CHECK(pattern.starts_with('/'));
  std::vector<std::string> segments;
  std::string_view rest = pattern.substr(1);
  while (true) {
    const auto slash = rest.find('/');
    segments.emplace_back(rest.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    rest = rest.substr(slash + 1);
  }
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

bool matches(const std::vector<std::string>& pattern, std::span<const std::string> segments) {
  return std::ranges::equal(pattern, segments, [](std::string_view want, std::string_view have) {
    if (!is_parameter(want)) return want == have;
    return !have.empty() && have.size() <= kParameterBytes;
  });
}

/// Of two patterns that match, the one with the earlier literal.
bool is_closer(const std::vector<std::string>& left, const std::vector<std::string>& right) {
  return std::ranges::lexicographical_compare(left, right, {}, is_parameter, is_parameter);
}

Method method_of(const Route& route) { return route.accept ? Method::kGet : route.method; }

}  // namespace

void Router::add(Route route) {
  CHECK(static_cast<bool>(route.handler) != static_cast<bool>(route.accept));
  std::vector<std::string> pattern = split(route.pattern);
  for (const Route& other : routes_) {
    CHECK(method_of(other) != method_of(route) || other.pattern != route.pattern);
  }
  routes_.push_back(std::move(route));
  patterns_.push_back(std::move(pattern));
}

void Router::web_socket(std::string pattern, AcceptSocket accept) {
  Route route;
  route.pattern = std::move(pattern);
  route.accept = std::move(accept);
  add(std::move(route));
}

void Router::assets(const std::string& prefix, std::span<const Asset> assets) {
  constexpr std::string_view kIndex = "index.html";
  for (const Asset& asset : assets) {
    const auto answer = [asset](const Request& request) { return asset_response(request, asset); };
    get(prefix + std::string(asset.path), answer);
    const bool is_index = asset.path == kIndex || asset.path.ends_with("/index.html");
    if (is_index) {
      get(prefix + std::string(asset.path.substr(0, asset.path.size() - kIndex.size())), answer);
    }
  }
}

std::variant<Router::Match, Router::WrongMethod, Router::NoSuchPath> Router::find(
    Method method, std::span<const std::string> segments) const {
  std::optional<std::size_t> best;
  for (std::size_t at = 0; at < routes_.size(); ++at) {
    if (method_of(routes_[at]) != method || !matches(patterns_[at], segments)) continue;
    if (!best || is_closer(patterns_[at], patterns_[*best])) best = at;
  }
  if (!best) {
    std::string methods = allowed(segments);
    if (methods.empty()) return NoSuchPath{};
    return WrongMethod{std::move(methods)};
  }
  Match match{&routes_[*best], {}};
  for (std::size_t at = 0; at < segments.size(); ++at) {
    const std::string& want = patterns_[*best][at];
    if (is_parameter(want)) {
      match.parameters.emplace_back(want.substr(1, want.size() - 2), segments[at]);
    }
  }
  return match;
}

std::string Router::allowed(std::span<const std::string> segments) const {
  std::array<bool, 5> has{};
  for (std::size_t at = 0; at < routes_.size(); ++at) {
    if (matches(patterns_[at], segments)) {
      has.at(static_cast<std::size_t>(method_of(routes_[at]))) = true;
    }
  }
  std::string methods;
  for (std::size_t at = 0; at < has.size(); ++at) {
    if (!has.at(at)) continue;
    const auto method = static_cast<Method>(at);
    methods += name_of(method);
    methods += method == Method::kGet ? ", HEAD, " : ", ";
  }
  return methods.empty() ? methods : methods + "OPTIONS";
}

}  // namespace mallbots::gateways
