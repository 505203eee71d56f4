#include "services/stores/domain/store.h"

#include "services/runtime/text.h"

namespace mallbots::stores {
namespace {

using Events = std::vector<StoreEvent>;

std::unexpected<Refusal> unknown_store() {
  return refuse(RefusalKind::kUnknown, "there is no such store");
}

}  // namespace

void Store::apply(const StoreEvent& event) {
  struct {
    Store& store;
    void operator()(const StoreCreated& created) const {
      store.exists = true;
      store.name = created.name;
      store.location = created.location;
    }
    void operator()(const StoreRebranded& rebranded) const { store.name = rebranded.name; }
    void operator()(const StoreParticipationRequested&) const {
      store.participation = Participation::kRequested;
    }
    void operator()(const StoreParticipationDenied&) const {
      store.participation = Participation::kPrivate;
    }
    void operator()(const StoreParticipatingToggled& toggled) const {
      store.participation =
          toggled.is_participating ? Participation::kParticipating : Participation::kPrivate;
    }
  } then{*this};
  std::visit(then, event);
}

StoreDecision create(const Store& store, std::string_view name, std::string_view location) {
  auto good_name = checked_text("the store's name", name);
  if (!good_name) return std::unexpected(good_name.error());
  auto good_location = checked_text("the store's location", location);
  if (!good_location) return std::unexpected(good_location.error());
  if (store.exists) {
    const bool is_same = store.name == *good_name && store.location == *good_location;
    if (is_same) return Events{};
    return refuse(RefusalKind::kWrongState, "the store exists already, with another name or place");
  }
  return Events{StoreCreated{*std::move(good_name), *std::move(good_location)}};
}

StoreDecision rebrand(const Store& store, std::string_view name) {
  if (!store.exists) return unknown_store();
  auto good_name = checked_text("the store's name", name);
  if (!good_name) return std::unexpected(good_name.error());
  if (*good_name == store.name) return Events{};
  return Events{StoreRebranded{*std::move(good_name)}};
}

StoreDecision request_participation(const Store& store) {
  if (!store.exists) return unknown_store();
  if (store.participation != Participation::kPrivate) return Events{};
  return Events{StoreParticipationRequested{}};
}

StoreDecision approve_participation(const Store& store) {
  if (!store.exists) return unknown_store();
  if (store.participation == Participation::kParticipating) return Events{};
  return Events{StoreParticipatingToggled{true}};
}

StoreDecision deny_participation(const Store& store, std::string_view reason) {
  if (!store.exists) return unknown_store();
  if (store.participation == Participation::kPrivate) return Events{};
  if (store.participation == Participation::kParticipating) {
    return refuse(RefusalKind::kWrongState,
                  "the store takes part already: end its participation instead");
  }
  auto good_reason = checked_text("the reason", reason, kMaxReasonBytes);
  if (!good_reason) return std::unexpected(good_reason.error());
  return Events{StoreParticipationDenied{*std::move(good_reason)}};
}

StoreDecision end_participation(const Store& store) {
  if (!store.exists) return unknown_store();
  if (store.participation == Participation::kPrivate) return Events{};
  return Events{StoreParticipatingToggled{false}};
}

}  // namespace mallbots::stores
