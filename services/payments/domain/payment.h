// Payment: an amount held on a customer's card for one order. A row in the payments database; pure
// rules, any thread.
//
//   (none) ── authorize ──▶ asking ──▶ held ── bind to an order ──▶ bound ── ask ──▶ capturing
//                │            └─────────┴──────── void ───────────────┤   ▲               │    │
//                └── declined: none                                   ▼   └── declined ───┘    ▼
//                                                                   voided                captured
//                                                                              (refund, in parts)
//
// While the provider is being asked to hold (asking) nobody knows what it holds, and it may be
// voided; while it is asked to capture (capturing) nothing else happens. Whoever asked goes on.
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

struct PaymentAsked {
  std::string customer_id;
  Money amount;
};
struct PaymentAuthorized {};  ///< what was asked for
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
    std::variant<PaymentAsked, PaymentAuthorized, PaymentBound, PaymentCaptureAsked,
                 PaymentCaptureDeclined, PaymentCaptured, PaymentVoided, PaymentRefunded>;

struct Payment {
  /// Stored as these numbers.
  enum class State : std::uint8_t { kNone, kHeld, kBound, kCapturing, kCaptured, kVoided, kAsking };

  State state = State::kNone;
  std::string customer_id;
  std::string order_id;  ///< once bound
  Money held;            ///< while asking: asked for
  Money captured;        ///< while capturing: asked for
  Money refunded;

  void apply(const PaymentEvent& event);
};

using PaymentDecision = Decision<std::vector<PaymentEvent>>;

/// The provider is to be asked, unless it is held already.
[[nodiscard]] PaymentDecision authorize(const Payment& payment, std::string_view customer_id,
                                        const Money& amount);

/// The provider has said yes.
[[nodiscard]] PaymentDecision finish_authorize(const Payment& payment);

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
