#include "clients/toolkit/cqrs/codec.h"
#include "services/customers/contract.h"
#include "services/depot/contract.h"
#include "services/gateways/admin/board.h"
#include "services/orders/contract.h"
#include "services/payments/contract.h"
#include "services/stores/contract.h"

namespace mallbots::gateways {

std::vector<std::string> Board::event_topics() {
  const auto topic = [](const toolkit::TopicNames& names, const toolkit::MessageType& type) {
    return names.topic_of(type);
  };
  using toolkit::kMessageType;
  return {topic(orders::topic_names(), kMessageType<ordersapi::OrderCreated>),
          topic(depot::topic_names(), kMessageType<depotapi::ShoppingStarted>),
          topic(depot::topic_names(), kMessageType<depotapi::BotCameOnline>),
          topic(payments::topic_names(), kMessageType<paymentsapi::InvoiceCreated>),
          topic(stores::topic_names(), kMessageType<storesapi::StoreCreated>),
          topic(customers::topic_names(), kMessageType<customersapi::CustomerRegistered>)};
}

}  // namespace mallbots::gateways
