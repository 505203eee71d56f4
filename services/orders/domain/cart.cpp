#include "services/orders/domain/cart.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/runtime/text.h"

namespace mallbots::orders {
namespace {

using Events = std::vector<CartEvent>;

Decision<void> is_open(const Cart& cart) {
  switch (cart.state) {
    case Cart::State::kNone:
      return refuse(RefusalKind::kUnknown, "there is no such cart");
    case Cart::State::kCanceled:
      return refuse(RefusalKind::kWrongState, "the cart was canceled");
    case Cart::State::kCheckedOut:
      return refuse(RefusalKind::kWrongState, "the cart is checked out");
    case Cart::State::kOpen:
      break;
  }
  return {};
}

template <class Lines>
auto find_line(Lines& lines, std::string_view product_id) {
  return std::ranges::find(lines, product_id, &Line::product_id);
}

Line line_from(const Offer& offer, std::uint32_t quantity) {
  return {offer.store_id,     offer.product_id, offer.store_name, offer.store_location,
          offer.product_name, offer.price,      quantity};
}

/// Without the lines that the ones before them have no total with.
std::vector<Line> with_a_total(std::vector<Line> lines) {
  std::vector<Line> kept;
  for (Line& line : lines) {
    kept.push_back(std::move(line));
    if (!total(kept)) kept.pop_back();
  }
  return kept;
}

}  // namespace

void Cart::apply(const CartEvent& event) {
  struct {
    Cart& cart;
    void operator()(const CartStarted&) const { cart.state = State::kOpen; }
    void operator()(const CartLineSet& set) const {
      const auto at = find_line(cart.lines, set.line.product_id);
      if (at == cart.lines.end()) {
        if (set.line.quantity != 0) cart.lines.push_back(set.line);
      } else if (set.line.quantity == 0) {
        cart.lines.erase(at);
      } else {
        *at = set.line;
      }
    }
    void operator()(const CartRepriced& repriced) const { cart.lines = repriced.lines; }
    void operator()(const CartCanceled&) const { cart.state = State::kCanceled; }
    void operator()(const CartCheckedOut& out) const {
      cart.state = State::kCheckedOut;
      cart.customer_id = out.customer_id;
      cart.payment_id = out.payment_id;
    }
  } then{*this};
  std::visit(then, event);
}

const Line* Cart::line_of(std::string_view product_id) const noexcept {
  const auto at = find_line(lines, product_id);
  return at == lines.end() ? nullptr : &*at;
}

CartDecision start(const Cart& cart) {
  if (cart.state == Cart::State::kOpen) return Events{};
  if (cart.state == Cart::State::kNone) return Events{CartStarted{}};
  return refuse(RefusalKind::kWrongState, "a cart of that id was used before");
}

CartDecision set_quantity(const Cart& cart, const Offer& offer, std::uint32_t quantity) {
  if (auto open = is_open(cart); !open) return std::unexpected(open.error());
  if (quantity > kMaxQuantity) {
    return refuse(RefusalKind::kInvalid,
                  fmt::format("{} of '{}' are more than the {} that one order may have", quantity,
                              offer.product_name, kMaxQuantity));
  }
  const Line* line = cart.line_of(offer.product_id);
  if (quantity == (line == nullptr ? 0 : line->quantity)) return Events{};
  if (quantity == 0) {
    Line gone = *line;
    gone.quantity = 0;
    return Events{CartLineSet{std::move(gone)}};
  }
  if (!offer.is_available) {
    return refuse(RefusalKind::kWrongState,
                  fmt::format("'{}' is not sold by robots at present", offer.product_name));
  }
  if (line == nullptr && cart.lines.size() == kMaxLines) {
    return refuse(RefusalKind::kInvalid, fmt::format("a cart has at most {} lines", kMaxLines));
  }
  Line wanted = line == nullptr ? line_from(offer, quantity) : *line;
  wanted.quantity = quantity;
  Events events{CartLineSet{std::move(wanted)}};
  Cart then = cart;
  then.apply(events.front());
  if (auto sum = total(then.lines); !sum) return std::unexpected(sum.error());
  return events;
}

CartDecision reprice(const Cart& cart, std::span<const Offer> offers) {
  if (auto open = is_open(cart); !open) return std::unexpected(open.error());
  std::vector<Line> lines;
  for (const Line& line : cart.lines) {
    const auto offer = std::ranges::find(offers, line.product_id, &Offer::product_id);
    if (offer != offers.end() && offer->is_available) {
      lines.push_back(line_from(*offer, line.quantity));
    }
  }
  if (!total(lines)) lines = with_a_total(std::move(lines));
  if (lines == cart.lines) return Events{};
  return Events{CartRepriced{std::move(lines)}};
}

CartDecision cancel(const Cart& cart, std::string_view reason) {
  if (cart.state == Cart::State::kCanceled) return Events{};
  if (auto open = is_open(cart); !open) return std::unexpected(open.error());
  auto good_reason = checked_text("the reason", reason, kMaxReasonBytes);
  if (!good_reason) return std::unexpected(good_reason.error());
  return Events{CartCanceled{*std::move(good_reason)}};
}

CartDecision check_out(const Cart& cart, const CheckOut& with) {
  if (cart.state == Cart::State::kCheckedOut && cart.payment_id == with.payment_id) return Events{};
  if (auto open = is_open(cart); !open) return std::unexpected(open.error());
  if (cart.lines.empty()) return refuse(RefusalKind::kWrongState, "the cart is empty");
  auto customer = checked_text("the customer's id", with.customer_id);
  if (!customer) return std::unexpected(customer.error());
  auto payment = checked_text("the payment's id", with.payment_id);
  if (!payment) return std::unexpected(payment.error());
  auto sum = total(cart.lines);
  if (!sum) return std::unexpected(sum.error());
  if (*sum != with.confirmed_total) {
    return refuse(RefusalKind::kConflict,
                  fmt::format("the total is {}, confirmed was {}: review the cart again",
                              to_text(*sum), to_text(with.confirmed_total)));
  }
  return Events{CartCheckedOut{*std::move(customer), *std::move(payment), cart.lines, *sum}};
}

}  // namespace mallbots::orders
