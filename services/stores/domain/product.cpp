#include "services/stores/domain/product.h"

#include <fmt/format.h>

#include "services/runtime/text.h"

namespace mallbots::stores {
namespace {

using Events = std::vector<ProductEvent>;

Decision<void> is_offered(const Product& product) {
  if (product.state == Product::State::kNone) {
    return refuse(RefusalKind::kUnknown, "there is no such product");
  }
  if (product.state == Product::State::kRemoved) {
    return refuse(RefusalKind::kWrongState, fmt::format("'{}' was removed", product.name));
  }
  return {};
}

Decision<void> is_a_price(const Money& price) {
  if (price.minor >= 0 && price.minor <= Money::kMaxMinor) return {};
  return refuse(RefusalKind::kInvalid, fmt::format("{} cannot be a price", to_text(price)));
}

Decision<std::string> checked_description(std::string_view text) {
  if (text.empty()) return std::string{};
  return checked_text("the description", text, kMaxTextBytes);
}

}  // namespace

void Product::apply(const ProductEvent& event) {
  struct {
    Product& product;
    void operator()(const ProductAdded& added) const {
      product = {State::kOffered,   added.store_id, added.name,
                 added.description, added.sku,      added.price};
    }
    void operator()(const ProductRebranded& rebranded) const {
      product.name = rebranded.name;
      product.description = rebranded.description;
    }
    void operator()(const ProductPriceIncreased& increased) const {
      product.price = increased.price;
    }
    void operator()(const ProductPriceDecreased& decreased) const {
      product.price = decreased.price;
    }
    void operator()(const ProductRemoved&) const { product.state = State::kRemoved; }
  } then{*this};
  std::visit(then, event);
}

ProductDecision add(const Product& product, const Store& store, std::string_view store_id,
                    const ProductDetails& details) {
  if (!store.exists) {
    return refuse(RefusalKind::kUnknown, fmt::format("there is no store '{}'", store_id));
  }
  auto name = checked_text("the product's name", details.name);
  if (!name) return std::unexpected(name.error());
  auto description = checked_description(details.description);
  if (!description) return std::unexpected(description.error());
  auto sku = checked_text("the product's sku", details.sku);
  if (!sku) return std::unexpected(sku.error());
  if (auto priced = is_a_price(details.price); !priced) return std::unexpected(priced.error());
  if (product.state == Product::State::kOffered && product.store_id == store_id &&
      product.sku == *sku) {
    return Events{};  // the same request again
  }
  if (product.state != Product::State::kNone) {
    return refuse(RefusalKind::kWrongState, "a product of that id exists or existed");
  }
  return Events{ProductAdded{std::string(store_id), *std::move(name), *std::move(description),
                             *std::move(sku), details.price}};
}

ProductDecision rebrand(const Product& product, std::string_view name,
                        std::string_view description) {
  if (auto offered = is_offered(product); !offered) return std::unexpected(offered.error());
  auto good_name = checked_text("the product's name", name);
  if (!good_name) return std::unexpected(good_name.error());
  auto good_description = checked_description(description);
  if (!good_description) return std::unexpected(good_description.error());
  if (*good_name == product.name && *good_description == product.description) return Events{};
  return Events{ProductRebranded{*std::move(good_name), *std::move(good_description)}};
}

ProductDecision change_price(const Product& product, const Money& price) {
  if (auto offered = is_offered(product); !offered) return std::unexpected(offered.error());
  if (auto priced = is_a_price(price); !priced) return std::unexpected(priced.error());
  if (price.currency != product.price.currency) {
    return refuse(RefusalKind::kInvalid, fmt::format("'{}' is sold in another currency than {}",
                                                     product.name, to_text(price)));
  }
  const Money delta = price - product.price;
  if (delta.minor > 0) return Events{ProductPriceIncreased{delta, price}};
  if (delta.minor < 0) return Events{ProductPriceDecreased{delta, price}};
  return Events{};
}

ProductDecision remove(const Product& product) {
  if (product.state == Product::State::kRemoved) return Events{};
  if (auto offered = is_offered(product); !offered) return std::unexpected(offered.error());
  return Events{ProductRemoved{}};
}

}  // namespace mallbots::stores
