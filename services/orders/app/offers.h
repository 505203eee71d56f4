// Offers: what may be put into a cart, at which price: the orders' own copy of stores and products,
// kept by their events.
//
// Prices and participation are absolute in the events, so one that is missed or comes twice does no
// harm; a removed product stays removed. A product may be heard of before its store.
//
// Who calls: the router (events, in the message's transaction), carts (look-ups), any thread.
// Errors: those of Database.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "services/orders/domain/cart.h"
#include "services/runtime/unit.h"
#include "services/stores/contract.h"

namespace mallbots::orders {

class Offers {
 public:
  /// Makes its tables if they are not there.
  [[nodiscard]] static Result<std::unique_ptr<Offers>> open(Units units);

  /// kUnknown: no such product.
  [[nodiscard]] Outcome<Offer> find(std::string_view product_id) const;
  /// Of those of the lines' products that are known.
  [[nodiscard]] Outcome<std::vector<Offer>> of(std::span<const Line> lines) const;

  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::StoreCreated& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::StoreRebranded& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::StoreParticipatingToggled& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::ProductAdded& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::ProductRebranded& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::ProductPriceIncreased& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::ProductPriceDecreased& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const storesapi::ProductRemoved& event);

 private:
  explicit Offers(Units units) noexcept : units_(units) {}

  Units units_;
};

}  // namespace mallbots::orders
