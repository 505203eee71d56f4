// Submit: a cart becomes an order, once, however often it is asked for and whoever dies in between.
#include "services/gateways/http/json_body.h"
#include "services/gateways/kiosk/idempotency_key.h"
#include "services/gateways/kiosk/kiosk.h"
#include "services/runtime/text.h"
#include "shm/base/clock.h"

namespace mallbots::kiosk {
namespace {

using gateways::json_response;
using gateways::problem;

constexpr std::size_t kPhoneBytes = 40;
constexpr std::size_t kCardBytes = 200;

bool is_refused(const Outcome<Cart>& cart, RefusalKind kind) {
  const auto* refusal = cart ? nullptr : std::get_if<Refusal>(&cart.error());
  return refusal != nullptr && refusal->kind == kind;
}

}  // namespace

Response Kiosk::submit(const Visit& visit) {
  const auto key = idempotency_key(visit.request);
  if (!key) return key.error();
  if (!*key) {
    return problem({400, "invalid", "the header Idempotency-Key is missing",
                    "send a random one with each submit that is confirmed"});
  }
  gateways::JsonBody body(visit.request);
  Confirmed confirmed;
  confirmed.phone = body.text("phone", kPhoneBytes);
  confirmed.name = body.text("name", kMaxNameBytes);
  confirmed.card_token = body.text("card_token", kCardBytes);
  confirmed.total = body.money("confirmed_total");
  if (auto refusal = body.problem()) return *std::move(refusal);

  const Secrets& secrets = *parts_.secrets;
  Submission submission;
  submission.cart_id = visit.cart_id();
  submission.key = secrets.derive("submit", {submission.cart_id, **key});
  submission.payment_id = secrets.derive("payment", {submission.cart_id, **key}).substr(0, 32);
  submission.body = secrets.derive(
      "body", {confirmed.phone, confirmed.name, confirmed.card_token, to_text(confirmed.total)});

  auto before = parts_.submissions->find(submission.key);
  if (before && !*before) {
    if (auto refusal = recheck(visit, confirmed)) {
      // The same submit may have been begun beside this one since: then what it did to the cart is
      // what is seen here.
      before = parts_.submissions->find(submission.key);
      if (before && !*before) return *std::move(refusal);
    }
  }
  if (!before) return failed(before.error());
  if (*before) {
    if (auto answer = known(**before, submission.body)) return *std::move(answer);
  }
  return carry_out(visit, confirmed, std::move(submission));
}

/// The answer to a key that came before, unless it is to be gone on with.
std::optional<Response> Kiosk::known(const Submission& before, const std::string& body) {
  if (before.body != body) {
    return problem({422, "key-reused", "the Idempotency-Key came before with another body",
                    "use a new key for a new submit"});
  }
  if (before.state == Submission::State::kDone) return submitted(before.cart_id);
  if (before.state == Submission::State::kOpen) return std::nullopt;
  Response refusal{.status = before.refusal_status, .body = before.refusal};
  return refusal.with("Content-Type", "application/problem+json");
}

/// Is what was confirmed still so? Nothing is done to customer or card before.
std::optional<Response> Kiosk::recheck(const Visit& visit, const Confirmed& confirmed) {
  const auto before = parts_.contexts->cart(visit.cart_id());
  if (!before) return failed(before.error());
  if (before->state == "open" && before->total != confirmed.total) return stale_total(*before);
  const auto now = parts_.contexts->review(visit.caller(), visit.cart_id());
  if (is_refused(now, RefusalKind::kWrongState)) {
    return wrong_state(std::get<Refusal>(now.error()).reason, "start a new cart");
  }
  if (!now) return failed(now.error());
  const auto changes = changes_between(*before, *now);
  if (!changes.empty()) return cart_changed(*now, changes);
  if (now->lines.empty()) return wrong_state("the cart is empty", "put something into it");
  if (now->total != confirmed.total) return stale_total(*now);
  return std::nullopt;
}

Response Kiosk::carry_out(const Visit& visit, const Confirmed& confirmed, Submission submission) {
  const Contexts& contexts = *parts_.contexts;
  const Caller caller{parts_.secrets->derive("request", {submission.key}), visit.actor,
                      visit.traceparent};
  const auto customer = contexts.find_or_register(caller, confirmed.name, confirmed.phone);
  if (!customer) return failed(customer.error());
  submission.customer_id = *customer;

  const auto begun = parts_.submissions->begin(submission, wall_now_ms());
  if (!begun) return failed(begun.error());
  if (auto answer = known(*begun, submission.body)) return *std::move(answer);
  submission.customer_id = begun->customer_id;

  const auto held = contexts.authorize(
      caller, {submission.payment_id, *customer, confirmed.card_token, confirmed.total});
  if (!held) {
    Response refusal = failed(held.error());
    if (std::holds_alternative<Error>(held.error())) return refusal;  // it may have been held
    // An earlier try was heard, and its order has ended since.
    const auto order = contexts.order(submission.cart_id);
    if (!order && std::holds_alternative<Error>(order.error())) return failed(order.error());
    if (order && order->payment_id == submission.payment_id) {
      static_cast<void>(parts_.submissions->done(submission.key));
      return submitted(submission.cart_id);
    }
    return give_up(std::move(submission), std::move(refusal));
  }
  const auto out = contexts.check_out(caller, submission.cart_id,
                                      {*customer, submission.payment_id, confirmed.total});
  if (!out) {
    const auto* refusal = std::get_if<Refusal>(&out.error());
    if (refusal == nullptr) return failed(out.error());
    const auto cart = contexts.cart(submission.cart_id);
    const bool is_stale = refusal->kind == RefusalKind::kConflict && cart && cart->state == "open";
    return give_up(std::move(submission), is_stale ? stale_total(*cart) : failed(out.error()));
  }
  // If it is not noted, the next one that asks, or the sweep, finds it out from the order.
  static_cast<void>(parts_.submissions->done(submission.key));
  return submitted(submission.cart_id);
}

/// Nothing stays held; the key gives this answer from now on.
Response Kiosk::give_up(Submission submission, Response refusal) {
  submission.refusal = refusal.body;
  submission.refusal_status = refusal.status;
  const auto noted = parts_.submissions->refuse(submission);
  if (!noted) return failed(noted.error());
  return refusal;
}

Response Kiosk::submitted(const std::string& cart_id) {
  const auto order = order_of(cart_id);
  if (!order) return failed(order.error());
  Response response = json_response(201, json_of(*order, std::nullopt));
  return response.with("Location", "/kiosk/v1/orders/" + cart_id);
}

Outcome<void> Kiosk::sweep(std::int64_t now_ms) {
  MALLBOTS_OUTCOME(left, parts_.submissions->left_open_since(now_ms - kForgottenMs));
  for (const Submission& submission : *left) {
    const auto order = parts_.contexts->order(submission.cart_id);
    if (order && order->payment_id == submission.payment_id) {
      MALLBOTS_OUTCOME(noted, parts_.submissions->done(submission.key));
      continue;
    }
    if (!order) {
      const auto* refusal = std::get_if<Refusal>(&order.error());
      if (refusal == nullptr) return std::unexpected(order.error());
      const auto cart = parts_.contexts->cart(submission.cart_id);
      if (!cart && std::get_if<Refusal>(&cart.error()) == nullptr)
        return std::unexpected(cart.error());
      if (cart && cart->state == "checked_out") continue;  // its order is on its way
    }
    Submission refused = submission;
    const Response refusal = wrong_state("the submit was begun and not completed in time",
                                         "submit the cart with a new Idempotency-Key");
    refused.refusal = refusal.body;
    refused.refusal_status = refusal.status;
    MALLBOTS_OUTCOME(noted, parts_.submissions->refuse(refused));
  }
  constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1'000;
  return parts_.submissions->forget_ended_before(now_ms - 7 * kDayMs);
}

}  // namespace mallbots::kiosk
