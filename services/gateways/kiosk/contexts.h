// Contexts: what the kiosk asks of stores, customers, orders, payments and search, as plain calls.
//
// Who calls: the gateway's handlers, any thread; a call waits for its context until its deadline.
// Failures: the context's refusals, or an Error, after which asking again may help (grpc_client.h).
// A `Caller` says which request of which kiosk it is: changes carry its id, so that the same again
// has its effect once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/runtime/money.h"
#include "services/runtime/outcome.h"

namespace grpc {
class Channel;
}

namespace mallbots::kiosk {

struct Caller {
  std::string request_id;
  std::string actor;          ///< "kiosk:ID"
  std::string traceparent{};  ///< of the span that it belongs to; empty: nothing is traced
};

struct Store {
  std::string id, name, location;
  bool is_participating = false;
};
struct Product {
  std::string id, store_id, name, description, sku;
  Money price;
};
template <class Item>
struct Listed {
  std::vector<Item> items;
  std::string next;  ///< empty: no more
};
struct PageWanted {
  std::string cursor;
  std::int32_t limit = 50;
};

struct Line {
  std::string product_id, product_name, store_id, store_name;
  std::int32_t quantity = 0;
  Money price;
  friend bool operator==(const Line&, const Line&) = default;
};
struct Cart {
  std::string id;
  std::string state;  ///< open, canceled, checked_out
  std::vector<Line> lines;
  Money total;
};
struct Order {
  std::string id, status, customer_id, payment_id;
  std::vector<Line> lines;
  Money total;
  bool is_paid = false;
  std::string reason;
};
struct CheckOut {
  std::string customer_id, payment_id;
  Money confirmed_total;
};
struct Hold {
  std::string id, customer_id, card_token;
  Money amount;
};
struct Ahead {
  std::int32_t orders = 0;
  bool is_more = false;
};

class Contexts {
 public:
  using Channels = std::function<std::shared_ptr<grpc::Channel>(const std::string& name)>;
  Contexts(const Channels& channels, std::int64_t timeout_ms);
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;
  ~Contexts();

  // --- Stores
  [[nodiscard]] Outcome<Listed<Store>> participating(const PageWanted& page) const;
  [[nodiscard]] Outcome<Store> store(const std::string& id) const;
  [[nodiscard]] Outcome<Listed<Product>> products(const std::string& store_id,
                                                  const PageWanted& page) const;
  // --- Carts and orders
  [[nodiscard]] Outcome<Cart> start_cart(const Caller& caller, const std::string& id) const;
  [[nodiscard]] Outcome<Cart> cart(const std::string& id) const;
  struct Wanted {
    std::string product_id;
    std::int32_t quantity = 0;
  };
  [[nodiscard]] Outcome<Cart> set_quantity(const Caller& caller, const std::string& cart_id,
                                           const Wanted& wanted) const;
  [[nodiscard]] Outcome<Cart> review(const Caller& caller, const std::string& cart_id) const;
  [[nodiscard]] Outcome<void> check_out(const Caller& caller, const std::string& cart_id,
                                        const CheckOut& with) const;
  [[nodiscard]] Outcome<void> cancel_cart(const Caller& caller, const std::string& id) const;
  [[nodiscard]] Outcome<Order> order(const std::string& id) const;
  [[nodiscard]] Outcome<void> cancel_order(const Caller& caller, const std::string& id,
                                           const std::string& reason) const;
  // --- Customers and payments
  [[nodiscard]] Outcome<std::string> find_or_register(const Caller& caller, const std::string& name,
                                                      const std::string& phone) const;
  [[nodiscard]] Outcome<void> authorize(const Caller& caller, const Hold& hold) const;
  [[nodiscard]] Outcome<bool> is_card_of(const std::string& payment_id,
                                         const std::string& card_token) const;
  [[nodiscard]] Outcome<void> pay_by_card(const Caller& caller, const std::string& order_id) const;
  // --- Search
  /// Orders that came before this one and are not being fetched yet.
  [[nodiscard]] Outcome<Ahead> ahead_of(const std::string& order_id) const;

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace mallbots::kiosk
