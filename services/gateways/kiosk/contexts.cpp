#include "services/gateways/kiosk/contexts.h"

#include "clients/toolkit/message.h"
#include "services/customers/api.grpc.pb.h"
#include "services/orders/api.grpc.pb.h"
#include "services/payments/api.grpc.pb.h"
#include "services/runtime/grpc_client.h"
#include "services/runtime/money_proto.h"
#include "services/search/api.grpc.pb.h"
#include "services/stores/api.grpc.pb.h"

namespace mallbots::kiosk {
namespace {

constexpr std::int32_t kCountedAhead = 200;
constexpr std::int64_t kGlanceMs = 300;

/// What a context sends is data: an amount that is none is its error, not ours.
Outcome<Money> money_from(const runtimepb::Money& sent) {
  auto money = from_proto(sent);
  if (money) return *money;
  return std::unexpected(
      Failure(Error{ErrorCode::kUndecodable, "an amount from a context is none"}));
}

Outcome<std::vector<Line>> lines_from(
    const google::protobuf::RepeatedPtrField<orderspb::Line>& sent) {
  std::vector<Line> lines;
  for (const orderspb::Line& line : sent) {
    MALLBOTS_OUTCOME(price, money_from(line.price()));
    lines.push_back({line.product_id(), line.product_name(), line.store_id(), line.store_name(),
                     line.quantity(), *price});
  }
  return lines;
}

Outcome<Cart> cart_from(const orderspb::Cart& sent) {
  MALLBOTS_OUTCOME(lines, lines_from(sent.lines()));
  MALLBOTS_OUTCOME(total, money_from(sent.total()));
  return Cart{sent.id(), sent.state(), *std::move(lines), *total};
}

Store store_from(const storespb::Store& sent) {
  return {sent.id(), sent.name(), sent.location(), sent.participation() == "participating"};
}

}  // namespace

struct Contexts::Stubs {
  std::int64_t timeout_ms;
  std::unique_ptr<storespb::StoresService::Stub> stores;
  std::unique_ptr<orderspb::OrdersService::Stub> orders;
  std::unique_ptr<customerspb::CustomersService::Stub> customers;
  std::unique_ptr<paymentspb::PaymentsService::Stub> payments;
  std::unique_ptr<searchpb::SearchService::Stub> search;

  template <class Stub, class Call, class Ask, class Answer>
  Outcome<void> ask(const Stub& stub, Call call, const Caller& caller, const Ask& what,
                    Answer& answer) const {
    return ask_within(timeout_ms, stub, call, caller, what, answer);
  }
  template <class Stub, class Call, class Ask, class Answer>
  static Outcome<void> ask_within(std::int64_t limit_ms, const Stub& stub, Call call,
                                  const Caller& caller, const Ask& what, Answer& answer) {
    grpc::ClientContext context;
    prepare(context,
            {.id = caller.request_id, .actor = caller.actor, .traceparent = caller.traceparent},
            limit_ms);
    const grpc::Status status = ((*stub).*call)(&context, what, &answer);
    if (!status.ok()) return std::unexpected(failure_of(status));
    return {};
  }
  /// A question changes nothing, so whose it is does not matter.
  template <class Stub, class Call, class Ask, class Answer>
  Outcome<void> look(const Stub& stub, Call call, const Ask& what, Answer& answer) const {
    return ask(stub, call, {toolkit::new_message_id(), "kiosk"}, what, answer);
  }
};

using Orders = orderspb::OrdersService::Stub;
using Stores = storespb::StoresService::Stub;
using Customers = customerspb::CustomersService::Stub;
using Payments = paymentspb::PaymentsService::Stub;
using Search = searchpb::SearchService::Stub;

Contexts::Contexts(const Channels& channels, std::int64_t timeout_ms)
    : stubs_(std::make_unique<Stubs>(
          Stubs{timeout_ms, storespb::StoresService::NewStub(channels("stores")),
                orderspb::OrdersService::NewStub(channels("orders")),
                customerspb::CustomersService::NewStub(channels("customers")),
                paymentspb::PaymentsService::NewStub(channels("payments")),
                searchpb::SearchService::NewStub(channels("search"))})) {}
Contexts::~Contexts() = default;

Outcome<Listed<Store>> Contexts::participating(const PageWanted& page) const {
  storespb::ListStoresRequest wanted;
  wanted.set_participation("participating");
  wanted.set_cursor(page.cursor);
  wanted.set_limit(page.limit);
  storespb::ListStoresResponse answer;
  MALLBOTS_OUTCOME(asked, stubs_->look(stubs_->stores, &Stores::ListStores, wanted, answer));
  Listed<Store> listed{{}, answer.next()};
  for (const storespb::Store& store : answer.stores()) listed.items.push_back(store_from(store));
  return listed;
}

Outcome<Store> Contexts::store(const std::string& id) const {
  storespb::StoreRequest wanted;
  wanted.set_id(id);
  storespb::Store answer;
  MALLBOTS_OUTCOME(asked, stubs_->look(stubs_->stores, &Stores::GetStore, wanted, answer));
  return store_from(answer);
}

Outcome<Listed<Product>> Contexts::products(const std::string& store_id,
                                            const PageWanted& page) const {
  storespb::ListProductsRequest wanted;
  wanted.set_store_id(store_id);
  wanted.set_cursor(page.cursor);
  wanted.set_limit(page.limit);
  storespb::ListProductsResponse answer;
  MALLBOTS_OUTCOME(asked, stubs_->look(stubs_->stores, &Stores::ListProducts, wanted, answer));
  Listed<Product> listed{{}, answer.next()};
  for (const storespb::Product& one : answer.products()) {
    MALLBOTS_OUTCOME(price, money_from(one.price()));
    listed.items.push_back(
        {one.id(), one.store_id(), one.name(), one.description(), one.sku(), *price});
  }
  return listed;
}

Outcome<Cart> Contexts::start_cart(const Caller& caller, const std::string& id) const {
  orderspb::CartRequest wanted;
  wanted.set_id(id);
  orderspb::Cart answer;
  MALLBOTS_OUTCOME(asked, stubs_->ask(stubs_->orders, &Orders::StartCart, caller, wanted, answer));
  return cart_from(answer);
}

Outcome<Cart> Contexts::cart(const std::string& id) const {
  orderspb::CartRequest wanted;
  wanted.set_id(id);
  orderspb::Cart answer;
  MALLBOTS_OUTCOME(asked, stubs_->look(stubs_->orders, &Orders::GetCart, wanted, answer));
  return cart_from(answer);
}

Outcome<Cart> Contexts::set_quantity(const Caller& caller, const std::string& cart_id,
                                     const Wanted& wanted) const {
  orderspb::SetQuantityRequest request;
  request.set_id(cart_id);
  request.set_product_id(wanted.product_id);
  request.set_quantity(wanted.quantity);
  orderspb::Cart answer;
  MALLBOTS_OUTCOME(asked,
                   stubs_->ask(stubs_->orders, &Orders::SetQuantity, caller, request, answer));
  return cart_from(answer);
}

Outcome<Cart> Contexts::review(const Caller& caller, const std::string& cart_id) const {
  orderspb::CartRequest wanted;
  wanted.set_id(cart_id);
  orderspb::ReviewCartResponse answer;
  MALLBOTS_OUTCOME(asked, stubs_->ask(stubs_->orders, &Orders::ReviewCart, caller, wanted, answer));
  return cart_from(answer.cart());
}

Outcome<void> Contexts::check_out(const Caller& caller, const std::string& cart_id,
                                  const CheckOut& with) const {
  orderspb::CheckOutCartRequest wanted;
  wanted.set_id(cart_id);
  wanted.set_customer_id(with.customer_id);
  wanted.set_payment_id(with.payment_id);
  *wanted.mutable_confirmed_total() = to_proto(with.confirmed_total);
  google::protobuf::Empty answer;
  return stubs_->ask(stubs_->orders, &Orders::CheckOutCart, caller, wanted, answer);
}

Outcome<void> Contexts::cancel_cart(const Caller& caller, const std::string& id) const {
  orderspb::CancelRequest wanted;
  wanted.set_id(id);
  wanted.set_reason("the customer went away");
  google::protobuf::Empty answer;
  return stubs_->ask(stubs_->orders, &Orders::CancelCart, caller, wanted, answer);
}

Outcome<Order> Contexts::order(const std::string& id) const {
  orderspb::OrderRequest wanted;
  wanted.set_id(id);
  orderspb::Order answer;
  MALLBOTS_OUTCOME(asked, stubs_->look(stubs_->orders, &Orders::GetOrder, wanted, answer));
  MALLBOTS_OUTCOME(lines, lines_from(answer.lines()));
  MALLBOTS_OUTCOME(total, money_from(answer.total()));
  return Order{answer.id(),       answer.status(), answer.customer_id(), answer.payment_id(),
               *std::move(lines), *total,          answer.paid(),        answer.reason()};
}

Outcome<void> Contexts::cancel_order(const Caller& caller, const std::string& id,
                                     const std::string& reason) const {
  orderspb::CancelRequest wanted;
  wanted.set_id(id);
  wanted.set_reason(reason);
  google::protobuf::Empty answer;
  return stubs_->ask(stubs_->orders, &Orders::CancelOrder, caller, wanted, answer);
}

Outcome<std::string> Contexts::find_or_register(const Caller& caller, const std::string& name,
                                                const std::string& phone) const {
  customerspb::FindOrRegisterRequest wanted;
  wanted.set_name(name);
  wanted.set_sms_number(phone);
  customerspb::CustomerRequest answer;
  MALLBOTS_OUTCOME(
      asked, stubs_->ask(stubs_->customers, &Customers::FindOrRegister, caller, wanted, answer));
  return answer.id();
}

Outcome<void> Contexts::authorize(const Caller& caller, const Hold& hold) const {
  paymentspb::AuthorizeRequest wanted;
  wanted.set_id(hold.id);
  wanted.set_customer_id(hold.customer_id);
  wanted.set_card_token(hold.card_token);
  *wanted.mutable_amount() = to_proto(hold.amount);
  google::protobuf::Empty answer;
  return stubs_->ask(stubs_->payments, &Payments::Authorize, caller, wanted, answer);
}

Outcome<bool> Contexts::is_card_of(const std::string& payment_id,
                                   const std::string& card_token) const {
  paymentspb::IsCardOfRequest wanted;
  wanted.set_payment_id(payment_id);
  wanted.set_card_token(card_token);
  paymentspb::IsCardOfResponse answer;
  MALLBOTS_OUTCOME(asked, stubs_->look(stubs_->payments, &Payments::IsCardOf, wanted, answer));
  return answer.is_it();
}

Outcome<void> Contexts::pay_by_card(const Caller& caller, const std::string& order_id) const {
  paymentspb::PayRequest wanted;
  wanted.set_invoice_id(order_id);
  wanted.set_by("card");
  google::protobuf::Empty answer;
  return stubs_->ask(stubs_->payments, &Payments::Pay, caller, wanted, answer);
}

Outcome<Ahead> Contexts::ahead_of(const std::string& order_id) const {
  // Nice to know, not worth waiting for.
  const auto look = [this](auto call, const auto& what, auto& answer) {
    return Stubs::ask_within(kGlanceMs, stubs_->search, call, {toolkit::new_message_id(), "kiosk"},
                             what, answer);
  };
  searchpb::OrderRequest which;
  which.set_id(order_id);
  searchpb::Order own;
  MALLBOTS_OUTCOME(found, look(&Search::GetOrder, which, own));
  searchpb::SearchOrdersRequest wanted;
  wanted.add_statuses("pending");
  wanted.add_statuses("approved");
  wanted.set_before_ms(own.created_ms());
  wanted.set_limit(kCountedAhead);
  searchpb::SearchOrdersResponse answer;
  MALLBOTS_OUTCOME(asked, look(&Search::SearchOrders, wanted, answer));
  return Ahead{answer.orders_size(), !answer.next().empty()};
}

}  // namespace mallbots::kiosk
