// Payments: the application of the context. Holds, invoices, payment, refunds.
//
//   submit      authorize(): a row says that the provider is being asked; it holds the amount, and
//               the row says so. An answer that was lost: the same again asks again
//   saga        ConfirmPayment binds it to one order; ReleasePayment gives it back
//   approved    an invoice over the expected total
//   pay         card: the provider takes the invoice's amount of the hold; cash: the hold goes back
//   readied     the invoice is lowered to what was counted; what was paid too much is refunded
//   cancelled   the invoice is cancelled, or refunded whole; before there is one, and when the
//               order is rejected, the hold goes back; so it does if nobody knows whether the
//               provider holds it
//
// Who calls: gateways (each call its own transaction) and the router (in the message's), any
// thread. The provider is asked outside of transactions: what is to happen is written first, with a
// command to ourselves (Capture, GiveBack) that asks the provider until it has answered, under a
// key that makes a repetition harmless. So no money moves that no row knows of, whoever dies.
//
// A completed call survives a power cut, and its events will be published (Outbox). Failures: the
// domain's refusals; kForbidden: the card was declined; errors of database and provider.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "services/orders/contract.h"
#include "services/payments/app/provider.h"
#include "services/payments/contract.h"
#include "services/payments/domain/invoice.h"
#include "services/payments/domain/payment.h"
#include "services/runtime/unit.h"

namespace mallbots::payments {

class Payments {
 public:
  /// Makes the tables if they are not there. The provider lives longer.
  [[nodiscard]] static Result<std::unique_ptr<Payments>> open(Units units, Provider& provider);

  struct Hold {
    std::string_view id;  ///< chosen by the caller: the same again is the same hold, until it ends
    std::string_view customer_id;
    std::string_view card_token;
    Money amount;
  };
  /// kWrongState: it went back, or is another hold. Declined: as if it had never been asked for.
  [[nodiscard]] Outcome<void> authorize(const Hold& hold);
  /// Of an order; the invoice's id is the order's. The second time: nothing.
  [[nodiscard]] Outcome<void> pay(std::string_view invoice_id, PaidBy by,
                                  const toolkit::Cause& cause = {});
  /// Is it the card that the amount is, or was, held on?
  [[nodiscard]] Outcome<bool> is_card_of(std::string_view payment_id, std::string_view card_token);

  [[nodiscard]] Outcome<Payment> payment(std::string_view id) const;
  [[nodiscard]] Outcome<Invoice> invoice(std::string_view id) const;

  // --- Commands and events; all but capture and give_back stand in the message's transaction.

  [[nodiscard]] toolkit::Handled confirm(toolkit::Context& context,
                                         const paymentsapi::ConfirmPayment& command);
  [[nodiscard]] toolkit::Handled release(toolkit::Context& context,
                                         const paymentsapi::ReleasePayment& command);
  [[nodiscard]] toolkit::Handled capture(toolkit::Context& context,
                                         const paymentsapi::Capture& command);
  [[nodiscard]] toolkit::Handled give_back(toolkit::Context& context,
                                           const paymentsapi::GiveBack& command);
  [[nodiscard]] toolkit::Handled on_approved(toolkit::Context& context,
                                             const ordersapi::OrderApproved& event);
  [[nodiscard]] toolkit::Handled on_readied(toolkit::Context& context,
                                            const ordersapi::OrderReadied& event);
  /// Also when the customer was refused, before the saga had come to the payment.
  [[nodiscard]] toolkit::Handled on_rejected(toolkit::Context& context,
                                             const ordersapi::OrderRejected& event);
  [[nodiscard]] toolkit::Handled on_canceled(toolkit::Context& context,
                                             const ordersapi::OrderCanceled& event);

 private:
  struct Held {
    const std::string& payment_id;
    const std::string& order_id;
    const std::string& customer_id;
  };

  Payments(Units units, Provider& provider) noexcept : units_(units), provider_(&provider) {}
  /// What is held goes back, unless it is another customer's or another order's.
  [[nodiscard]] Outcome<void> give_up(Unit& unit, const Held& what);
  [[nodiscard]] Outcome<void> complete_capture(const std::string& invoice_id,
                                               const toolkit::Cause& cause);
  [[nodiscard]] Outcome<std::string> reference_of(std::string_view payment_id) const;

  Units units_;
  Provider* provider_;
};

}  // namespace mallbots::payments
