#include "services/orders/app/create_order.h"

#include "services/customers/contract.h"
#include "services/depot/contract.h"
#include "services/orders/contract.h"
#include "services/payments/contract.h"

namespace mallbots::orders {
namespace {

using toolkit::SagaOut;

NewOrder new_order_from(const ordersapi::OrderCreated& event) {
  NewOrder order{event.id(), event.customer_id(), event.payment_id(), event.total().minor(),
                 event.total().currency()};
  for (const ordersapi::Line& line : event.lines()) {
    order.items.push_back({line.product_id(), line.product_name(), line.store_id(),
                           line.store_name(), line.store_location(), line.quantity()});
  }
  return order;
}

void reject(const NewOrder& order, SagaOut& out) {
  ordersapi::RejectOrder command;
  command.set_id(order.order_id);
  command.set_reason("customer, depot or payment did not agree");
  out.send(command);
}

void authorize_customer(const NewOrder& order, SagaOut& out) {
  customersapi::AuthorizeCustomer command;
  command.set_id(order.customer_id);
  out.send(command);
}

void create_list(const NewOrder& order, SagaOut& out) {
  depotapi::CreateShoppingList command;
  command.set_order_id(order.order_id);
  for (const NewOrder::Item& item : order.items) {
    depotapi::Item* wanted = command.add_items();
    wanted->set_product_id(item.product_id);
    wanted->set_product_name(item.product_name);
    wanted->set_store_id(item.store_id);
    wanted->set_store_name(item.store_name);
    wanted->set_store_location(item.store_location);
    wanted->set_quantity(item.quantity);
  }
  out.send(command);
}

void cancel_list(const NewOrder& order, SagaOut& out) {
  depotapi::CancelShoppingList command;
  command.set_id(order.shopping_id);
  command.set_order_id(order.order_id);
  command.set_reason("the order was not approved");
  out.send(command);
}

void confirm_payment(const NewOrder& order, SagaOut& out) {
  paymentsapi::ConfirmPayment command;
  command.set_id(order.payment_id);
  command.set_order_id(order.order_id);
  command.set_customer_id(order.customer_id);
  command.mutable_amount()->set_minor(order.total_minor);
  command.mutable_amount()->set_currency(order.currency);
  out.send(command);
}

void release_payment(const NewOrder& order, SagaOut& out) {
  paymentsapi::ReleasePayment command;
  command.set_id(order.payment_id);
  command.set_order_id(order.order_id);
  command.set_customer_id(order.customer_id);
  out.send(command);
}

void initiate_shopping(const NewOrder& order, SagaOut& out) {
  depotapi::InitiateShopping command;
  command.set_id(order.shopping_id);
  out.send(command);
}

void approve(const NewOrder& order, SagaOut& out) {
  ordersapi::ApproveOrder command;
  command.set_id(order.order_id);
  command.set_shopping_id(order.shopping_id);
  out.send(command);
}

}  // namespace

toolkit::Saga<NewOrder> create_order_saga() {
  toolkit::Saga<NewOrder> saga("create-order");
  saga.begins_with<ordersapi::OrderCreated>(
          [](const ordersapi::OrderCreated& event) { return event.id(); }, new_order_from)
      .undo(reject)
      .step("authorize customer", authorize_customer)
      .timeout_ms(kStepMs)
      .step("create shopping list", create_list)
      .undo(cancel_list)
      .timeout_ms(kStepMs)
      .on_reply<depotapi::CreatedShoppingList>(
          [](NewOrder& order, const depotapi::CreatedShoppingList& reply) {
            order.shopping_id = reply.id();
          })
      .step("confirm payment", confirm_payment)
      .undo(release_payment)
      .timeout_ms(kStepMs)
      .step("initiate shopping", initiate_shopping)
      .timeout_ms(kStepMs)
      .step("approve order", approve)
      .timeout_ms(kStepMs);
  return saga;
}

}  // namespace mallbots::orders
