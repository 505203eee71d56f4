#include "services/customers/adapters/grpc.h"

#include "services/customers/api.grpc.pb.h"
#include "services/runtime/grpc_calls.h"
#include "services/runtime/text.h"

namespace mallbots::customers {
namespace {

using customerspb::CustomerRequest;
using google::protobuf::Empty;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using toolkit::Cause;

enum class Number : std::uint8_t { kMasked, kWhole };

Outcome<void> write(const Outcome<Customer>& customer, Number number, customerspb::Customer& into) {
  if (!customer) return std::unexpected(customer.error());
  into.set_id(customer->id);
  into.set_name(customer->name);
  into.set_sms_number(number == Number::kWhole ? customer->sms_number
                                               : masked_phone(customer->sms_number));
  into.set_enabled(customer->is_enabled);
  return {};
}

class CustomersCalls final : public customerspb::CustomersService::CallbackService {
 public:
  CustomersCalls(Customers& customers, WorkerPool& pool, const toolkit::Log& log)
      : customers_(&customers), calls_(pool, log) {}

  ServerUnaryReactor* FindOrRegister(CallbackServerContext* context,
                                     const customerspb::FindOrRegisterRequest* request,
                                     CustomerRequest* response) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      MALLBOTS_OUTCOME(id,
                       customers_->find_or_register(request->name(), request->sms_number(), cause));
      response->set_id(*id);
      return {};
    });
  }
  ServerUnaryReactor* GetCustomer(CallbackServerContext* context, const CustomerRequest* request,
                                  customerspb::Customer* response) override {
    return calls_.run(context, [=, this](const Cause&) {
      return write(customers_->get(request->id()), Number::kWhole, *response);
    });
  }
  ServerUnaryReactor* FindByNumber(CallbackServerContext* context,
                                   const customerspb::FindByNumberRequest* request,
                                   customerspb::Customer* response) override {
    return calls_.run(context, [=, this](const Cause&) {
      return write(customers_->find_by_number(request->sms_number()), Number::kMasked, *response);
    });
  }
  ServerUnaryReactor* ListCustomers(CallbackServerContext* context,
                                    const customerspb::ListCustomersRequest* request,
                                    customerspb::ListCustomersResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(
          page, customers_->list(request->name_contains(), {request->cursor(), request->limit()}));
      for (const Customer& one : page->items)
        MALLBOTS_TRY(write(one, Number::kMasked, *response->add_customers()));
      response->set_next(page->next);
      return {};
    });
  }
  ServerUnaryReactor* EnableCustomer(CallbackServerContext* context, const CustomerRequest* request,
                                     Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return customers_->enable(request->id(), cause);
    });
  }
  ServerUnaryReactor* DisableCustomer(CallbackServerContext* context,
                                      const CustomerRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return customers_->disable(request->id(), cause);
    });
  }
  ServerUnaryReactor* ChangeSmsNumber(CallbackServerContext* context,
                                      const customerspb::ChangeSmsNumberRequest* request,
                                      Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return customers_->change_sms_number(request->id(), request->sms_number(), cause);
    });
  }

 private:
  Customers* customers_;
  Calls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_grpc(Customers& customers, WorkerPool& pool,
                                         const toolkit::Log& log) {
  return std::make_shared<CustomersCalls>(customers, pool, log);
}

}  // namespace mallbots::customers
