#include "services/gateways/http/internal/intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "services/gateways/http/internal/target.h"
#include "services/runtime/text.h"

namespace mallbots::gateways {
namespace {

using Head = http::request_header<http::fields>;

constexpr std::array<std::pair<http::verb, Method>, 6> kMethods{{
    {http::verb::get, Method::kGet},
    {http::verb::head, Method::kGet},
    {http::verb::put, Method::kPut},
    {http::verb::post, Method::kPost},
    {http::verb::patch, Method::kPatch},
    {http::verb::delete_, Method::kDelete},
}};

std::string small(std::string_view text) {
  std::string letters(text);
  std::ranges::transform(letters, letters.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return letters;
}

Response invalid(std::string detail, std::string remedy) {
  return problem({400, "invalid", std::move(detail), std::move(remedy)});
}

/// False: a header that is no text.
bool copy_headers(const Head& head, Request& request) {
  for (const auto& field : head) {
    std::string value(field.value());
    std::ranges::replace(value, '\t', ' ');
    if (!is_readable(value)) return false;
    request.headers.emplace_back(small(field.name_string()), std::move(value));
  }
  return true;
}

/// "127.0.0.1"; somebody's "127.0.0.1.example" is a name, which may point here.
bool is_loopback_address(std::string_view host) {
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

/// A page elsewhere may let its own name point to this machine; it cannot change what Host says.
std::optional<Response> check_host(const Engine& engine, const Head& head) {
  if (head.count(http::field::host) != 1) {
    if (head.version() < 11 && head.count(http::field::host) == 0) return std::nullopt;
    return invalid("there must be one Host header", "send the header Host once");
  }
  if (!engine.is_loopback) return std::nullopt;
  const std::string host = host_without_port(head[http::field::host]);
  const bool is_ours =
      host == "localhost" || host == "[::1]" || is_loopback_address(host) ||
      std::ranges::find(engine.options.host_names, host) != engine.options.host_names.end();
  if (is_ours) return std::nullopt;
  return problem({421, "wrong-host", "the Host header names somebody else than this gateway",
                  fmt::format("use localhost, or name the host in the setting {}.host_names",
                              engine.options.name)});
}

/// Over TLS a page that came without it is another's, too: anybody on the way may have made it.
bool is_own_origin(const Head& head, std::string_view public_origin, bool is_secure) {
  const std::string_view origin = head[http::field::origin];
  if (!public_origin.empty()) return origin == public_origin;
  const auto slashes = origin.find("://");
  return slashes != std::string_view::npos &&
         (!is_secure || small(origin.substr(0, slashes)) == "https") &&
         small(origin.substr(slashes + 3)) == small(head[http::field::host]);
}

std::optional<Response> check_origin(const Engine& engine, const Head& head, bool is_socket,
                                     bool is_secure) {
  const bool is_reading = head.method() == http::verb::get || head.method() == http::verb::head ||
                          head.method() == http::verb::options;
  if (is_reading && !is_socket) return std::nullopt;
  if (head.count(http::field::origin) == 0) return std::nullopt;
  const std::string& public_origin = engine.options.public_origin;
  if (is_own_origin(head, public_origin, is_secure)) return std::nullopt;
  return problem({403, "wrong-origin", "a page of another origin asks",
                  public_origin.empty() ? "use the page that this gateway gives"
                                        : fmt::format("use the page at {}/", public_origin)});
}

std::optional<Response> check_body(const Route& route, const Head& head, const BodyAhead& body) {
  if (body.length && *body.length > route.body_bytes) {
    return problem({413, "too-large",
                    fmt::format("the body has {} bytes, at most {} are taken here", *body.length,
                                route.body_bytes),
                    "send less"});
  }
  if (route.body != Body::kJson) return std::nullopt;
  if (!body.length && !body.is_chunked) {
    return problem({411, "no-length", "a body is needed here, and there is none",
                    "send a JSON object with a Content-Length"});
  }
  std::string type = small(head[http::field::content_type]);
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  if (type == "application/json") return std::nullopt;
  return problem({415, "not-json", "the Content-Type is not application/json",
                  "send JSON, and say so in Content-Type"});
}

/// The answer to what is not routed, or the route.
std::optional<Response> find_route(const Engine& engine, const Head& head, Intake& intake) {
  const bool is_for_all = head.method() == http::verb::options && head.target() == "*";
  if (is_for_all) {
    return empty_response(204).with("Allow", "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS");
  }
  auto target = parse_target(head.target());
  if (!target) {
    return invalid("the address is malformed, or no UTF-8", "correct the address");
  }
  intake.request.query = std::move(target->query);
  const auto no_such_path = [] {
    return problem(
        {404, "unknown", "there is no such address", "the addresses are in openapi.json"});
  };
  const auto wrong_method = [](std::string allowed) {
    Response answer = problem({405, "wrong-method", fmt::format("the address takes {}", allowed),
                               "use one of these methods"});
    answer.with("Allow", std::move(allowed));
    return answer;
  };
  const auto method =
      std::ranges::find(kMethods, head.method(), [](auto& pair) { return pair.first; });
  if (method == kMethods.end()) {
    std::string allowed = engine.router.allowed(target->segments);
    if (allowed.empty()) return no_such_path();
    if (head.method() != http::verb::options) return wrong_method(std::move(allowed));
    return empty_response(204).with("Allow", std::move(allowed));
  }
  intake.request.method = method->second;
  intake.is_head = head.method() == http::verb::head;
  auto found = engine.router.find(method->second, target->segments);
  if (std::holds_alternative<Router::NoSuchPath>(found)) return no_such_path();
  if (auto* wrong = std::get_if<Router::WrongMethod>(&found)) {
    return wrong_method(std::move(wrong->allowed));
  }
  auto& match = std::get<Router::Match>(found);
  intake.route = match.route;
  intake.request.path_parameters = std::move(match.parameters);
  return std::nullopt;
}

std::optional<Response> check(Engine& engine, const Peer& peer, const Head& head,
                              const BodyAhead& body, Intake& intake) {
  const ServerOptions& options = engine.options;
  if (head.target().size() > options.target_bytes) {
    return problem({414, "address-too-long",
                    fmt::format("the address has more than {} bytes", options.target_bytes),
                    "send less in the address"});
  }
  if (!peer.is_loopback && !engine.limit.take(peer.address, boot_now_ns())) {
    Response answer = problem(
        {429, "too-many",
         fmt::format("more than {} requests a second of one address", options.requests_per_s),
         "wait, then go on more slowly"});
    return answer.with("Retry-After", "1");
  }
  if (auto wrong = check_host(engine, head)) return wrong;
  if (!copy_headers(head, intake.request)) {
    return invalid("a header is not plain UTF-8 text", "correct the header");
  }
  if (auto answered = find_route(engine, head, intake)) return answered;
  const bool is_socket = static_cast<bool>(intake.route->accept);
  if (auto wrong = check_origin(engine, head, is_socket, peer.is_secure)) return wrong;
  return check_body(*intake.route, head, body);
}

}  // namespace

Intake take_in(Engine& engine, const Peer& peer, const Head& head, const BodyAhead& body) {
  Intake intake;
  intake.is_head = head.method() == http::verb::head;
  intake.request.path = std::string(head.target());
  intake.request.peer = peer.address;
  intake.request.is_loopback = peer.is_loopback;
  intake.request.public_origin = engine.options.public_origin;
  intake.request.is_secure = peer.is_secure || !engine.options.public_origin.empty();
  intake.answer = check(engine, peer, head, body, intake);
  return intake;
}

}  // namespace mallbots::gateways
