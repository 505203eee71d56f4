#include "services/payments/domain/payment.h"

#include <fmt/format.h>

#include <array>

#include "services/runtime/text.h"

namespace mallbots::payments {
namespace {

using Events = std::vector<PaymentEvent>;
using State = Payment::State;

std::unexpected<Refusal> not_now(const Payment& payment, std::string_view what) {
  static constexpr std::array<std::string_view, 7> kStates = {
      "unknown", "held", "bound", "being captured", "captured", "voided", "being authorized"};
  if (payment.state == State::kNone) {
    return refuse(RefusalKind::kUnknown, "there is no such payment");
  }
  return refuse(RefusalKind::kWrongState,
                fmt::format("the payment is {}: it cannot be {}",
                            kStates[static_cast<std::size_t>(payment.state)], what));
}

Decision<void> is_an_amount(const Money& amount, const Currency& currency) {
  const bool is_good = amount.minor > 0 && amount.minor <= Money::kMaxMinor;
  if (is_good && amount.currency == currency) return {};
  return refuse(RefusalKind::kInvalid, fmt::format("{} cannot be paid", to_text(amount)));
}

}  // namespace

void Payment::apply(const PaymentEvent& event) {
  struct {
    Payment& payment;
    void operator()(const PaymentAsked& asked) const {
      const Money nothing{0, asked.amount.currency};
      payment = {State::kAsking, asked.customer_id, "", asked.amount, nothing, nothing};
    }
    void operator()(const PaymentAuthorized&) const { payment.state = State::kHeld; }
    void operator()(const PaymentBound& bound) const {
      payment.state = State::kBound;
      payment.order_id = bound.order_id;
    }
    void operator()(const PaymentCaptureAsked& asked) const {
      payment.state = State::kCapturing;
      payment.captured = asked.amount;
    }
    void operator()(const PaymentCaptureDeclined&) const {
      payment.state = State::kBound;
      payment.captured.minor = 0;
    }
    void operator()(const PaymentCaptured&) const { payment.state = State::kCaptured; }
    void operator()(const PaymentVoided&) const { payment.state = State::kVoided; }
    void operator()(const PaymentRefunded& refund) const {
      payment.refunded = payment.refunded + refund.amount;
    }
  } then{*this};
  std::visit(then, event);
}

PaymentDecision authorize(const Payment& payment, std::string_view customer_id,
                          const Money& amount) {
  auto customer = checked_text("the customer's id", customer_id);
  if (!customer) return std::unexpected(customer.error());
  if (auto good = is_an_amount(amount, amount.currency); !good) {
    return std::unexpected(good.error());
  }
  if (payment.state == State::kNone) return Events{PaymentAsked{*std::move(customer), amount}};
  const bool is_same = payment.customer_id == *customer && payment.held == amount;
  if (is_same && payment.state != State::kVoided) return Events{};
  return not_now(payment, "authorized anew");
}

PaymentDecision finish_authorize(const Payment& payment) {
  if (payment.state == State::kAsking) return Events{PaymentAuthorized{}};
  if (payment.state == State::kNone || payment.state == State::kVoided) {
    return not_now(payment, "held");
  }
  return Events{};
}

PaymentDecision bind(const Payment& payment, const Claim& claim) {
  if (payment.state == State::kNone) return not_now(payment, "bound");
  if (payment.customer_id != claim.customer_id) {
    return refuse(RefusalKind::kForbidden, "the payment is another customer's");
  }
  if (!payment.order_id.empty()) {
    if (payment.order_id == claim.order_id && payment.state != State::kVoided) return Events{};
    return refuse(RefusalKind::kWrongState, "the payment was used for another order");
  }
  if (payment.state != State::kHeld) return not_now(payment, "bound");
  if (claim.total.currency != payment.held.currency || claim.total > payment.held) {
    return refuse(RefusalKind::kInvalid, fmt::format("{} are held, the order costs {}",
                                                     to_text(payment.held), to_text(claim.total)));
  }
  auto order = checked_text("the order's id", claim.order_id);
  if (!order) return std::unexpected(order.error());
  return Events{PaymentBound{*std::move(order)}};
}

PaymentDecision ask_capture(const Payment& payment, const Money& amount) {
  const bool is_asked = payment.state == State::kCapturing || payment.state == State::kCaptured;
  if (is_asked && payment.captured == amount) return Events{};
  if (payment.state != State::kBound) return not_now(payment, "captured");
  if (auto good = is_an_amount(amount, payment.held.currency); !good) {
    return std::unexpected(good.error());
  }
  if (amount > payment.held) {
    return refuse(RefusalKind::kInvalid, fmt::format("{} are held, {} were to be captured",
                                                     to_text(payment.held), to_text(amount)));
  }
  return Events{PaymentCaptureAsked{amount}};
}

PaymentDecision finish_capture(const Payment& payment, bool is_captured) {
  if (payment.state != State::kCapturing) {
    if (payment.state == State::kCaptured && is_captured) return Events{};
    if (payment.state == State::kBound && !is_captured) return Events{};
    return not_now(payment, "captured");
  }
  if (is_captured) return Events{PaymentCaptured{}};
  return Events{PaymentCaptureDeclined{}};
}

PaymentDecision void_hold(const Payment& payment) {
  if (payment.state == State::kVoided) return Events{};
  const bool is_open = payment.state == State::kAsking || payment.state == State::kHeld ||
                       payment.state == State::kBound;
  if (is_open) return Events{PaymentVoided{}};
  return not_now(payment, "voided");
}

PaymentDecision refund_down_to(const Payment& payment, const Money& keep, std::string_view reason) {
  if (payment.state != State::kCaptured) return not_now(payment, "refunded");
  if (keep.currency != payment.captured.currency || keep.minor < 0) {
    return refuse(RefusalKind::kInvalid, fmt::format("{} cannot be kept", to_text(keep)));
  }
  const Money kept = payment.captured - payment.refunded;
  if (keep >= kept) return Events{};
  auto good_reason = checked_text("the reason", reason);
  if (!good_reason) return std::unexpected(good_reason.error());
  return Events{PaymentRefunded{kept - keep, *std::move(good_reason)}};
}

}  // namespace mallbots::payments
