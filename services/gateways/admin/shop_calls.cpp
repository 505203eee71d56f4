// Stores, products and customers.
#include <fmt/format.h>

#include <algorithm>

#include "clients/toolkit/message.h"
#include "services/gateways/admin/contexts.h"
#include "services/gateways/admin/shown.h"
#include "services/gateways/http/json_body.h"
#include "services/runtime/money_proto.h"
#include "services/runtime/text.h"

namespace mallbots::admin {
namespace {

using gateways::Body;
using gateways::JsonBody;
using gateways::Scope;
using nlohmann::json;
using Stores = storespb::StoresService::Stub;
using Customers = customerspb::CustomersService::Stub;

constexpr std::size_t kIdBytes = 100;

template <class Asked = storespb::StoreRequest>
Asked store_asked(const Request& request) {
  Asked asked;
  asked.set_id(std::string(request.parameter("store")));
  return asked;
}

Response store_now(Contexts& contexts, const Asker& asker, const std::string& id,
                   int status = 200) {
  storespb::StoreRequest asked;
  asked.set_id(id);
  const auto store = ask(*contexts.stores, &Stores::GetStore, asked, asker);
  return store ? answer_of(shown(*store), status) : refusal_of(store.error());
}

/// A store owner's: those that the account names, by name.
Response own_stores(Contexts& contexts, const Asker& asker, const std::string& participation) {
  std::vector<storespb::Store> stores;
  for (const std::string& id : asker.member.stores) {
    storespb::StoreRequest asked;
    asked.set_id(id);
    const auto store = ask(*contexts.stores, &Stores::GetStore, asked, asker);
    if (store && (participation.empty() || store->participation() == participation)) {
      stores.push_back(*store);
    } else if (!store && std::holds_alternative<Error>(store.error())) {
      return refusal_of(store.error());
    }
  }
  std::ranges::sort(stores, {}, [](const auto& store) { return store.name(); });
  return listed("stores", each_shown(stores), {});
}

Response list_stores(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto page = page_of(request, {"participation"});
  if (!page) return refusal_of(page.error());
  const std::string participation = text_of(request, "participation");
  if (asker.scope == Scope::kOwn) return own_stores(contexts, asker, participation);
  storespb::ListStoresRequest asked;
  asked.set_participation(participation);
  asked.set_cursor(page->cursor);
  asked.set_limit(page->limit);
  const auto stores = ask(*contexts.stores, &Stores::ListStores, asked, asker);
  if (!stores) return refusal_of(stores.error());
  return listed("stores", each_shown(stores->stores()), stores->next());
}

/// The same for the same request, so that a second try makes no second one.
std::string id_for(const std::optional<std::string>& wanted, const Asker& asker) {
  return wanted ? *wanted : toolkit::derived_message_id(asker.key, "admin", 0);
}

/// Stores takes the same store again for a repetition, so whoever may name an id could name, and
/// then own, another's store: a store owner's id comes from the request.
Response create_store(Contexts& contexts, gateways::StaffBook& staff, const Asker& asker,
                      const Request& request) {
  JsonBody body(request);
  storespb::CreateStoreRequest asked;
  asked.set_id(id_for(body.optional_text("id", kIdBytes), asker));
  asked.set_name(body.text("name", kMaxNameBytes));
  asked.set_location(body.text("location", kMaxNameBytes));
  if (auto bad = body.problem()) return *bad;
  const bool is_owner = asker.member.has(gateways::Role::kStoreOwner);
  if (is_owner && asked.id() != id_for(std::nullopt, asker)) {
    return invalid("a store owner's store gets its id here: leave 'id' out");
  }
  const auto made = ask(*contexts.stores, &Stores::CreateStore, asked, asker);
  if (!made) return refusal_of(made.error());
  if (is_owner) {
    if (!staff.give_store(asker.member.name, asked.id())) {
      return gateways::unavailable("the store is there, its owner could not be noted");
    }
  }
  return store_now(contexts, asker, asked.id(), 201);
}

Response rebrand_store(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  auto asked = store_asked<storespb::RebrandStoreRequest>(request);
  asked.set_name(body.text("name", kMaxNameBytes));
  if (auto bad = body.problem()) return *bad;
  const auto done = ask(*contexts.stores, &Stores::RebrandStore, asked, asker);
  return done ? store_now(contexts, asker, asked.id()) : refusal_of(done.error());
}

Response deny(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  auto asked = store_asked<storespb::DenyParticipationRequest>(request);
  asked.set_reason(body.text("reason", kMaxReasonBytes));
  if (auto bad = body.problem()) return *bad;
  const auto done = ask(*contexts.stores, &Stores::DenyParticipation, asked, asker);
  return done ? store_now(contexts, asker, asked.id()) : refusal_of(done.error());
}

template <class Method>
auto participation_call(Contexts& contexts, Method method) {
  return [&contexts, method](const Asker& asker, const Request& request) {
    const auto asked = store_asked(request);
    const auto done = ask(*contexts.stores, method, asked, asker);
    return done ? store_now(contexts, asker, asked.id()) : refusal_of(done.error());
  };
}

// --- Products

/// The product, if it is of the store in the address.
Outcome<storespb::Product> product_of(Contexts& contexts, const Asker& asker,
                                      const Request& request) {
  storespb::ProductRequest asked;
  asked.set_id(std::string(request.parameter("product")));
  auto product = ask(*contexts.stores, &Stores::GetProduct, asked, asker);
  if (product && product->store_id() != request.parameter("store")) {
    return std::unexpected(
        Failure(Refusal{RefusalKind::kUnknown, "this store has no such product"}));
  }
  return product;
}

Response product_now(Contexts& contexts, const Asker& asker, const std::string& id,
                     int status = 200) {
  storespb::ProductRequest asked;
  asked.set_id(id);
  const auto product = ask(*contexts.stores, &Stores::GetProduct, asked, asker);
  return product ? answer_of(shown(*product), status) : refusal_of(product.error());
}

Response list_products(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto page = page_of(request);
  if (!page) return refusal_of(page.error());
  storespb::ListProductsRequest asked;
  asked.set_store_id(std::string(request.parameter("store")));
  asked.set_cursor(page->cursor);
  asked.set_limit(page->limit);
  const auto products = ask(*contexts.stores, &Stores::ListProducts, asked, asker);
  if (!products) return refusal_of(products.error());
  if (products->products().empty()) {
    const auto store = ask(*contexts.stores, &Stores::GetStore,
                           store_asked<storespb::StoreRequest>(request), asker);
    if (!store) return refusal_of(store.error());
  }
  return listed("products", each_shown(products->products()), products->next());
}

Response add_product(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  storespb::AddProductRequest asked;
  asked.set_id(id_for(body.optional_text("id", kIdBytes), asker));
  asked.set_store_id(std::string(request.parameter("store")));
  asked.set_name(body.text("name", kMaxNameBytes));
  asked.set_description(body.optional_text("description", kMaxTextBytes).value_or(""));
  asked.set_sku(body.text("sku", kMaxNameBytes));
  *asked.mutable_price() = to_proto(body.money("price"));
  if (auto bad = body.problem()) return *bad;
  const auto done = ask(*contexts.stores, &Stores::AddProduct, asked, asker);
  return done ? product_now(contexts, asker, asked.id(), 201) : refusal_of(done.error());
}

Response rebrand_product(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  storespb::RebrandProductRequest asked;
  asked.set_id(std::string(request.parameter("product")));
  asked.set_name(body.text("name", kMaxNameBytes));
  asked.set_description(body.optional_text("description", kMaxTextBytes).value_or(""));
  if (auto bad = body.problem()) return *bad;
  const auto product = product_of(contexts, asker, request);
  if (!product) return refusal_of(product.error());
  const auto done = ask(*contexts.stores, &Stores::RebrandProduct, asked, asker);
  return done ? product_now(contexts, asker, asked.id()) : refusal_of(done.error());
}

Response change_price(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  storespb::ChangePriceRequest asked;
  asked.set_id(std::string(request.parameter("product")));
  *asked.mutable_price() = to_proto(body.money("price"));
  if (auto bad = body.problem()) return *bad;
  const auto product = product_of(contexts, asker, request);
  if (!product) return refusal_of(product.error());
  const auto done = ask(*contexts.stores, &Stores::ChangePrice, asked, asker);
  return done ? product_now(contexts, asker, asked.id()) : refusal_of(done.error());
}

Response remove_product(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto product = product_of(contexts, asker, request);
  if (!product) return refusal_of(product.error());
  storespb::ProductRequest asked;
  asked.set_id(product->id());
  const auto done = ask(*contexts.stores, &Stores::RemoveProduct, asked, asker);
  return done ? gateways::empty_response(204) : refusal_of(done.error());
}

// --- Customers

Response customer_now(Contexts& contexts, const Asker& asker, const Request& request) {
  customerspb::CustomerRequest asked;
  asked.set_id(std::string(request.parameter("customer")));
  const auto customer = ask(*contexts.customers, &Customers::GetCustomer, asked, asker);
  return customer ? answer_of(shown(*customer)) : refusal_of(customer.error());
}

Response list_customers(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto page = page_of(request, {"name"});
  if (!page) return refusal_of(page.error());
  customerspb::ListCustomersRequest asked;
  asked.set_name_contains(text_of(request, "name"));
  asked.set_cursor(page->cursor);
  asked.set_limit(page->limit);
  const auto customers = ask(*contexts.customers, &Customers::ListCustomers, asked, asker);
  if (!customers) return refusal_of(customers.error());
  return listed("customers", each_shown(customers->customers()), customers->next());
}

Response enable_customer(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  const bool enabled = body.boolean("enabled");
  if (auto bad = body.problem()) return *bad;
  customerspb::CustomerRequest asked;
  asked.set_id(std::string(request.parameter("customer")));
  const auto method = enabled ? &Customers::EnableCustomer : &Customers::DisableCustomer;
  const auto done = ask(*contexts.customers, method, asked, asker);
  return done ? customer_now(contexts, asker, request) : refusal_of(done.error());
}

Response change_number(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  customerspb::ChangeSmsNumberRequest asked;
  asked.set_id(std::string(request.parameter("customer")));
  asked.set_sms_number(body.text("number", 60));
  if (auto bad = body.problem()) return *bad;
  const auto done = ask(*contexts.customers, &Customers::ChangeSmsNumber, asked, asker);
  return done ? customer_now(contexts, asker, request) : refusal_of(done.error());
}

template <class Handle>
auto with(Contexts& contexts, Handle handle) {
  return [&contexts, handle](const Asker& asker, const Request& request) {
    return handle(contexts, asker, request);
  };
}

}  // namespace

void add_shop_calls(Calls& calls, Contexts& contexts, gateways::StaffBook& staff) {
  const std::string store = "/stores/{store}";
  const std::string product = store + "/products/{product}";
  const auto get_store = [&contexts](const Asker& asker, const Request& request) {
    return store_now(contexts, asker, std::string(request.parameter("store")));
  };
  const auto create = [&contexts, &staff](const Asker& asker, const Request& request) {
    return create_store(contexts, staff, asker, request);
  };
  using enum Method;
  using enum Permission;
  const Body json_body = Body::kJson;
  const Body none = Body::kNone;
  const auto add = [&](Call call) { calls.push_back(std::move(call)); };
  add({kGet, "/stores", kStoresSee, with(contexts, list_stores)});
  add({kPost, "/stores", kStoresCreate, create, json_body, true});
  add({kGet, store, kStoresSee, get_store});
  add({kPatch, store, kStoresEdit, with(contexts, rebrand_store), json_body, true});
  add({kPost, store + "/participation-request", kStoresEdit,
       participation_call(contexts, &Stores::RequestParticipation), none, true});
  add({kPost, store + "/participation", kParticipationDecide,
       participation_call(contexts, &Stores::ApproveParticipation), none, true});
  add({kPost, store + "/participation-denial", kParticipationDecide, with(contexts, deny),
       json_body, true});
  add({kDelete, store + "/participation", kStoresEdit,
       participation_call(contexts, &Stores::EndParticipation), none, true});
  add({kGet, store + "/products", kProductsSee, with(contexts, list_products)});
  add({kPost, store + "/products", kProductsEdit, with(contexts, add_product), json_body, true});
  add({kPatch, product, kProductsEdit, with(contexts, rebrand_product), json_body, true});
  add({kPut, product + "/price", kProductsEdit, with(contexts, change_price), json_body, true});
  add({kDelete, product, kProductsEdit, with(contexts, remove_product), none, true});
}

void add_customer_calls(Calls& calls, Contexts& contexts) {
  using enum Method;
  using enum Permission;
  const std::string one = "/customers/{customer}";
  const auto add = [&](Call call) { calls.push_back(std::move(call)); };
  add({kGet, "/customers", kCustomersSee, with(contexts, list_customers)});
  add({kGet, one, kCustomersSee, with(contexts, customer_now)});
  add({kPut, one + "/enabled", kCustomersEdit, with(contexts, enable_customer), Body::kJson, true});
  add({kPut, one + "/number", kCustomersEdit, with(contexts, change_number), Body::kJson, true});
}

}  // namespace mallbots::admin
