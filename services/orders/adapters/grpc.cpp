#include "services/orders/adapters/grpc.h"

#include <array>

#include "services/orders/api.grpc.pb.h"
#include "services/runtime/grpc_calls.h"
#include "services/runtime/money_proto.h"

namespace mallbots::orders {
namespace {

using google::protobuf::Empty;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using toolkit::Cause;

std::string_view name_of(Cart::State state) {
  static constexpr std::array kNames = {std::string_view{"none"}, std::string_view{"open"},
                                        std::string_view{"canceled"},
                                        std::string_view{"checked_out"}};
  return kNames[static_cast<std::size_t>(state)];
}

void show(const Line& line, orderspb::Line& message) {
  message.set_product_id(line.product_id);
  message.set_store_id(line.store_id);
  *message.mutable_price() = to_proto(line.price);
  message.set_quantity(static_cast<std::int32_t>(line.quantity));
  message.set_store_name(line.store_name);
  message.set_product_name(line.product_name);
  message.set_store_location(line.store_location);
}

Outcome<void> show(const std::string& id, const Outcome<Cart>& cart, orderspb::Cart& message) {
  if (!cart) return std::unexpected(cart.error());
  MALLBOTS_OUTCOME(sum, total(cart->lines));
  message.set_id(id);
  message.set_state(std::string(name_of(cart->state)));
  for (const Line& line : cart->lines) show(line, *message.add_lines());
  *message.mutable_total() = to_proto(*sum);
  return {};
}

void show(const std::string& id, const Order& order, orderspb::Order& message) {
  message.set_id(id);
  message.set_status(std::string(orders::name_of(order.status)));
  message.set_customer_id(order.customer_id);
  message.set_payment_id(order.payment_id);
  message.set_shopping_id(order.shopping_id);
  for (const Line& line : order.lines) show(line, *message.add_lines());
  *message.mutable_total() = to_proto(order.total);
  message.set_paid(order.is_paid());
  message.set_reason(order.reason);
}

class OrdersCalls final : public orderspb::OrdersService::CallbackService {
 public:
  OrdersCalls(const OrdersParts& parts, WorkerPool& pool, const toolkit::Log& log)
      : orders_(&parts.orders),
        abandonment_(&parts.abandonment),
        saga_(&parts.saga),
        calls_(pool, log) {}

  // --- Carts. What changes one answers with what it is then.

  ServerUnaryReactor* StartCart(CallbackServerContext* context,
                                const orderspb::CartRequest* request,
                                orderspb::Cart* response) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      MALLBOTS_OUTCOME(started, orders_->start_cart(request->id(), cause));
      return show(request->id(), orders_->cart(request->id()), *response);
    });
  }
  ServerUnaryReactor* SetQuantity(CallbackServerContext* context,
                                  const orderspb::SetQuantityRequest* request,
                                  orderspb::Cart* response) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      if (request->quantity() < 0)
        return std::unexpected(Refusal{RefusalKind::kInvalid, "a quantity is below 0"});
      MALLBOTS_OUTCOME(touched, abandonment_->touch(request->id()));
      MALLBOTS_OUTCOME(
          set, orders_->set_quantity(request->id(), request->product_id(),
                                     static_cast<std::uint32_t>(request->quantity()), cause));
      return show(request->id(), orders_->cart(request->id()), *response);
    });
  }
  ServerUnaryReactor* ReviewCart(CallbackServerContext* context,
                                 const orderspb::CartRequest* request,
                                 orderspb::ReviewCartResponse* response) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      MALLBOTS_OUTCOME(touched, abandonment_->touch(request->id()));
      MALLBOTS_OUTCOME(is_changed, orders_->review(request->id(), cause));
      response->set_changed(*is_changed);
      return show(request->id(), orders_->cart(request->id()), *response->mutable_cart());
    });
  }
  ServerUnaryReactor* CheckOutCart(CallbackServerContext* context,
                                   const orderspb::CheckOutCartRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      MALLBOTS_OUTCOME(total, from_proto(request->confirmed_total()));
      return orders_->check_out(request->id(),
                                {request->customer_id(), request->payment_id(), *total}, cause);
    });
  }
  ServerUnaryReactor* CancelCart(CallbackServerContext* context,
                                 const orderspb::CancelRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return orders_->cancel_cart(request->id(), request->reason(), cause);
    });
  }
  ServerUnaryReactor* GetCart(CallbackServerContext* context, const orderspb::CartRequest* request,
                              orderspb::Cart* response) override {
    return calls_.run(context, [=, this](const Cause&) {
      return show(request->id(), orders_->cart(request->id()), *response);
    });
  }

  // --- Orders

  ServerUnaryReactor* GetOrder(CallbackServerContext* context,
                               const orderspb::OrderRequest* request,
                               orderspb::Order* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(order, orders_->order(request->id()));
      show(request->id(), *order, *response);
      return {};
    });
  }
  ServerUnaryReactor* CancelOrder(CallbackServerContext* context,
                                  const orderspb::CancelRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return orders_->cancel_order(request->id(), request->reason(), request->by_staff(), cause);
    });
  }
  ServerUnaryReactor* ReleaseOrder(CallbackServerContext* context,
                                   const orderspb::OrderRequest* request, Empty*) override {
    return calls_.run(
        context, [=, this](const Cause& cause) { return orders_->release(request->id(), cause); });
  }

  // --- Sagas that a person has to look at

  ServerUnaryReactor* ListStuckSagas(CallbackServerContext* context, const Empty*,
                                     orderspb::ListSagasResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(stuck, saga_->in_state(toolkit::SagaState::kStuck));
      for (const toolkit::SagaInstance& one : *stuck) {
        auto& saga = *response->add_sagas();
        saga.set_id(one.id);
        saga.set_step(one.step);
        saga.set_reason(one.reason);
        saga.set_updated_ms(one.updated_ms);
      }
      return {};
    });
  }
  ServerUnaryReactor* ResumeSaga(CallbackServerContext* context,
                                 const orderspb::OrderRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(known, saga_->find(request->id()));
      if (!*known)
        return std::unexpected(
            Refusal{RefusalKind::kUnknown, "no order of that number has been made"});
      const auto resumed = saga_->resume(request->id());
      if (resumed) return {};
      if (resumed.error().code == ErrorCode::kBadArgument)
        return std::unexpected(Refusal{RefusalKind::kWrongState, resumed.error().detail});
      return std::unexpected(resumed.error());
    });
  }

 private:
  Orders* orders_;
  Abandonment* abandonment_;
  toolkit::SagaRunner* saga_;
  Calls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_grpc(const OrdersParts& parts, WorkerPool& pool,
                                         const toolkit::Log& log) {
  return std::make_shared<OrdersCalls>(parts, pool, log);
}

}  // namespace mallbots::orders
