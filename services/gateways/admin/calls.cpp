#include "services/gateways/admin/calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace mallbots::admin {

using nlohmann::json;

Response answer_of(const json& body, int status) {
  return gateways::json_response(status, body.dump(-1, ' ', false, json::error_handler_t::replace));
}

Response invalid(std::string detail) {
  return gateways::problem({.status = 400,
                            .name = "invalid",
                            .detail = std::move(detail),
                            .remedy = "correct it and send it again with a new key"});
}

Response unknown(std::string detail) {
  return gateways::problem({.status = 404,
                            .name = "unknown",
                            .detail = std::move(detail),
                            .remedy = "look it up again: it may be another's, or gone"});
}

Response done_already(std::string detail) {
  return gateways::problem({.status = 409,
                            .name = "done-already",
                            .detail = std::move(detail),
                            .remedy = "look at it again; nothing was done twice"});
}

Response refusal_of(const Failure& failure) {
  const auto* refusal = std::get_if<Refusal>(&failure);
  if (refusal == nullptr) {
    return gateways::unavailable("a service of the mall does not answer; nothing is lost");
  }
  switch (refusal->kind) {
    case RefusalKind::kInvalid:
      return invalid(refusal->reason);
    case RefusalKind::kUnknown:
      return unknown(refusal->reason);
    case RefusalKind::kForbidden:
      return gateways::problem({.status = 403,
                                .name = "forbidden",
                                .detail = refusal->reason,
                                .remedy = "try another way: another card, or cash"});
    default:
      return gateways::problem({.status = 409,
                                .name = "wrong-state",
                                .detail = refusal->reason,
                                .remedy = "look at it again, then decide again"});
  }
}

std::string text_of(const Request& request, std::string_view name) {
  return std::string(request.asked(name).value_or(std::string_view{}));
}

Outcome<std::int64_t> number_of(const Request& request, std::string_view name) {
  const auto text = request.asked(name);
  if (!text) return 0;
  std::int64_t number = 0;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), number);
  if (read.ec != std::errc{} || read.ptr != text->data() + text->size() || number < 0) {
    return std::unexpected(Failure(
        Refusal{RefusalKind::kInvalid, fmt::format("{} is no whole number from 0 on", name)}));
  }
  return number;
}

Outcome<PageWanted> page_of(const Request& request,
                            std::initializer_list<std::string_view> fields) {
  const auto refused = [](std::string reason) {
    return std::unexpected(Failure(Refusal{RefusalKind::kInvalid, std::move(reason)}));
  };
  for (const auto& [name, value] : request.query) {
    if (name != "cursor" && name != "limit" && std::ranges::find(fields, name) == fields.end()) {
      return refused("the query has a field that this call does not know");
    }
    if (value.size() > 400) return refused(fmt::format("{} is too long", name));
  }
  PageWanted page{.cursor = text_of(request, "cursor")};
  if (!request.asked("limit")) return page;
  MALLBOTS_OUTCOME(limit, number_of(request, "limit"));
  if (*limit < 1 || *limit > 200) return refused("limit is 1 to 200");
  page.limit = static_cast<std::int32_t>(*limit);
  return page;
}

Response listed(std::string_view key, json items, const std::string& next) {
  json body = {{"next", next.empty() ? json() : json(next)}};
  body[std::string(key)] = std::move(items);
  return answer_of(body);
}

}  // namespace mallbots::admin
