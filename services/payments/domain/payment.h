// Payment: an amount held on a customer's card for one order. A row in the payments database; pure
// rules, any thread.
//
//   (none) ── authorize ──▶ held ── bind to an order ──▶ bound ── ask ──▶ capturing ──▶ captured
//                            └───────── void ─────────────┴──▶ voided        │        refund, in
//                            parts
//                                                         ▲── declined ──────┘
//
// While the provider is being asked (capturing) nothing else happens: whoever asked goes on.
// One payment pays one order, of its own customer, and never more than was held. A command in the
// state that it leads to succeeds without an event. Refusals: kInvalid (amounts), kUnknown (no such
// payment), kForbidden (another customer's), kWrongState.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/runtime/money.h"
#include "services/runtime/refusal.h"

namespace mallbots::payments {

struct PaymentAuthorized {
  std::string customer_id;
  Money amount;
};
struct PaymentBound {
  std::string order_id;
};
struct PaymentCaptureAsked {
  Money amount;
};
struct PaymentCaptureDeclined {};
struct PaymentCaptured {};  ///< what was asked for
struct PaymentVoided {};
struct PaymentRefunded {
  Money amount;  ///< of this refund alone
  std::string reason;
};
using PaymentEvent =
    std::variant<PaymentAuthorized, PaymentBound, PaymentCaptureAsked, PaymentCaptureDeclined,
                 PaymentCaptured, PaymentVoided, PaymentRefunded>;

struct Payment {
  enum class State : std::uint8_t { kNone, kHeld, kBound, kCapturing, kCaptured, kVoided };

  State state = State::kNone;
  std::string customer_id;
  std::string order_id;  ///< once bound
  Money held;
  Money captured;  ///< while capturing: asked for
  Money refunded;

  void apply(const PaymentEvent& event);
};

using PaymentDecision = Decision<std::vector<PaymentEvent>>;

/// The provider has said yes.
[[nodiscard]] PaymentDecision authorize(const Payment& payment, std::string_view customer_id,
                                        const Money& amount);

struct Claim {
  std::string_view order_id;
  std::string_view customer_id;
  Money total;
};
/// Refused when another customer's, too small, or bound to another order.
[[nodiscard]] PaymentDecision bind(const Payment& payment, const Claim& claim);
/// Above zero and no more than held.
[[nodiscard]] PaymentDecision ask_capture(const Payment& payment, const Money& amount);
/// What the provider answered.
[[nodiscard]] PaymentDecision finish_capture(const Payment& payment, bool is_captured);
/// What is not captured is given back to the card.
[[nodiscard]] PaymentDecision void_hold(const Payment& payment);
/// So that `keep` stays captured in all: repeating it refunds nothing more.
[[nodiscard]] PaymentDecision refund_down_to(const Payment& payment, const Money& keep,
                                             std::string_view reason);

}  // namespace mallbots::payments
