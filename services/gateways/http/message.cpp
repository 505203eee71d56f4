#include "services/gateways/http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "shm/base/hash.h"

namespace mallbots::gateways {
namespace {

std::optional<std::string_view> first_of(const Pairs& pairs, std::string_view name) noexcept {
  const auto at = std::ranges::find(pairs, name, &Pairs::value_type::first);
  if (at == pairs.end()) return std::nullopt;
  return at->second;
}

std::string_view trimmed(std::string_view text) noexcept {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string_view title_of(int status) noexcept {
  switch (status) {
    case 400:
      return "The request is not valid";
    case 401:
      return "Who asks is not known";
    case 403:
      return "That is not allowed";
    case 404:
      return "There is no such thing";
    case 405:
      return "The address does not do that";
    case 408:
      return "The request took too long";
    case 409:
      return "That is not possible in this state";
    case 411:
      return "The length is missing";
    case 413:
      return "The body is too large";
    case 414:
      return "The address is too long";
    case 415:
      return "The body is of another type";
    case 421:
      return "The request is for somebody else";
    case 422:
      return "The key was used before";
    case 426:
      return "A WebSocket is spoken here";
    case 429:
      return "Too many requests";
    case 431:
      return "The headers are too large";
    case 503:
      return "Not at the moment";
    default:
      return "Something failed";
  }
}

/// Does If-None-Match name it? Weak comparison (RFC 9110, 13.1.2).
bool names(std::string_view list, std::string_view etag) {
  if (trimmed(list) == "*") return true;
  while (!list.empty()) {
    const auto comma = list.find(',');
    std::string_view one = trimmed(list.substr(0, comma));
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag) return true;
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return false;
}

}  // namespace

std::string_view name_of(Method method) noexcept {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kPut:
      return "PUT";
    case Method::kPost:
      return "POST";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      return "DELETE";
  }
  return "?";
}

std::string_view Request::parameter(std::string_view name) const noexcept {
  return first_of(path_parameters, name).value_or(std::string_view{});
}

std::optional<std::string_view> Request::asked(std::string_view name) const noexcept {
  return first_of(query, name);
}

std::optional<std::string_view> Request::header(std::string_view name) const noexcept {
  return first_of(headers, name);
}

std::optional<std::string_view> Request::cookie(std::string_view name) const noexcept {
  for (const auto& [header_name, value] : headers) {
    if (header_name != "cookie") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const auto end = rest.find(';');
      const std::string_view one = trimmed(rest.substr(0, end));
      const auto equals = one.find('=');
      if (equals != std::string_view::npos && one.substr(0, equals) == name) {
        return one.substr(equals + 1);
      }
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
  }
  return std::nullopt;
}

Response json_response(int status, std::string text) {
  Response response{.status = status, .body = std::move(text)};
  response.with("Content-Type", "application/json");
  return response;
}

Response empty_response(int status) { return {.status = status}; }

Response with_etag(const Request& request, Response response) {
  const std::string etag =
      fmt::format("\"{:016x}\"", xxh3(response.bytes().data(), response.bytes().size()));
  const auto known = request.header("if-none-match");
  if (known && names(*known, etag)) {
    response.status = 304;
    response.body.clear();
    response.lasting_body = {};
    std::erase_if(response.headers, [](const auto& pair) { return pair.first == "Content-Type"; });
  }
  response.with("ETag", etag);
  return response;
}

Response problem(const Problem& what) {
  const nlohmann::ordered_json members = {
      {"type", fmt::format("urn:mallbots:problem:{}", what.name)},
      {"title", title_of(what.status)},
      {"status", what.status},
      {"detail", what.detail},
      {"remedy", what.remedy}};
  std::string text = members.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (!what.extra.empty()) {
    text.pop_back();
    text += fmt::format(",{}}}", what.extra);
  }
  Response response{.status = what.status, .body = std::move(text)};
  response.with("Content-Type", "application/problem+json");
  return response;
}

Response unavailable(std::string detail, int retry_after_s) {
  Response response = problem({503, "unavailable", std::move(detail),
                               "ask again in a moment, with the same Idempotency-Key if there was "
                               "one; nothing is lost"});
  response.with("Retry-After", std::to_string(retry_after_s));
  return response;
}

}  // namespace mallbots::gateways
