#include "services/gateways/kiosk/kiosk.h"

#include <charconv>

#include "clients/toolkit/message.h"
#include "services/gateways/access/secret.h"
#include "services/gateways/http/json_body.h"
#include "services/gateways/kiosk/idempotency_key.h"
#include "services/runtime/limits.h"
#include "services/runtime/text.h"
#include "shm/base/clock.h"

namespace mallbots::kiosk {
namespace {

using gateways::Body;
using gateways::json_response;
using gateways::JsonBody;
using gateways::problem;
using gateways::Request;

constexpr std::size_t kCardBytes = 200;
constexpr std::size_t kCursorBytes = 1'000;
constexpr std::int32_t kMostOnPage = 200;
constexpr std::string_view kBearer = "Bearer ";

Response wrong_token() {
  return problem({403, "wrong-token", "the header Cart-Token is missing or not this cart's",
                  "send the token that came with the cart"});
}

/// Nothing: some value is not allowed, and `refusal` says which.
std::optional<PageWanted> page_of(const Request& request, std::optional<Response>& refusal) {
  PageWanted page;
  if (const auto limit = request.asked("limit")) {
    const auto [end, bad] =
        std::from_chars(limit->data(), limit->data() + limit->size(), page.limit);
    const bool is_good = bad == std::errc{} && end == limit->data() + limit->size() &&
                         page.limit >= 1 && page.limit <= kMostOnPage;
    if (!is_good) {
      refusal = problem(
          {400, "invalid", "'limit' is not a whole number from 1 to 200", "correct the address"});
      return std::nullopt;
    }
  }
  if (const auto cursor = request.asked("cursor")) {
    if (cursor->size() > kCursorBytes) {
      refusal = problem(
          {400, "invalid", "'cursor' is none that this gateway gave", "start with the first page"});
      return std::nullopt;
    }
    page.cursor = std::string(*cursor);
  }
  return page;
}

Response listed(const Request& request, std::string text) {
  Response response = json_response(200, std::move(text));
  response.with("Cache-Control", "private, max-age=5");
  return with_etag(request, std::move(response));
}

}  // namespace

Caller Kiosk::Visit::caller() const { return {toolkit::new_message_id(), actor, traceparent}; }

gateways::Handler Kiosk::handler(Answer answer, bool needs_token) {
  return [this, answer, needs_token](const Request& request) -> Response {
    std::string actor;
    if (auto refusal = identify(request, actor)) return *std::move(refusal);
    if (needs_token) {
      // An order has its cart's id.
      std::string_view id = request.parameter("cart_id");
      if (id.empty()) id = request.parameter("order_id");
      const auto token = request.header("cart-token");
      if (!token || !parts_.secrets->is_token_of(id, *token)) return wrong_token();
    }
    if (parts_.spans == nullptr) return (this->*answer)({request, std::move(actor), {}});
    return traced(answer, {request, std::move(actor), {}});
  };
}

/// All that the call causes belongs to its span; the span to whatever trace the caller names.
Response Kiosk::traced(Answer answer, Visit visit) {
  using toolkit::TraceContext;
  const auto parent = TraceContext::parse(visit.request.header("traceparent").value_or(""));
  toolkit::Span span{.context = parent ? parent->child() : TraceContext::start(),
                     .parent_id = parent ? parent->span_id : std::string{},
                     .name = std::string{name_of(visit.request.method)} + " kiosk",
                     .kind = toolkit::SpanKind::kServer,
                     .start_ns = wall_now_ms() * kMillisecond,
                     .attributes = {{"url.path", visit.request.path}, {"actor", visit.actor}}};
  visit.traceparent = span.context.traceparent();
  const BootNanos begun = boot_now_ns();
  Response response = (this->*answer)(visit);
  span.duration_ns = boot_now_ns() - begun;
  span.attributes.emplace_back("http.response.status_code", std::to_string(response.status));
  span.failed = response.status >= 500;
  parts_.spans->record(std::move(span));
  return response;
}

std::optional<Response> Kiosk::identify(const Request& request, std::string& actor) {
  actor = "kiosk:local";
  const auto given = request.header("authorization");
  if (!given && request.is_loopback && !parts_.loopback_needs_credential) return std::nullopt;
  if (given && given->starts_with(kBearer)) {
    const std::string_view credential = given->substr(kBearer.size());
    const auto dot = credential.rfind('.');
    const std::string_view id = credential.substr(0, dot);
    const std::string_view secret =
        dot == std::string_view::npos ? std::string_view{} : credential.substr(dot + 1);
    const auto is_right = parts_.devices->check(gateways::DeviceKind::kKiosk, id, secret);
    if (!is_right) return failed(is_right.error());
    if (*is_right) {
      actor = "kiosk:" + std::string(id);
      return std::nullopt;
    }
  }
  Response refusal = problem({401, "no-credential", "the kiosk's credential is missing or wrong",
                              "send `Authorization: Bearer ID.SECRET`; `mall device add kiosk ID` "
                              "makes one"});
  return refusal.with("WWW-Authenticate", "Bearer");
}

Response Kiosk::failed(const Failure& failure) const {
  if (const auto* error = std::get_if<Error>(&failure); error != nullptr && parts_.log) {
    parts_.log({toolkit::Severity::kWarning,
                "a context did not answer a kiosk",
                {{"problem", error->sentence()}}});
  }
  return refused(failure);
}

Response Kiosk::cart_answer(const Outcome<Cart>& cart) const {
  if (!cart) return failed(cart.error());
  return json_response(200, json_of(*cart));
}

Response Kiosk::list_stores(const Visit& visit) {
  std::optional<Response> refusal;
  const auto page = page_of(visit.request, refusal);
  if (!page) return *std::move(refusal);
  const auto stores = parts_.contexts->participating(*page);
  if (!stores) return failed(stores.error());
  return listed(visit.request, json_of(*stores));
}

Response Kiosk::list_products(const Visit& visit) {
  std::optional<Response> refusal;
  const auto page = page_of(visit.request, refusal);
  if (!page) return *std::move(refusal);
  const std::string store_id(visit.request.parameter("store_id"));
  const auto store = parts_.contexts->store(store_id);
  if (!store) return failed(store.error());
  if (!store->is_participating) {
    return failed(
        Failure(Refusal{RefusalKind::kUnknown, "there is no such store that takes part"}));
  }
  const auto products = parts_.contexts->products(store_id, *page);
  if (!products) return failed(products.error());
  return listed(visit.request, json_of(*products));
}

Response Kiosk::start_cart(const Visit& visit) {
  const auto key = idempotency_key(visit.request);
  if (!key) return key.error();
  const std::string id = short_id(*key ? parts_.secrets->derive("start", {visit.actor, **key})
                                       : gateways::random_token());
  auto cart = parts_.contexts->start_cart(visit.caller(), id);
  const auto* refusal = cart ? nullptr : std::get_if<Refusal>(&cart.error());
  // The same key after the cart has ended: it is that cart.
  if (refusal != nullptr && refusal->kind == RefusalKind::kWrongState && *key) {
    cart = parts_.contexts->cart(id);
  }
  if (!cart) return failed(cart.error());
  Response response = json_response(201, json_of_new(*cart, parts_.secrets->token_of(id)));
  return response.with("Location", "/kiosk/v1/carts/" + id);
}

Response Kiosk::get_cart(const Visit& visit) {
  return cart_answer(parts_.contexts->cart(visit.cart_id()));
}

Response Kiosk::cancel_cart(const Visit& visit) {
  const auto canceled = parts_.contexts->cancel_cart(visit.caller(), visit.cart_id());
  if (!canceled) return failed(canceled.error());
  return get_cart(visit);
}

Response Kiosk::set_item(const Visit& visit) {
  JsonBody body(visit.request);
  const auto quantity = body.integer("quantity", {0, kMaxQuantity});
  if (auto refusal = body.problem()) return *std::move(refusal);
  return cart_answer(parts_.contexts->set_quantity(
      visit.caller(), visit.cart_id(),
      {std::string(visit.request.parameter("product_id")), static_cast<std::int32_t>(quantity)}));
}

Response Kiosk::remove_item(const Visit& visit) {
  return cart_answer(parts_.contexts->set_quantity(
      visit.caller(), visit.cart_id(), {std::string(visit.request.parameter("product_id")), 0}));
}

Response Kiosk::review(const Visit& visit) {
  const auto before = parts_.contexts->cart(visit.cart_id());
  if (!before) return failed(before.error());
  const auto now = parts_.contexts->review(visit.caller(), visit.cart_id());
  if (!now) return failed(now.error());
  return json_response(200, json_of_review(*now, changes_between(*before, *now)));
}

Outcome<Order> Kiosk::order_of(const std::string& id) {
  auto order = parts_.contexts->order(id);
  const auto* refusal = order ? nullptr : std::get_if<Refusal>(&order.error());
  if (refusal == nullptr || refusal->kind != RefusalKind::kUnknown) return order;
  // Checked out a moment ago: the order is on its way.
  MALLBOTS_OUTCOME(cart, parts_.contexts->cart(id));
  if (cart->state != "checked_out") return order;
  return pending_order(*cart);
}

std::optional<Ahead> Kiosk::ahead_of(const Order& order) const {
  if (order.status != "pending" && order.status != "approved") return std::nullopt;
  const auto ahead = parts_.contexts->ahead_of(order.id);
  return ahead ? std::optional(*ahead) : std::nullopt;
}

Response Kiosk::get_order(const Visit& visit) {
  const auto order = order_of(visit.order_id());
  if (!order) return failed(order.error());
  return json_response(200, json_of(*order, ahead_of(*order)));
}

std::optional<Response> Kiosk::check_card(const Visit& visit, const std::string& card_token) {
  const auto order = parts_.contexts->order(visit.order_id());
  if (order) {
    const auto is_it = parts_.contexts->is_card_of(order->payment_id, card_token);
    if (!is_it && std::holds_alternative<Error>(is_it.error())) return failed(is_it.error());
    if (is_it && *is_it) return std::nullopt;
  } else if (std::holds_alternative<Error>(order.error())) {
    return failed(order.error());
  } else if (const auto token = visit.request.header("cart-token");
             token && parts_.secrets->is_token_of(visit.order_id(), *token)) {
    const auto cart = parts_.contexts->cart(visit.order_id());
    if (cart && cart->state == "checked_out") return std::nullopt;
  }
  return problem({403, "wrong-card",
                  "there is no such order, or it was submitted with another card",
                  "use the order's number and the card that it was submitted with"});
}

Response Kiosk::locate_order(const Visit& visit) {
  JsonBody body(visit.request);
  const std::string card = body.text("card_token", kCardBytes);
  if (auto refusal = body.problem()) return *std::move(refusal);
  if (auto refusal = check_card(visit, card)) return *std::move(refusal);
  const auto order = order_of(visit.order_id());
  if (!order) return failed(order.error());
  return json_response(
      200, json_of_located(*order, ahead_of(*order), parts_.secrets->token_of(visit.order_id())));
}

Response Kiosk::cancel_order(const Visit& visit) {
  JsonBody body(visit.request);
  const std::string card = body.text("card_token", kCardBytes);
  const auto reason = body.optional_text("reason", kMaxReasonBytes);
  if (auto refusal = body.problem()) return *std::move(refusal);
  if (auto refusal = check_card(visit, card)) return *std::move(refusal);
  const auto canceled = parts_.contexts->cancel_order(visit.caller(), visit.order_id(),
                                                      reason.value_or("canceled by the customer"));
  if (!canceled) {
    const auto* refusal = std::get_if<Refusal>(&canceled.error());
    if (refusal != nullptr && refusal->kind == RefusalKind::kUnknown) {
      return gateways::unavailable("the order is being made");
    }
    return failed(canceled.error());
  }
  return get_order(visit);
}

Response Kiosk::pay_order(const Visit& visit) {
  JsonBody body(visit.request);
  const std::string card = body.text("card_token", kCardBytes);
  if (auto refusal = body.problem()) return *std::move(refusal);
  if (auto refusal = check_card(visit, card)) return *std::move(refusal);
  const auto paid = parts_.contexts->pay_by_card(visit.caller(), visit.order_id());
  if (!paid) {
    const auto* refusal = std::get_if<Refusal>(&paid.error());
    if (refusal != nullptr && refusal->kind == RefusalKind::kUnknown) {
      return wrong_state("there is no invoice yet: the order is not approved",
                         "pay as soon as the order is approved");
    }
    return failed(paid.error());
  }
  auto order = order_of(visit.order_id());
  if (!order) return failed(order.error());
  order->is_paid = true;  // orders may not have heard of it yet
  return json_response(200, json_of(*order, ahead_of(*order)));
}

gateways::Router Kiosk::routes() {
  gateways::Router router;
  const std::string carts = "/kiosk/v1/carts";
  const std::string cart = carts + "/{cart_id}";
  const std::string order = "/kiosk/v1/orders/{order_id}";
  router.get("/kiosk/v1/stores", handler(&Kiosk::list_stores));
  router.get("/kiosk/v1/stores/{store_id}/products", handler(&Kiosk::list_products));
  router.post(carts, handler(&Kiosk::start_cart), Body::kNone);
  router.get(cart, handler(&Kiosk::get_cart, true));
  router.remove(cart, handler(&Kiosk::cancel_cart, true));
  router.get(cart + "/items", handler(&Kiosk::get_cart, true));
  router.put(cart + "/items/{product_id}", handler(&Kiosk::set_item, true));
  router.remove(cart + "/items/{product_id}", handler(&Kiosk::remove_item, true));
  router.post(cart + "/review", handler(&Kiosk::review, true), Body::kNone);
  router.post(cart + "/submit", handler(&Kiosk::submit, true));
  router.get(order, handler(&Kiosk::get_order, true));
  router.post(order + "/locate", handler(&Kiosk::locate_order));
  router.post(order + "/cancel", handler(&Kiosk::cancel_order));
  router.post(order + "/pay", handler(&Kiosk::pay_order));
  return router;
}

}  // namespace mallbots::kiosk
