#include "services/payments/app/payments.h"

#include <fmt/format.h>

#include "services/payments/app/rows.h"
#include "services/runtime/money_proto.h"

namespace mallbots::payments {
namespace {

using toolkit::Context;
using toolkit::Handled;

/// Payments is the receiver of its own commands.
template <class Command>
Result<void> ask_provider(Unit& unit, const Command& command) {
  toolkit::OutboxPublisher publisher(unit.outbox, unit.transaction);
  return toolkit::CommandBus(topic_names()).send(publisher, command, unit.cause);
}

Outcome<void> carry_out(Unit& unit, const std::string& id, Payment& payment,
                        const PaymentDecision& decision) {
  if (!decision) return std::unexpected(decision.error());
  for (const PaymentEvent& event : *decision) {
    paymentsapi::GiveBack command;
    command.set_id(id);
    *command.mutable_refunded_before() = to_proto(payment.refunded);
    payment.apply(event);
    *command.mutable_refunded() = to_proto(payment.refunded);
    command.set_void_hold(std::holds_alternative<PaymentVoided>(event));
    if (command.void_hold() || std::holds_alternative<PaymentRefunded>(event)) {
      MALLBOTS_OUTCOME(asked, ask_provider(unit, command));
    }
  }
  if (decision->empty()) return {};
  return save_payment(unit.transaction, id, payment);
}

Outcome<void> carry_out(Unit& unit, const std::string& id, Invoice& invoice,
                        const InvoiceDecision& decision) {
  if (!decision) return std::unexpected(decision.error());
  for (const InvoiceEvent& event : *decision) {
    invoice.apply(event);
    MALLBOTS_OUTCOME(told, tell(unit, id, invoice, event));
  }
  if (decision->empty()) return {};
  return save_invoice(unit.transaction, id, invoice);
}

/// The card follows its invoice: what a paid one gave back, and what a dead one does not need.
Outcome<void> settle(Unit& unit, const Invoice& invoice) {
  MALLBOTS_OUTCOME(payment, load_payment(unit.transaction, invoice.payment_id));
  // Whoever asks the provider at present settles when it has answered.
  if (payment->state == Payment::State::kCapturing) return {};
  if (payment->state == Payment::State::kCaptured) {
    // Whoever paid in cash while the card was being asked has paid twice.
    const Money keep = invoice.by == PaidBy::kCard ? invoice.paid : Money{0, invoice.paid.currency};
    return carry_out(unit, invoice.payment_id, *payment,
                     refund_down_to(*payment, keep, "the order costs less"));
  }
  if (invoice.state == Invoice::State::kPending) return {};
  return carry_out(unit, invoice.payment_id, *payment, void_hold(*payment));
}

Handled handled(const Outcome<void>& outcome) {
  if (!outcome) return std::unexpected(as_handler_failure(outcome.error()));
  return {};
}

std::string key_for(std::string_view what, std::string_view id) {
  return fmt::format("{}:{}", what, id);
}

/// The provider's "no" is a refusal, its silence an error.
std::unexpected<Failure> declined(Error error) {
  if (error.code != ErrorCode::kRefused) return std::unexpected(Failure(std::move(error)));
  return std::unexpected(Failure(Refusal{RefusalKind::kForbidden, std::move(error.detail)}));
}

}  // namespace

Result<std::unique_ptr<Payments>> Payments::open(Units units, Provider& provider) {
  MALLBOTS_TRY(units.database().ensure(kSchema));
  return std::unique_ptr<Payments>(new Payments(units, provider));
}

Outcome<void> Payments::authorize(const Hold& hold) {
  const std::string id(hold.id);
  const auto asks = units_.run({}, [&](Unit& unit) -> Outcome<bool> {
    MALLBOTS_OUTCOME(payment, load_payment(unit.transaction, id));
    MALLBOTS_OUTCOME(asked,
                     carry_out(unit, id, *payment,
                               payments::authorize(*payment, hold.customer_id, hold.amount)));
    return payment->state == Payment::State::kAsking;
  });
  if (!asks) return std::unexpected(asks.error());
  if (!*asks) return {};
  auto held = provider_->authorize(key_for("authorize", id), hold.card_token, hold.amount);
  if (!held && held.error().code != ErrorCode::kRefused) return declined(std::move(held).error());
  auto noted = units_.run({}, [&](Unit& unit) -> Outcome<void> {
    if (!held) return forget_asking(unit.transaction, id);
    MALLBOTS_OUTCOME(payment, load_payment(unit.transaction, id));
    // Released meanwhile: what is held goes back, whichever the provider heard of first.
    auto done = carry_out(unit, id, *payment, finish_authorize(*payment));
    if (!done) return done;
    return save_authorization(unit.transaction, id, *held);
  });
  if (noted && !held) return declined(std::move(held).error());
  return noted;
}

Outcome<std::string> Payments::reference_of(std::string_view payment_id) const {
  MALLBOTS_OUTCOME(
      rows, units_.database().read("select reference from payments where id = ?", {payment_id}));
  if (!rows->empty()) return std::string(rows->front().text(0));
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such payment"});
}

Outcome<void> Payments::pay(std::string_view invoice_id, PaidBy by, const toolkit::Cause& cause) {
  const std::string id(invoice_id);
  bool asks_provider = false;
  auto begun = units_.run(cause, [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(invoice, load_invoice(unit.transaction, id));
    const InvoiceDecision decision = payments::pay(*invoice, by);
    asks_provider =
        by == PaidBy::kCard && decision && !decision->empty() && invoice->amount.minor > 0;
    if (!asks_provider) {
      if (auto paid = carry_out(unit, id, *invoice, decision); !paid) return paid;
      return settle(unit, *invoice);
    }
    MALLBOTS_OUTCOME(payment, load_payment(unit.transaction, invoice->payment_id));
    // Asked before: the amount of then counts, and what it is too much is refunded.
    if (payment->state == Payment::State::kCapturing) return {};
    paymentsapi::Capture command;
    command.set_id(id);
    MALLBOTS_OUTCOME(asked, ask_provider(unit, command));
    return carry_out(unit, invoice->payment_id, *payment, ask_capture(*payment, invoice->amount));
  });
  if (!begun || !asks_provider) return begun;
  return complete_capture(id, cause);
}

Outcome<void> Payments::complete_capture(const std::string& invoice_id,
                                         const toolkit::Cause& cause) {
  auto before = invoice(invoice_id);
  if (!before) return std::unexpected(std::move(before).error());
  auto asked = payment(before->payment_id);
  if (!asked) return std::unexpected(std::move(asked).error());
  if (asked->state != Payment::State::kCapturing) return {};  // somebody else has completed it
  auto reference = reference_of(before->payment_id);
  if (!reference) return std::unexpected(std::move(reference).error());
  auto captured = provider_->capture(key_for("capture", invoice_id), *reference, asked->captured);
  if (!captured && captured.error().code != ErrorCode::kRefused) {
    return std::unexpected(Failure(std::move(captured).error()));
  }
  auto done = units_.run(cause, [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(now, load_invoice(unit.transaction, invoice_id));
    MALLBOTS_OUTCOME(payment, load_payment(unit.transaction, now->payment_id));
    if (payment->state != Payment::State::kCapturing) return {};
    auto finished =
        carry_out(unit, now->payment_id, *payment, finish_capture(*payment, captured.has_value()));
    if (!finished) return finished;
    if (captured && now->state == Invoice::State::kPending) {
      auto paid = carry_out(unit, invoice_id, *now, payments::pay(*now, PaidBy::kCard));
      if (!paid) return paid;
    }
    // Meanwhile the order may have been cancelled, or the depot have counted less.
    return settle(unit, *now);
  });
  if (!done) return done;
  if (!captured) return declined(std::move(captured).error());
  return {};
}

Outcome<bool> Payments::is_card_of(std::string_view payment_id, std::string_view card_token) {
  MALLBOTS_OUTCOME(
      rows, units_.database().read("select fingerprint from payments where id = ?", {payment_id}));
  auto fingerprint = provider_->fingerprint(card_token);
  if (!fingerprint) return declined(std::move(fingerprint).error());
  return !rows->empty() && rows->front().text(0) == *fingerprint;
}

Outcome<Payment> Payments::payment(std::string_view id) const {
  MALLBOTS_OUTCOME(rows, units_.database().read(std::string(kSelectPayment), {id}));
  if (!rows->empty()) return payment_from(rows->front());
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such payment"});
}

Outcome<Invoice> Payments::invoice(std::string_view id) const {
  MALLBOTS_OUTCOME(rows, units_.database().read(std::string(kSelectInvoice), {id}));
  if (!rows->empty()) return invoice_from(rows->front());
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such invoice"});
}

Handled Payments::confirm(Context& context, const paymentsapi::ConfirmPayment& command) {
  Unit unit = units_.of(context);
  const auto total = from_proto(command.amount());
  if (!total) return std::unexpected(as_handler_failure(total.error()));
  auto payment = load_payment(unit.transaction, command.id());
  if (!payment) return std::unexpected(as_handler_failure(payment.error()));
  return handled(carry_out(unit, command.id(), *payment,
                           bind(*payment, {command.order_id(), command.customer_id(), *total})));
}

Outcome<void> Payments::give_up(Unit& unit, const Held& what) {
  MALLBOTS_OUTCOME(payment, load_payment(unit.transaction, what.payment_id));
  const bool is_theirs = payment->state != Payment::State::kNone &&
                         payment->customer_id == what.customer_id &&
                         (payment->order_id.empty() || payment->order_id == what.order_id);
  if (!is_theirs) return {};
  return carry_out(unit, what.payment_id, *payment, void_hold(*payment));
}

Handled Payments::release(Context& context, const paymentsapi::ReleasePayment& command) {
  Unit unit = units_.of(context);
  return handled(give_up(unit, {command.id(), command.order_id(), command.customer_id()}));
}

Handled Payments::capture(Context& context, const paymentsapi::Capture& command) {
  const auto done = complete_capture(command.id(), context.cause());
  // Declined: the invoice is open again, and whoever pays next is told.
  if (!done && std::holds_alternative<Refusal>(done.error())) return {};
  return handled(done);
}

Handled Payments::give_back(Context&, const paymentsapi::GiveBack& command) {
  if (command.void_hold()) {
    MALLBOTS_TRY(
        provider_->void_hold(key_for("void", command.id()), key_for("authorize", command.id())));
    return {};
  }
  const auto reference = reference_of(command.id());
  if (!reference) return std::unexpected(as_handler_failure(reference.error()));
  const auto before = from_proto(command.refunded_before());
  const auto after = from_proto(command.refunded());
  if (!before || !after) return toolkit::give_up("Undecodable", "an amount is none");
  const std::string key = fmt::format("refund:{}:{}", command.id(), after->minor);
  MALLBOTS_TRY(provider_->refund(key, *reference, *after - *before));
  return {};
}

Handled Payments::on_approved(Context& context, const ordersapi::OrderApproved& event) {
  Unit unit = units_.of(context);
  const auto total = from_proto(event.total());
  if (!total) return std::unexpected(as_handler_failure(total.error()));
  auto invoice = load_invoice(unit.transaction, event.id());
  if (!invoice) return std::unexpected(as_handler_failure(invoice.error()));
  return handled(carry_out(unit, event.id(), *invoice,
                           create(*invoice, event.id(), event.payment_id(), *total)));
}

Handled Payments::on_readied(Context& context, const ordersapi::OrderReadied& event) {
  Unit unit = units_.of(context);
  const auto total = from_proto(event.total());
  if (!total) return std::unexpected(as_handler_failure(total.error()));
  auto invoice = load_invoice(unit.transaction, event.id());
  if (!invoice) return std::unexpected(as_handler_failure(invoice.error()));
  const auto adjusted = carry_out(unit, event.id(), *invoice, adjust(*invoice, *total));
  if (!adjusted) return handled(adjusted);
  return handled(settle(unit, *invoice));
}

Handled Payments::on_canceled(Context& context, const ordersapi::OrderCanceled& event) {
  Unit unit = units_.of(context);
  auto invoice = load_invoice(unit.transaction, event.id());
  if (!invoice) return std::unexpected(as_handler_failure(invoice.error()));
  // Cancelled before it was approved. The saga, if it comes later, is refused the payment.
  if (invoice->state == Invoice::State::kNone)
    return handled(give_up(unit, {event.payment_id(), event.id(), event.customer_id()}));
  const auto canceled = carry_out(unit, event.id(), *invoice, cancel(*invoice));
  if (!canceled) return handled(canceled);
  return handled(settle(unit, *invoice));
}

Handled Payments::on_rejected(Context& context, const ordersapi::OrderRejected& event) {
  Unit unit = units_.of(context);
  return handled(give_up(unit, {event.payment_id(), event.id(), event.customer_id()}));
}

}  // namespace mallbots::payments
