// The service that tests/clients/toolkit/crash_test.cpp kills: orders that go through a saga, whose
// commands it carries out itself, and a view of what happened.
#pragma once

#include <string>
#include <tuple>

#include "clients/toolkit/cqrs/codec.h"

namespace mallbots::test {

using toolkit::field;

struct Order {
  std::string id;
  static constexpr auto fields() { return std::tuple{field("id", &Order::id)}; }
};
struct OrderPlaced : Order {
  static constexpr auto kMessage = toolkit::event("OrderPlaced", 1);
};
struct OrderEnded {
  static constexpr auto kMessage = toolkit::event("OrderEnded", 1);
  std::string id;
  bool success = false;
  static constexpr auto fields() {
    return std::tuple{field("id", &OrderEnded::id), field("success", &OrderEnded::success)};
  }
};
struct OrderSeen : Order {
  static constexpr auto kMessage = toolkit::internal_event("OrderSeen", 1);
};
struct Do {
  static constexpr auto kMessage = toolkit::command("Do", 1);
  std::string order;
  std::string what;
  static constexpr auto fields() {
    return std::tuple{field("order", &Do::order), field("what", &Do::what)};
  }
};

/// The payment of this order is refused.
inline constexpr std::string_view kPoorOrder = "poor";

}  // namespace mallbots::test
