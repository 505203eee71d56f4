#include "services/stores/app/stored.h"

#include "services/runtime/money_proto.h"

namespace mallbots::stores {
namespace {

/// Of what we wrote ourselves and the log has checked: it reads.
Money own_money(const runtimepb::Money& message) { return from_proto(message).value_or(Money{}); }

template <class Message, class State>
Message about(const toolkit::Aggregate<State>& aggregate) {
  Message message;
  message.set_id(aggregate.id());
  return message;
}

struct RecordStore {
  toolkit::Aggregate<StoredStore>& store;

  void operator()(const StoreCreated& created) const {
    auto message = about<storesapi::StoreCreated>(store);
    message.set_name(created.name);
    message.set_location(created.location);
    store.record(message);
  }
  void operator()(const StoreRebranded& rebranded) const {
    auto message = about<storesapi::StoreRebranded>(store);
    message.set_name(rebranded.name);
    store.record(message);
  }
  void operator()(const StoreParticipationRequested&) const {
    store.record(about<storesapi::StoreParticipationRequested>(store));
  }
  void operator()(const StoreParticipationDenied& denied) const {
    auto message = about<storesapi::StoreParticipationDenied>(store);
    message.set_reason(denied.reason);
    store.record(message);
  }
  void operator()(const StoreParticipatingToggled& toggled) const {
    auto message = about<storesapi::StoreParticipatingToggled>(store);
    message.set_participating(toggled.is_participating);
    store.record(message);
  }
};

struct RecordProduct {
  toolkit::Aggregate<StoredProduct>& product;

  template <class Message, class Change>
  void record_price(const Change& change) const {
    auto message = about<Message>(product);
    *message.mutable_delta() = to_proto(change.delta);
    *message.mutable_price() = to_proto(change.price);
    product.record(message);
  }
  void operator()(const ProductAdded& added) const {
    auto message = about<storesapi::ProductAdded>(product);
    message.set_store_id(added.store_id);
    message.set_name(added.name);
    message.set_description(added.description);
    message.set_sku(added.sku);
    *message.mutable_price() = to_proto(added.price);
    product.record(message);
  }
  void operator()(const ProductRebranded& rebranded) const {
    auto message = about<storesapi::ProductRebranded>(product);
    message.set_name(rebranded.name);
    message.set_description(rebranded.description);
    product.record(message);
  }
  void operator()(const ProductPriceIncreased& increased) const {
    record_price<storesapi::ProductPriceIncreased>(increased);
  }
  void operator()(const ProductPriceDecreased& decreased) const {
    record_price<storesapi::ProductPriceDecreased>(decreased);
  }
  void operator()(const ProductRemoved&) const {
    product.record(about<storesapi::ProductRemoved>(product));
  }
};

}  // namespace

// --- Stores

void StoredStore::apply(const storesapi::StoreCreated& message) {
  rules.apply(StoreCreated{message.name(), message.location()});
}

void StoredStore::apply(const storesapi::StoreRebranded& message) {
  rules.apply(StoreRebranded{message.name()});
}

void StoredStore::apply(const storesapi::StoreParticipationRequested&) {
  rules.apply(StoreParticipationRequested{});
}

void StoredStore::apply(const storesapi::StoreParticipationDenied& message) {
  rules.apply(StoreParticipationDenied{message.reason()});
}

void StoredStore::apply(const storesapi::StoreParticipatingToggled& message) {
  rules.apply(StoreParticipatingToggled{message.participating()});
}

void record(toolkit::Aggregate<StoredStore>& store, const StoreEvent& event) {
  std::visit(RecordStore{store}, event);
}

// --- Products

void StoredProduct::apply(const storesapi::ProductAdded& message) {
  rules.apply(ProductAdded{message.store_id(), message.name(), message.description(), message.sku(),
                           own_money(message.price())});
}

void StoredProduct::apply(const storesapi::ProductRebranded& message) {
  rules.apply(ProductRebranded{message.name(), message.description()});
}

void StoredProduct::apply(const storesapi::ProductPriceIncreased& message) {
  rules.apply(ProductPriceIncreased{own_money(message.delta()), own_money(message.price())});
}

void StoredProduct::apply(const storesapi::ProductPriceDecreased& message) {
  rules.apply(ProductPriceDecreased{own_money(message.delta()), own_money(message.price())});
}

void StoredProduct::apply(const storesapi::ProductRemoved&) { rules.apply(ProductRemoved{}); }

void record(toolkit::Aggregate<StoredProduct>& product, const ProductEvent& event) {
  std::visit(RecordProduct{product}, event);
}

}  // namespace mallbots::stores
