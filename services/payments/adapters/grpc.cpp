#include "services/payments/adapters/grpc.h"

#include <array>

#include "services/payments/api.grpc.pb.h"
#include "services/runtime/grpc_calls.h"
#include "services/runtime/money_proto.h"

namespace mallbots::payments {
namespace {

using google::protobuf::Empty;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using toolkit::Cause;

std::string_view name_of(Invoice::State state) {
  static constexpr std::array kNames = {std::string_view{"none"}, std::string_view{"pending"},
                                        std::string_view{"paid"}, std::string_view{"canceled"},
                                        std::string_view{"refunded"}};
  return kNames[static_cast<std::size_t>(state)];
}

Decision<PaidBy> paid_by(std::string_view name) {
  if (name == "card") return PaidBy::kCard;
  if (name == "cash") return PaidBy::kCash;
  return refuse(RefusalKind::kInvalid, "an invoice is paid by card or cash");
}

class PaymentsCalls final : public paymentspb::PaymentsService::CallbackService {
 public:
  PaymentsCalls(Payments& payments, WorkerPool& pool, const toolkit::Log& log)
      : payments_(&payments), calls_(pool, log) {}

  ServerUnaryReactor* Authorize(CallbackServerContext* context,
                                const paymentspb::AuthorizeRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(amount, from_proto(request->amount()));
      return payments_->authorize(
          {request->id(), request->customer_id(), request->card_token(), *amount});
    });
  }
  ServerUnaryReactor* Pay(CallbackServerContext* context, const paymentspb::PayRequest* request,
                          Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      MALLBOTS_OUTCOME(by, paid_by(request->by()));
      return payments_->pay(request->invoice_id(), *by, cause);
    });
  }
  ServerUnaryReactor* IsCardOf(CallbackServerContext* context,
                               const paymentspb::IsCardOfRequest* request,
                               paymentspb::IsCardOfResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(is_it, payments_->is_card_of(request->payment_id(), request->card_token()));
      response->set_is_it(*is_it);
      return {};
    });
  }
  ServerUnaryReactor* GetInvoice(CallbackServerContext* context,
                                 const paymentspb::InvoiceRequest* request,
                                 paymentspb::Invoice* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(invoice, payments_->invoice(request->id()));
      response->set_id(request->id());
      response->set_state(std::string(name_of(invoice->state)));
      *response->mutable_first_amount() = to_proto(invoice->first_amount);
      *response->mutable_amount() = to_proto(invoice->amount);
      *response->mutable_paid() = to_proto(invoice->paid);
      if (invoice->paid.minor != 0 || invoice->state == Invoice::State::kRefunded)
        response->set_paid_by(invoice->by == PaidBy::kCard ? "card" : "cash");
      return {};
    });
  }

 private:
  Payments* payments_;
  Calls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_grpc(Payments& payments, WorkerPool& pool,
                                         const toolkit::Log& log) {
  return std::make_shared<PaymentsCalls>(payments, pool, log);
}

}  // namespace mallbots::payments
