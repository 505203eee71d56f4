// Invoice: what one order costs, from its approval on. A row in the payments database; pure rules,
// any thread.
//
//   (none) ── create ──▶ pending ── pay (card or cash) ──▶ paid ── adjust down: refund ──▶ paid
//                          │ adjust                         └── cancel: refund all ──▶ refunded
//                          └── cancel ──▶ canceled
//
// The customer may pay as soon as the order is approved; what the depot counts adjusts the invoice,
// before or after. It never rises above what it was created with: nobody pays more than was
// confirmed. A command in the state that it leads to succeeds without an event. Refusals: kInvalid
// (amount), kUnknown (no such invoice), kWrongState.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/runtime/money.h"
#include "services/runtime/refusal.h"

namespace mallbots::payments {

enum class PaidBy : std::uint8_t { kCard, kCash };

struct InvoiceCreated {
  std::string order_id;
  std::string payment_id;
  Money amount;
};
struct InvoiceAdjusted {
  Money amount;  ///< from now on
};
struct InvoicePaid {
  std::string order_id;
  Money amount;
  PaidBy by = PaidBy::kCard;
};
struct InvoiceCanceled {};
struct InvoiceRefunded {
  Money amount;  ///< of this refund alone
  PaidBy by = PaidBy::kCard;
  bool is_whole = false;  ///< the order was cancelled
};
using InvoiceEvent =
    std::variant<InvoiceCreated, InvoiceAdjusted, InvoicePaid, InvoiceCanceled, InvoiceRefunded>;

struct Invoice {
  enum class State : std::uint8_t { kNone, kPending, kPaid, kCanceled, kRefunded };

  State state = State::kNone;
  std::string order_id;
  std::string payment_id;
  Money first_amount;
  Money amount;
  Money paid;  ///< less what was refunded
  PaidBy by = PaidBy::kCard;

  void apply(const InvoiceEvent& event);
};

using InvoiceDecision = Decision<std::vector<InvoiceEvent>>;

[[nodiscard]] InvoiceDecision create(const Invoice& invoice, std::string_view order_id,
                                     std::string_view payment_id, const Money& amount);
[[nodiscard]] InvoiceDecision adjust(const Invoice& invoice, const Money& amount);
[[nodiscard]] InvoiceDecision pay(const Invoice& invoice, PaidBy by);
[[nodiscard]] InvoiceDecision cancel(const Invoice& invoice);

}  // namespace mallbots::payments
