#include "services/stores/app/stores.h"

#include <fmt/format.h>

#include <optional>

#include "services/runtime/text.h"

namespace mallbots::stores {
namespace {

using toolkit::Aggregate;
using toolkit::Cause;

/// Ids name streams and are compared byte by byte: what a person would not see is refused.
Decision<void> check_id(std::string_view field, std::string_view id) {
  const auto checked = checked_text(field, id, kMaxIdBytes);
  if (!checked) return std::unexpected(checked.error());
  if (*checked == id) return {};
  return refuse(RefusalKind::kInvalid, fmt::format("{} begins or ends with a space", field));
}

/// `decide` looks at the state and gives the rule's decision. Gives the version that there is then.
template <class State, class Decide>
Outcome<std::uint64_t> change(toolkit::Repository<State>& repository, const std::string& id,
                              const Cause& cause, const Decide& decide) {
  std::optional<Refusal> refusal;
  const auto changed = repository.change(id, cause, [&](Aggregate<State>& state) -> Result<void> {
    const auto decision = decide(state->rules);
    if (!decision) {
      refusal = decision.error();
      return std::unexpected(Error{ErrorCode::kRefused, refusal->reason});
    }
    for (const auto& event : *decision) record(state, event);
    return {};
  });
  if (changed) return *changed;
  if (changed.error().code == ErrorCode::kRefused && refusal) return std::unexpected(*refusal);
  return std::unexpected(changed.error());
}

}  // namespace

template <class Decide>
Outcome<void> Stores::change_store(const std::string& id, const Cause& cause,
                                   const Decide& decide) {
  MALLBOTS_OUTCOME(is_id, check_id("the store's id", id));
  const auto version = change(stores_, id, cause, decide);
  if (!version) return std::unexpected(version.error());
  static_cast<void>(catalogue_->wait_for_store(id, *version));
  return {};
}

template <class Decide>
Outcome<void> Stores::change_product(const std::string& id, const Cause& cause,
                                     const Decide& decide) {
  MALLBOTS_OUTCOME(is_id, check_id("the product's id", id));
  const auto version = change(products_, id, cause, decide);
  if (!version) return std::unexpected(version.error());
  static_cast<void>(catalogue_->wait_for_product(id, *version));
  return {};
}

// --- Stores

Outcome<void> Stores::create(const std::string& id, std::string_view name,
                             std::string_view location, const Cause& cause) {
  return change_store(id, cause,
                      [&](const Store& store) { return stores::create(store, name, location); });
}

Outcome<void> Stores::rebrand(const std::string& id, std::string_view name, const Cause& cause) {
  return change_store(id, cause, [&](const Store& store) { return stores::rebrand(store, name); });
}

Outcome<void> Stores::request_participation(const std::string& id, const Cause& cause) {
  return change_store(id, cause, stores::request_participation);
}

Outcome<void> Stores::approve_participation(const std::string& id, const Cause& cause) {
  return change_store(id, cause, stores::approve_participation);
}

Outcome<void> Stores::deny_participation(const std::string& id, std::string_view reason,
                                         const Cause& cause) {
  return change_store(
      id, cause, [&](const Store& store) { return stores::deny_participation(store, reason); });
}

Outcome<void> Stores::end_participation(const std::string& id, const Cause& cause) {
  return change_store(id, cause, stores::end_participation);
}

// --- Products

Outcome<void> Stores::add_product(const std::string& id, const std::string& store_id,
                                  const ProductDetails& details, const Cause& cause) {
  MALLBOTS_OUTCOME(is_id, check_id("the store's id", store_id));
  // Stores come and never go: one that is there now is there when the product is.
  MALLBOTS_OUTCOME(store, stores_.load(store_id));
  return change_product(id, cause, [&](const Product& product) {
    return add(product, (*store)->rules, store_id, details);
  });
}

Outcome<void> Stores::rebrand_product(const std::string& id, std::string_view name,
                                      std::string_view description, const Cause& cause) {
  return change_product(id, cause, [&](const Product& product) {
    return stores::rebrand(product, name, description);
  });
}

Outcome<void> Stores::change_price(const std::string& id, const Money& price, const Cause& cause) {
  return change_product(
      id, cause, [&](const Product& product) { return stores::change_price(product, price); });
}

Outcome<void> Stores::remove_product(const std::string& id, const Cause& cause) {
  return change_product(id, cause, stores::remove);
}

}  // namespace mallbots::stores
