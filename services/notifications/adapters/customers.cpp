#include "services/notifications/adapters/customers.h"

#include "services/customers/api.grpc.pb.h"
#include "services/runtime/grpc_client.h"

namespace mallbots::notifications {
namespace {

constexpr std::int64_t kPatienceMs = 2'000;
constexpr const char* kOwnName = "system";

class Customers final : public Numbers {
 public:
  explicit Customers(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(customerspb::CustomersService::NewStub(channel)) {}

  Outcome<std::string> number_of(const std::string& customer_id,
                                 const toolkit::Cause& cause) override {
    grpc::ClientContext context;
    prepare(context,
            {.id = cause.causation_id,
             .actor = kOwnName,
             .correlation_id = cause.correlation_id,
             .traceparent = cause.trace},
            kPatienceMs);
    customerspb::CustomerRequest request;
    request.set_id(customer_id);
    customerspb::Customer customer;
    const grpc::Status status = stub_->GetCustomer(&context, request, &customer);
    if (!status.ok()) return std::unexpected(failure_of(status));
    return std::move(*customer.mutable_sms_number());
  }

 private:
  std::unique_ptr<customerspb::CustomersService::Stub> stub_;
};

}  // namespace

std::unique_ptr<Numbers> make_numbers(const std::shared_ptr<grpc::Channel>& channel) {
  return std::make_unique<Customers>(channel);
}

}  // namespace mallbots::notifications
