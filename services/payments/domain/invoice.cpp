#include "services/payments/domain/invoice.h"

#include <fmt/format.h>

#include <array>

#include "services/runtime/text.h"

namespace mallbots::payments {
namespace {

using Events = std::vector<InvoiceEvent>;
using State = Invoice::State;

std::unexpected<Refusal> not_now(const Invoice& invoice, std::string_view what) {
  static constexpr std::array<std::string_view, 5> kStates = {"unknown", "pending", "paid",
                                                              "canceled", "refunded"};
  if (invoice.state == State::kNone) {
    return refuse(RefusalKind::kUnknown, "there is no such invoice");
  }
  return refuse(RefusalKind::kWrongState,
                fmt::format("the invoice is {}: it cannot be {}",
                            kStates[static_cast<std::size_t>(invoice.state)], what));
}

}  // namespace

void Invoice::apply(const InvoiceEvent& event) {
  struct {
    Invoice& invoice;
    void operator()(const InvoiceCreated& created) const {
      invoice.state = State::kPending;
      invoice.order_id = created.order_id;
      invoice.payment_id = created.payment_id;
      invoice.first_amount = invoice.amount = created.amount;
      invoice.paid = {0, created.amount.currency};
    }
    void operator()(const InvoiceAdjusted& adjusted) const { invoice.amount = adjusted.amount; }
    void operator()(const InvoicePaid& paid) const {
      invoice.state = State::kPaid;
      invoice.paid = paid.amount;
      invoice.by = paid.by;
    }
    void operator()(const InvoiceCanceled&) const { invoice.state = State::kCanceled; }
    void operator()(const InvoiceRefunded& refund) const {
      invoice.paid = invoice.paid - refund.amount;
      if (refund.is_whole) invoice.state = State::kRefunded;
    }
  } then{*this};
  std::visit(then, event);
}

InvoiceDecision create(const Invoice& invoice, std::string_view order_id,
                       std::string_view payment_id, const Money& amount) {
  auto order = checked_text("the order's id", order_id);
  if (!order) return std::unexpected(order.error());
  auto payment = checked_text("the payment's id", payment_id);
  if (!payment) return std::unexpected(payment.error());
  if (amount.minor < 0 || amount.minor > Money::kMaxMinor) {
    return refuse(RefusalKind::kInvalid, fmt::format("{} cannot be invoiced", to_text(amount)));
  }
  if (invoice.state == State::kNone) {
    return Events{InvoiceCreated{*std::move(order), *std::move(payment), amount}};
  }
  if (invoice.order_id == *order && invoice.first_amount == amount) return Events{};
  return not_now(invoice, "created anew");
}

InvoiceDecision adjust(const Invoice& invoice, const Money& amount) {
  if (invoice.state != State::kPending && invoice.state != State::kPaid) {
    return not_now(invoice, "adjusted");
  }
  const bool is_good = amount.currency == invoice.first_amount.currency && amount.minor >= 0 &&
                       amount <= invoice.first_amount;
  if (!is_good) {
    return refuse(RefusalKind::kInvalid,
                  fmt::format("the invoice was made over {}, it cannot become {}",
                              to_text(invoice.first_amount), to_text(amount)));
  }
  Events events;
  if (amount != invoice.amount) events.emplace_back(InvoiceAdjusted{amount});
  if (invoice.state == State::kPaid && invoice.paid > amount) {
    events.emplace_back(InvoiceRefunded{invoice.paid - amount, invoice.by, false});
  }
  return events;
}

InvoiceDecision pay(const Invoice& invoice, PaidBy by) {
  if (invoice.state == State::kPaid) return Events{};
  if (invoice.state != State::kPending) return not_now(invoice, "paid");
  return Events{InvoicePaid{invoice.order_id, invoice.amount, by}};
}

InvoiceDecision cancel(const Invoice& invoice) {
  if (invoice.state == State::kCanceled || invoice.state == State::kRefunded) return Events{};
  if (invoice.state == State::kPending) return Events{InvoiceCanceled{}};
  if (invoice.state == State::kPaid) {
    return Events{InvoiceRefunded{invoice.paid, invoice.by, true}};
  }
  return not_now(invoice, "canceled");
}

}  // namespace mallbots::payments
