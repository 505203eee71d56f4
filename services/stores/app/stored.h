// Stored: stores and products as aggregates of the toolkit. What is stored are the messages of the
// contract, so that the append is the publication; the rules know nothing of them.
//
// Who calls: the application (stores.h). Any thread; a value.
#pragma once

#include <string_view>

#include "clients/toolkit/aggregates/aggregate.h"
#include "services/stores/contract.h"
#include "services/stores/domain/product.h"
#include "services/stores/domain/store.h"

namespace mallbots::stores {

struct StoredStore {
  static constexpr std::string_view kAggregate = "store";
  using Events = toolkit::EventTypes<
      storesapi::StoreCreated, storesapi::StoreRebranded, storesapi::StoreParticipationRequested,
      storesapi::StoreParticipationDenied, storesapi::StoreParticipatingToggled>;
  Store rules;

  void apply(const storesapi::StoreCreated& message);
  void apply(const storesapi::StoreRebranded& message);
  void apply(const storesapi::StoreParticipationRequested& message);
  void apply(const storesapi::StoreParticipationDenied& message);
  void apply(const storesapi::StoreParticipatingToggled& message);
};

struct StoredProduct {
  static constexpr std::string_view kAggregate = "product";
  using Events = toolkit::EventTypes<storesapi::ProductAdded, storesapi::ProductRebranded,
                                     storesapi::ProductPriceIncreased,
                                     storesapi::ProductPriceDecreased, storesapi::ProductRemoved>;
  Product rules;

  void apply(const storesapi::ProductAdded& message);
  void apply(const storesapi::ProductRebranded& message);
  void apply(const storesapi::ProductPriceIncreased& message);
  void apply(const storesapi::ProductPriceDecreased& message);
  void apply(const storesapi::ProductRemoved& message);
};

/// Records what the rule decided, as messages.
void record(toolkit::Aggregate<StoredStore>& store, const StoreEvent& event);
void record(toolkit::Aggregate<StoredProduct>& product, const ProductEvent& event);

}  // namespace mallbots::stores
