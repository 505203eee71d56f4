// Request and Response of the gateways' HTTP server, and the one form of a refusal.
//
// Who calls: handlers, on the server's workers; a request is one handler's alone. What a peer sent
// is checked for form before a handler sees it: text is UTF-8, percent codes are resolved, lengths
// lie within the limits of server.h.
//
// Refusals are application/problem+json (RFC 9457): {type, title, status, detail, remedy}; `type`
// is urn:mallbots:problem:NAME. Its words go to customers and staff: no input that is secret in
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mallbots::gateways {

enum class Method : std::uint8_t { kGet, kPut, kPost, kPatch, kDelete };
[[nodiscard]] std::string_view name_of(Method method) noexcept;

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Request {
  Method method = Method::kGet;  ///< HEAD comes as kGet; the server leaves the body out
  std::string path;              ///< as sent, for logs
  Pairs path_parameters;         ///< by the names in the route's pattern
  Pairs query;                   ///< in the order of the address; a name may come twice
  Pairs headers;                 ///< names in small letters
  std::string body;
  std::string peer;             ///< address without port
  bool is_loopback = false;     ///< the peer is on this machine
  bool is_secure = false;       ///< came over TLS, to us or to who is in front of us
  std::string public_origin{};  ///< ServerOptions::public_origin

  /// Of a parameter that the route's pattern has.
  [[nodiscard]] std::string_view parameter(std::string_view name) const noexcept;
  /// The first one of that name.
  [[nodiscard]] std::optional<std::string_view> asked(std::string_view name) const noexcept;
  /// `name` in small letters; the first one.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;
  /// Value of a cookie.
  [[nodiscard]] std::optional<std::string_view> cookie(std::string_view name) const noexcept;
};

struct Response {
  int status = 200;
  Pairs headers;  ///< the server adds Content-Length, Date, nosniff and, if there is none, no-store
  std::string body;
  std::string_view lasting_body{};  ///< instead of body: bytes that live as long as the process

  [[nodiscard]] std::string_view bytes() const noexcept {
    return lasting_body.empty() ? std::string_view(body) : lasting_body;
  }
  Response& with(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

/// `text` is JSON.
[[nodiscard]] Response json_response(int status, std::string text);
/// Only the status.
[[nodiscard]] Response empty_response(int status);
/// 304 if the request has this version already (If-None-Match), else the answer with its ETag.
[[nodiscard]] Response with_etag(const Request& request, Response response);

struct Problem {
  int status = 500;
  std::string_view name;  ///< behind urn:mallbots:problem:
  std::string detail;     ///< what is wrong with which input
  std::string remedy;
  std::string extra{};  ///< further members as JSON: `"cart":{...}`, or nothing
};
[[nodiscard]] Response problem(const Problem& what);
/// With Retry-After.
[[nodiscard]] Response unavailable(std::string detail, int retry_after_s = 1);

}  // namespace mallbots::gateways
