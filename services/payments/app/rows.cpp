#include "services/payments/app/rows.h"

#include "services/payments/contract.h"
#include "services/runtime/money_proto.h"

namespace mallbots::payments {
namespace {

using toolkit::Row;

Money money_at(const Row& row, std::size_t column, std::string_view currency) {
  return {row.integer(column), parse_currency(currency).value_or(Currency{})};
}

std::string_view letters(const Money& money) {
  return {money.currency.letters.data(), money.currency.letters.size()};
}

}  // namespace

const char* const kSchema =
    "create table if not exists payments ("
    " id text primary key, state integer not null, customer_id text not null,"
    " order_id text not null, currency text not null, held integer not null,"
    " captured integer not null, refunded integer not null,"
    " reference text not null default '', fingerprint text not null default '') strict;"
    "drop index if exists payments_by_order;"
    "create table if not exists invoices ("
    " id text primary key, state integer not null, order_id text not null,"
    " payment_id text not null, currency text not null, first_amount integer not null,"
    " amount integer not null, paid integer not null, paid_by integer not null) strict";

const char* const kSelectPayment =
    "select state, customer_id, order_id, currency, held, captured, refunded"
    " from payments where id = ?";
const char* const kSelectInvoice =
    "select state, order_id, payment_id, currency, first_amount, amount, paid, paid_by"
    " from invoices where id = ?";

Payment payment_from(const Row& row) {
  const std::string_view currency = row.text(3);
  return {static_cast<Payment::State>(row.integer(0)),
          std::string(row.text(1)),
          std::string(row.text(2)),
          money_at(row, 4, currency),
          money_at(row, 5, currency),
          money_at(row, 6, currency)};
}

Invoice invoice_from(const Row& row) {
  const std::string_view currency = row.text(3);
  return {static_cast<Invoice::State>(row.integer(0)),
          std::string(row.text(1)),
          std::string(row.text(2)),
          money_at(row, 4, currency),
          money_at(row, 5, currency),
          money_at(row, 6, currency),
          static_cast<PaidBy>(row.integer(7))};
}

Outcome<Payment> load_payment(toolkit::Transaction& transaction, std::string_view id) {
  MALLBOTS_OUTCOME(rows, transaction.rows(kSelectPayment, {id}));
  return rows->empty() ? Payment{} : payment_from(rows->front());
}

Outcome<Invoice> load_invoice(toolkit::Transaction& transaction, std::string_view id) {
  MALLBOTS_OUTCOME(rows, transaction.rows(kSelectInvoice, {id}));
  return rows->empty() ? Invoice{} : invoice_from(rows->front());
}

Outcome<void> save_payment(toolkit::Transaction& transaction, std::string_view id,
                           const Payment& payment) {
  MALLBOTS_OUTCOME(
      saved, transaction.run(
                 "insert into payments (id, state, customer_id, order_id, currency, held,"
                 " captured, refunded) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update"
                 " set state = excluded.state, order_id = excluded.order_id,"
                 " captured = excluded.captured, refunded = excluded.refunded",
                 {id, static_cast<int>(payment.state), payment.customer_id, payment.order_id,
                  letters(payment.held), payment.held.minor, payment.captured.minor,
                  payment.refunded.minor}));
  return {};
}

Outcome<void> save_authorization(toolkit::Transaction& transaction, std::string_view id,
                                 const Authorization& authorization) {
  MALLBOTS_OUTCOME(
      saved, transaction.run("update payments set reference = ?, fingerprint = ? where id = ?",
                             {authorization.reference, authorization.fingerprint, id}));
  return {};
}

Outcome<void> forget_asking(toolkit::Transaction& transaction, std::string_view id) {
  MALLBOTS_OUTCOME(gone, transaction.run("delete from payments where id = ? and state = ?",
                                         {id, static_cast<int>(Payment::State::kAsking)}));
  return {};
}

Outcome<void> save_invoice(toolkit::Transaction& transaction, std::string_view id,
                           const Invoice& invoice) {
  MALLBOTS_OUTCOME(
      saved,
      transaction.run("insert into invoices values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do"
                      " update set state = excluded.state, amount = excluded.amount,"
                      " paid = excluded.paid, paid_by = excluded.paid_by",
                      {id, static_cast<int>(invoice.state), invoice.order_id, invoice.payment_id,
                       letters(invoice.amount), invoice.first_amount.minor, invoice.amount.minor,
                       invoice.paid.minor, static_cast<int>(invoice.by)}));
  return {};
}

Result<void> tell(Unit& unit, const std::string& id, const Invoice& invoice,
                  const InvoiceEvent& event) {
  const toolkit::TopicNames names = topic_names();
  const auto about = [&]<class Message>(Message message) {
    message.set_id(id);
    message.set_order_id(invoice.order_id);
    return message;
  };
  if (const auto* created = std::get_if<InvoiceCreated>(&event)) {
    auto message = about(paymentsapi::InvoiceCreated{});
    *message.mutable_amount() = to_proto(created->amount);
    return unit.tell(names, message);
  }
  if (const auto* adjusted = std::get_if<InvoiceAdjusted>(&event)) {
    auto message = about(paymentsapi::InvoiceAdjusted{});
    *message.mutable_amount() = to_proto(adjusted->amount);
    return unit.tell(names, message);
  }
  if (const auto* paid = std::get_if<InvoicePaid>(&event)) {
    auto message = about(paymentsapi::InvoicePaid{});
    *message.mutable_amount() = to_proto(paid->amount);
    message.set_paid_by(paid->by == PaidBy::kCard ? "card" : "cash");
    return unit.tell(names, message);
  }
  if (const auto* refunded = std::get_if<InvoiceRefunded>(&event)) {
    auto message = about(paymentsapi::InvoiceRefunded{});
    *message.mutable_amount() = to_proto(refunded->amount);
    message.set_is_whole(refunded->is_whole);
    return unit.tell(names, message);
  }
  return unit.tell(names, about(paymentsapi::InvoiceCanceled{}));
}

}  // namespace mallbots::payments
