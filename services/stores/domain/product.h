// Product: something that a store sells. Event-sourced; pure rules, any thread.
//
//   (none) ── add ──▶ offered ── rebrand, change price ──▶ offered ── remove ──▶ removed (for good)
//
// A price event carries the new price and the difference: readers that missed one are right again
// with the next. Refusals: kInvalid (blank text, negative price, other currency), kUnknown (no such
// product, or its store does not exist), kWrongState (removed).
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/runtime/money.h"
#include "services/runtime/refusal.h"
#include "services/stores/domain/store.h"

namespace mallbots::stores {

struct ProductAdded {
  std::string store_id;
  std::string name;
  std::string description;
  std::string sku;
  Money price;
};
struct ProductRebranded {
  std::string name;
  std::string description;
};
struct ProductPriceIncreased {
  Money delta;  ///< above zero
  Money price;  ///< from now on
};
struct ProductPriceDecreased {
  Money delta;  ///< below zero
  Money price;
};
struct ProductRemoved {};
using ProductEvent = std::variant<ProductAdded, ProductRebranded, ProductPriceIncreased,
                                  ProductPriceDecreased, ProductRemoved>;

struct Product {
  enum class State : std::uint8_t { kNone, kOffered, kRemoved };

  State state = State::kNone;
  std::string store_id;
  std::string name;
  std::string description;
  std::string sku;
  Money price;

  void apply(const ProductEvent& event);
};

using ProductDecision = Decision<std::vector<ProductEvent>>;

/// What the shelf says: name and sku not blank, description may be.
struct ProductDetails {
  std::string_view name;
  std::string_view description;
  std::string_view sku;
  Money price;
};

/// `store` is the one that `store_id` names.
[[nodiscard]] ProductDecision add(const Product& product, const Store& store,
                                  std::string_view store_id, const ProductDetails& details);
[[nodiscard]] ProductDecision rebrand(const Product& product, std::string_view name,
                                      std::string_view description);
[[nodiscard]] ProductDecision change_price(const Product& product, const Money& price);
[[nodiscard]] ProductDecision remove(const Product& product);

}  // namespace mallbots::stores
