// Fields: a struct that names its members once, and so can be written as JSON, read back, and
// compared with what was released.
//
//   struct OrderLine {
//     std::string sku;
//     std::int64_t count = 0;
//     static constexpr auto fields() {
//       return std::tuple{field("sku", &OrderLine::sku), field("count", &OrderLine::count)};
//     }
//   };
//
// Members are texts, bools, integers up to 63 bits, doubles, optionals, vectors, maps with text
// keys, and structs with fields. Reading is tolerant: an unknown member is passed over, a missing
// one keeps the struct's own default; a member of another type is Undecodable and named by its
// path. Any thread; values only.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "clients/toolkit/cqrs/json.h"

namespace mallbots::toolkit {

template <class Owner, class Value>
struct Field {
  std::string_view name;
  Value Owner::* member;
};
template <class Owner, class Value>
[[nodiscard]] constexpr Field<Owner, Value> field(std::string_view name, Value Owner::* member) {
  return {name, member};
}

template <class T>
concept WithFields = requires { T::fields(); };

/// Path and type of each member, for the comparison with what was released: `lines[].sku` `text`.
using FieldList = std::vector<std::pair<std::string, std::string>>;

namespace fields_detail {

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> &&
                  (std::is_signed_v<T> || sizeof(T) < sizeof(std::int64_t));

[[nodiscard]] std::unexpected<Error> wrong(std::string_view path, std::string_view wanted);

}  // namespace fields_detail

template <class T>
[[nodiscard]] Json to_json(const T& value) {
  namespace detail = fields_detail;
  if constexpr (std::same_as<T, std::string> || std::same_as<T, bool> || std::same_as<T, double>) {
    return {value};
  } else if constexpr (detail::Integer<T>) {
    return {static_cast<std::int64_t>(value)};
  } else if constexpr (detail::kIsOptional<T>) {
    return value ? to_json(*value) : Json{};
  } else if constexpr (detail::kIsVector<T>) {
    Json::Array array;
    for (const auto& one : value) array.push_back(to_json(one));
    return {std::move(array)};
  } else if constexpr (detail::kIsMap<T>) {
    Json::Object object;
    for (const auto& [name, one] : value) object.emplace_back(name, to_json(one));
    return {std::move(object)};
  } else {
    static_assert(WithFields<T>, "a member needs fields(), or is of a type that fields.h lists");
    Json::Object object;
    std::apply(
        [&](const auto&... one) {
          (object.emplace_back(std::string{one.name}, to_json(value.*one.member)), ...);
        },
        T::fields());
    return {std::move(object)};
  }
}

/// Sets `value` from `json`; `path` names the place in errors.
template <class T>
[[nodiscard]] Result<void> from_json(const Json& json, T& value, const std::string& path = {}) {
  namespace detail = fields_detail;
  const auto take = [&](const auto* found, std::string_view wanted) -> Result<void> {
    if (found == nullptr) return detail::wrong(path, wanted);
    value = static_cast<T>(*found);
    return {};
  };
  if constexpr (std::same_as<T, std::string>) {
    return take(std::get_if<std::string>(&json.value), "text");
  } else if constexpr (std::same_as<T, bool>) {
    return take(std::get_if<bool>(&json.value), "bool");
  } else if constexpr (std::same_as<T, double>) {
    if (const auto* whole = std::get_if<std::int64_t>(&json.value)) return take(whole, "number");
    return take(std::get_if<double>(&json.value), "number");
  } else if constexpr (detail::Integer<T>) {
    const auto* whole = std::get_if<std::int64_t>(&json.value);
    if (whole != nullptr && !std::in_range<T>(*whole))
      return detail::wrong(path, "integer in range");
    return take(whole, "integer");
  } else if constexpr (detail::kIsOptional<T>) {
    value.reset();
    return json.is_null() ? Result<void>{} : from_json(json, value.emplace(), path);
  } else if constexpr (detail::kIsVector<T>) {
    const auto* array = std::get_if<Json::Array>(&json.value);
    if (array == nullptr) return detail::wrong(path, "array");
    value.clear();
    for (const Json& one : *array) MALLBOTS_TRY(from_json(one, value.emplace_back(), path + "[]"));
    return {};
  } else if constexpr (detail::kIsMap<T>) {
    const auto* object = std::get_if<Json::Object>(&json.value);
    if (object == nullptr) return detail::wrong(path, "object");
    value.clear();
    for (const auto& [name, one] : *object) MALLBOTS_TRY(from_json(one, value[name], path + "{}"));
    return {};
  } else {
    static_assert(WithFields<T>, "a member needs fields(), or is of a type that fields.h lists");
    if (!std::holds_alternative<Json::Object>(json.value)) return detail::wrong(path, "object");
    Result<void> outcome;
    const auto read = [&](const auto& one) {
      const Json* member = json.find(one.name);
      if (!outcome || member == nullptr) return;
      const std::string at =
          path.empty() ? std::string{one.name} : path + "." + std::string{one.name};
      outcome = from_json(*member, value.*one.member, at);
    };
    std::apply([&](const auto&... one) { (read(one), ...); }, T::fields());
    return outcome;
  }
}

template <class T>
void list_fields(FieldList& list, const std::string& path) {
  namespace detail = fields_detail;
  if constexpr (std::same_as<T, std::string>) {
    list.emplace_back(path, "text");
  } else if constexpr (std::same_as<T, bool>) {
    list.emplace_back(path, "bool");
  } else if constexpr (std::same_as<T, double>) {
    list.emplace_back(path, "number");
  } else if constexpr (detail::Integer<T>) {
    list.emplace_back(path, "integer");
  } else if constexpr (detail::kIsOptional<T>) {
    list_fields<typename T::value_type>(list, path);
  } else if constexpr (detail::kIsVector<T>) {
    list_fields<typename T::value_type>(list, path + "[]");
  } else if constexpr (detail::kIsMap<T>) {
    list_fields<typename T::mapped_type>(list, path + "{}");
  } else {
    const auto name = [&](std::string_view member) {
      return path.empty() ? std::string{member} : path + "." + std::string{member};
    };
    std::apply(
        [&]<class... Owner, class... Value>(const Field<Owner, Value>&... one) {
          (list_fields<Value>(list, name(one.name)), ...);
        },
        T::fields());
  }
}

/// `value` as one line of JSON.
template <WithFields T>
[[nodiscard]] std::string write_fields(const T& value) {
  return to_text(to_json(value));
}
template <WithFields T>
[[nodiscard]] Result<T> read_fields(std::string_view text) {
  const auto json = parse_json(text);
  if (!json) return std::unexpected(json.error());
  T value{};
  MALLBOTS_TRY(from_json(*json, value));
  return value;
}

}  // namespace mallbots::toolkit
