// JsonBody: the fields of a request's JSON body, each checked for its type and range.
//
//   JsonBody body(request);
//   const std::string phone = body.text("phone", 40);
//   const auto quantity = body.integer("quantity", {0, kMaxQuantity});
//   if (auto bad = body.problem()) return *bad;   // 400: the first thing that is wrong, by name
//
// Who calls: handlers, one thread. A field that is not asked for is refused, a field that is wrong
// reads as empty or 0 until problem() is asked. Values are not repeated in problems: they may be
// secret.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateways/http/message.h"
#include "services/runtime/money.h"

namespace mallbots::gateways {

class JsonBody {
 public:
  explicit JsonBody(const Request& request);
  JsonBody(const JsonBody&) = delete;
  JsonBody& operator=(const JsonBody&) = delete;
  ~JsonBody();

  struct Range {
    std::int64_t least = 0;
    std::int64_t most = 0;
  };
  /// Not empty, at most `max_bytes`, no control characters.
  [[nodiscard]] std::string text(std::string_view field, std::size_t max_bytes);
  /// The same, or left out, or null.
  [[nodiscard]] std::optional<std::string> optional_text(std::string_view field,
                                                         std::size_t max_bytes);
  /// A whole number, also written as one: 1.0 and "1" are refused.
  [[nodiscard]] std::int64_t integer(std::string_view field, Range range);
  [[nodiscard]] bool boolean(std::string_view field);
  /// {"minor": whole number, "currency": "GBP"}, within +-kMaxMinor.
  [[nodiscard]] Money money(std::string_view field);
  /// A list of objects: call `each` for every one, with a body of its own.
  template <class Each>
  void objects(std::string_view field, std::size_t most, const Each& each) {
    for (auto& item : items(field, most)) {
      each(*item);
      take_problem(*item);
    }
  }
  /// Asked last.
  [[nodiscard]] std::optional<Response> problem();

 private:
  struct Parts;
  explicit JsonBody(std::unique_ptr<Parts> parts) noexcept;
  std::vector<std::unique_ptr<JsonBody>> items(std::string_view field, std::size_t most);
  void take_problem(JsonBody& item);

  std::unique_ptr<Parts> parts_;
};

}  // namespace mallbots::gateways
