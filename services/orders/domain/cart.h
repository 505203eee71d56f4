// Cart: what a customer collects at a kiosk. Event-sourced, internal but for its start and end;
// pure rules, any thread.
//
//   (none) ── start ──▶ open ── set_quantity, reprice ──▶ open ── check_out ──▶ checked out
//                        └── cancel (customer, or abandoned) ──▶ canceled
//
// Lines keep the order in which they were added. Names and prices are frozen when a product is
// first added and change only by reprice(), which the customer sees and confirms: check_out() wants
// the total that was on the screen. A checked-out cart's id becomes the order's id. A cart always
// has a total: what would leave it without one (another currency, more than an amount may be) is
// not added, and leaves at reprice().
//
// Refusals: kInvalid (quantity, too many lines, no total, blank ids), kUnknown (no such cart),
// kWrongState (not open, empty, the store does not take part), kConflict (the total is another one:
// review).
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/orders/domain/line.h"
#include "services/runtime/limits.h"

namespace mallbots::orders {

struct CartStarted {};
/// Absolute: the line is now this one; a quantity of 0 takes it out.
struct CartLineSet {
  Line line;
};
struct CartRepriced {
  std::vector<Line> lines;
};
struct CartCanceled {
  std::string reason;
};
struct CartCheckedOut {
  std::string customer_id;
  std::string payment_id;
  std::vector<Line> lines;
  Money total;
};
using CartEvent =
    std::variant<CartStarted, CartLineSet, CartRepriced, CartCanceled, CartCheckedOut>;

struct Cart {
  enum class State : std::uint8_t { kNone, kOpen, kCanceled, kCheckedOut };

  State state = State::kNone;
  std::vector<Line> lines;
  std::string customer_id;  ///< from check-out on
  std::string payment_id;

  void apply(const CartEvent& event);
  [[nodiscard]] const Line* line_of(std::string_view product_id) const noexcept;
};

/// What the catalogue says of a product now.
struct Offer {
  std::string store_id;
  std::string product_id;
  std::string store_name;
  std::string store_location;
  std::string product_name;
  Money price;
  bool is_available = false;  ///< neither removed, nor its store out of participation
};

using CartDecision = Decision<std::vector<CartEvent>>;

[[nodiscard]] CartDecision start(const Cart& cart);
/// 0 to kMaxQuantity. An offer that is not available can only be taken out.
[[nodiscard]] CartDecision set_quantity(const Cart& cart, const Offer& offer,
                                        std::uint32_t quantity);
/// Today's names and prices; lines without an available offer go, and so do those with which the
/// lines before them have no total. No event if nothing changed.
/// `offers`: of the cart's products, in any order.
[[nodiscard]] CartDecision reprice(const Cart& cart, std::span<const Offer> offers);
[[nodiscard]] CartDecision cancel(const Cart& cart, std::string_view reason);

struct CheckOut {
  std::string_view customer_id;
  std::string_view payment_id;
  Money confirmed_total;
};
[[nodiscard]] CartDecision check_out(const Cart& cart, const CheckOut& with);

}  // namespace mallbots::orders
