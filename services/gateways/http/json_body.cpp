#include "services/gateways/http/json_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "services/gateways/http/strict_json.h"
#include "services/runtime/text.h"

namespace mallbots::gateways {

using nlohmann::json;

struct JsonBody::Parts {
  json fields = json::object();
  std::string prefix;  ///< where this object lies in the body: "items[3]."
  std::vector<std::string> asked;
  std::string wrong;  ///< the first thing that is
  std::string remedy;

  void refuse(std::string detail, std::string what_to_do) {
    if (!wrong.empty()) return;
    wrong = std::move(detail);
    remedy = std::move(what_to_do);
  }
  /// Null: left out, or null.
  const json* find(std::string_view field) {
    asked.emplace_back(field);
    const auto at = fields.find(std::string(field));
    return at == fields.end() || at->is_null() ? nullptr : &*at;
  }
  const json* need(std::string_view field) {
    const json* found = find(field);
    if (found == nullptr) {
      refuse(fmt::format("'{}{}' is missing", prefix, field), "send the field");
    }
    return found;
  }
  void refuse_type(std::string_view field, std::string_view wanted) {
    refuse(fmt::format("'{}{}' is not {}", prefix, field, wanted),
           fmt::format("send {} there", wanted));
  }
  std::optional<std::int64_t> whole(const json& value) const {
    if (value.is_number_unsigned()) {
      const auto number = value.get<std::uint64_t>();
      if (number > INT64_MAX) return std::nullopt;
      return static_cast<std::int64_t>(number);
    }
    if (value.is_number_integer()) return value.get<std::int64_t>();
    return std::nullopt;
  }
};

JsonBody::JsonBody(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
JsonBody::~JsonBody() = default;

JsonBody::JsonBody(const Request& request) : parts_(std::make_unique<Parts>()) {
  auto [parsed, repeated] = parse_strictly(request.body);
  if (parsed.is_discarded()) {
    parts_->refuse("the body is no JSON in UTF-8", "send one JSON object");
  } else if (repeated) {
    parts_->refuse(fmt::format("'{}' stands more than once in one object", *repeated),
                   "send each field once");
  } else if (!parsed.is_object()) {
    parts_->refuse("the body is JSON, but no object", "send one JSON object");
  } else {
    parts_->fields = std::move(parsed);
  }
}

std::string JsonBody::text(std::string_view field, std::size_t max_bytes) {
  const json* value = parts_->need(field);
  if (value == nullptr) return {};
  const auto* given = value->get_ptr<const json::string_t*>();
  if (given == nullptr) {
    parts_->refuse_type(field, "a text");
    return {};
  }
  auto good = checked_text(fmt::format("'{}{}'", parts_->prefix, field), *given, max_bytes);
  if (!good) {
    parts_->refuse(std::move(good.error().reason), "correct the field");
    return {};
  }
  return *std::move(good);
}

std::optional<std::string> JsonBody::optional_text(std::string_view field, std::size_t max_bytes) {
  if (parts_->find(field) == nullptr) return std::nullopt;
  return text(field, max_bytes);
}

std::int64_t JsonBody::integer(std::string_view field, Range range) {
  const json* value = parts_->need(field);
  if (value == nullptr) return range.least;
  const auto number = parts_->whole(*value);
  if (!number || *number < range.least || *number > range.most) {
    parts_->refuse_type(field,
                        fmt::format("a whole number from {} to {}", range.least, range.most));
    return range.least;
  }
  return *number;
}

bool JsonBody::boolean(std::string_view field) {
  const json* value = parts_->need(field);
  if (value == nullptr) return false;
  if (!value->is_boolean()) parts_->refuse_type(field, "true or false");
  return value->is_boolean() && value->get<bool>();
}

Money JsonBody::money(std::string_view field) {
  constexpr std::string_view kForm = "an amount as {\"minor\": 1250, \"currency\": \"GBP\"}";
  const json* value = parts_->need(field);
  if (value == nullptr) return {};
  if (value->is_object() && value->size() == 2 && value->contains("minor") &&
      value->contains("currency") && (*value)["currency"].is_string()) {
    const auto minor = parts_->whole((*value)["minor"]);
    const auto currency = parse_currency((*value)["currency"].get_ref<const std::string&>());
    const bool is_within = minor && *minor >= -Money::kMaxMinor && *minor <= Money::kMaxMinor;
    if (is_within && currency) return {*minor, *currency};
  }
  parts_->refuse_type(field, kForm);
  return {};
}

std::vector<std::unique_ptr<JsonBody>> JsonBody::items(std::string_view field, std::size_t most) {
  std::vector<std::unique_ptr<JsonBody>> bodies;
  const json* list = parts_->need(field);
  if (list == nullptr) return bodies;
  const auto wanted = fmt::format("a list of at most {} objects", most);
  const bool is_good = list->is_array() && list->size() <= most &&
                       std::ranges::all_of(*list, [](const json& one) { return one.is_object(); });
  if (!is_good) {
    parts_->refuse_type(field, wanted);
    return bodies;
  }
  for (const json& one : *list) {
    auto parts = std::make_unique<Parts>();
    parts->fields = one;
    parts->prefix = fmt::format("{}{}[{}].", parts_->prefix, field, bodies.size());
    bodies.push_back(std::unique_ptr<JsonBody>(new JsonBody(std::move(parts))));
  }
  return bodies;
}

void JsonBody::take_problem(JsonBody& item) {
  if (item.problem()) parts_->refuse(item.parts_->wrong, item.parts_->remedy);
}

std::optional<Response> JsonBody::problem() {
  for (const auto& [name, value] : parts_->fields.items()) {
    if (std::ranges::find(parts_->asked, name) == parts_->asked.end()) {
      parts_->refuse(
          fmt::format("'{}{}' is no field of this request", parts_->prefix, name.substr(0, 100)),
          "leave the field out");
    }
  }
  if (parts_->wrong.empty()) return std::nullopt;
  return gateways::problem({400, "invalid", parts_->wrong, parts_->remedy});
}

}  // namespace mallbots::gateways
