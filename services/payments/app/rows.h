// Rows: payments and invoices in the service's database, and what others hear of an invoice.
// Within a transaction of the caller's thread. Errors: those of Database.
#pragma once

#include <string>
#include <string_view>

#include "services/payments/app/provider.h"
#include "services/payments/domain/invoice.h"
#include "services/payments/domain/payment.h"
#include "services/runtime/unit.h"

namespace mallbots::payments {

extern const char* const kSchema;
extern const char* const kSelectPayment;  ///< by id
extern const char* const kSelectInvoice;  ///< by id

[[nodiscard]] Payment payment_from(const toolkit::Row& row);
[[nodiscard]] Invoice invoice_from(const toolkit::Row& row);

/// Of state kNone if there is none of that id.
[[nodiscard]] Outcome<Payment> load_payment(toolkit::Transaction& transaction, std::string_view id);
[[nodiscard]] Outcome<Invoice> load_invoice(toolkit::Transaction& transaction, std::string_view id);
[[nodiscard]] Outcome<void> save_payment(toolkit::Transaction& transaction, std::string_view id,
                                         const Payment& payment);
[[nodiscard]] Outcome<void> save_authorization(toolkit::Transaction& transaction,
                                               std::string_view id,
                                               const Authorization& authorization);
/// Of a payment that the provider declined: there is none.
[[nodiscard]] Outcome<void> forget_asking(toolkit::Transaction& transaction, std::string_view id);
[[nodiscard]] Outcome<void> save_invoice(toolkit::Transaction& transaction, std::string_view id,
                                         const Invoice& invoice);

[[nodiscard]] Result<void> tell(Unit& unit, const std::string& id, const Invoice& invoice,
                                const InvoiceEvent& event);

}  // namespace mallbots::payments
