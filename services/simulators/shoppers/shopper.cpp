#include "services/simulators/shoppers/shopper.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "services/simulators/shoppers/shop.h"
#include "shm/base/clock.h"
#include "shm/base/hash.h"

namespace mallbots::shoppers {
namespace {

using nlohmann::json;
using simulators::Answer;
using Outcome = Errand::Outcome;

constexpr std::int64_t kCatalogueMs = 30'000;  // carts hear of new products through the broker
constexpr int kSubmits = 3;                    // as often as the total may be confirmed anew

std::int64_t minor_of(const json& thing, const char* field) {
  return thing.value(field, json::object()).value("minor", std::int64_t{0});
}

std::string refusal_of(const Answer& answer) {
  const json problem = json::parse(answer.body, nullptr, false);
  const std::string type = problem.is_object() ? problem.value("type", "") : "";
  return fmt::format("{} {}", answer.status, type.substr(type.rfind(':') + 1));
}

bool is_problem(const Answer& answer, std::string_view name) {
  return refusal_of(answer).ends_with(name);
}

void refuse(Errand& errand, const Answer& answer) {
  errand.outcome = is_problem(answer, "declined") ? Outcome::kDeclined : Outcome::kRefused;
  errand.reason = refusal_of(answer);
}

std::uint64_t hash_of(std::uint64_t seed, std::string_view what, std::string_view of) {
  const std::string text = fmt::format("{} {} {}", seed, what, of);
  return xxh3(text.data(), text.size());
}

std::int64_t since_us(BootNanos begin) { return (boot_now_ns() - begin) / 1'000; }

}  // namespace

std::string phone_of(const RetailOrder& order) {
  std::uint64_t digits = 0;
  for (const char c : order.customer)
    if (c >= '0' && c <= '9') digits = digits * 10 + static_cast<std::uint64_t>(c - '0');
  const bool is_guest = order.customer.starts_with('G');
  digits = is_guest ? 500'000 + digits % 500'000 : digits % 500'000;
  return fmt::format("+447700900{:06}", digits);
}

std::string Shopper::key(const Errand& errand, std::string_view step) const {
  return fmt::format("shoppers-{}-{}-{}", options_->run, errand.order->invoice, step);
}

std::string Shopper::card_of(const Errand& errand) const {
  const std::string& invoice = errand.order->invoice;
  const std::uint64_t die = hash_of(options_->seed, "card", invoice) % 1'000;
  std::string_view kind = "";
  if (die < options_->declined_per_mille) {
    kind = "declined_";
  } else if (die < options_->declined_per_mille + options_->slow_per_mille) {
    kind = "slow_";
  }
  return fmt::format("tok_{}shopper_{}_{}", kind, options_->run, invoice);
}

Result<Answer> Shopper::ask(simulators::Question question, const Errand& errand) {
  if (!options_->credential.empty())
    question.headers["Authorization"] = "Bearer " + options_->credential;
  if (!errand.token.empty()) question.headers["Cart-Token"] = errand.token;
  return client_.ask(question);
}

Result<void> Shopper::start(Errand& errand) {
  auto answer =
      ask({"POST", "/kiosk/v1/carts", "", {{"Idempotency-Key", key(errand, "cart")}}}, errand);
  if (!answer) return std::unexpected(answer.error());
  if (!answer->is_good()) {
    refuse(errand, *answer);
    return {};
  }
  const json made = json::parse(answer->body, nullptr, false);
  errand.token = made.value("token", "");
  errand.order_id = made.value("cart", json::object()).value("id", "");
  return {};
}

Result<void> Shopper::fill(Errand& errand) {
  for (const RetailLine& line : errand.order->lines) {
    const std::string path =
        fmt::format("/kiosk/v1/carts/{}/items/{}", errand.order_id, product_id_of(line));
    const std::string body = json{{"quantity", line.quantity}}.dump();
    for (const Deadline deadline = Deadline::after_ms(kCatalogueMs);;) {
      auto answer = ask({"PUT", path, body}, errand);
      if (!answer) return std::unexpected(answer.error());
      if (answer->is_good()) break;
      const bool may_come = answer->status == 404 || answer->status == 409;
      if (!may_come || deadline.has_passed()) {
        refuse(errand, *answer);
        return {};
      }
      // sleep: asked again until the catalogue has reached the carts
      std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
  }
  return {};
}

Result<std::int64_t> Shopper::review(Errand& errand) {
  auto answer = ask({"POST", fmt::format("/kiosk/v1/carts/{}/review", errand.order_id)}, errand);
  if (!answer) return std::unexpected(answer.error());
  if (!answer->is_good()) {
    refuse(errand, *answer);
    return 0;
  }
  const json review = json::parse(answer->body, nullptr, false);
  return minor_of(review.value("cart", json::object()), "total");
}

Result<void> Shopper::submit(Errand& errand) {
  for (int tries = 1;; ++tries) {
    const auto total = review(errand);
    if (!total) return std::unexpected(total.error());
    if (!errand.reason.empty()) return {};
    const json body = {{"phone", phone_of(*errand.order)},
                       {"name", "Customer " + errand.order->customer},
                       {"card_token", card_of(errand)},
                       {"confirmed_total", {{"minor", *total}, {"currency", "GBP"}}}};
    const BootNanos begin = boot_now_ns();
    errand.submitted_ms = wall_now_ms();
    auto answer = ask({"POST",
                       fmt::format("/kiosk/v1/carts/{}/submit", errand.order_id),
                       body.dump(),
                       {{"Idempotency-Key", key(errand, fmt::format("submit{}", tries))}}},
                      errand);
    if (!answer) return std::unexpected(answer.error());
    errand.submit_us = since_us(begin);
    if (answer->is_good()) {
      errand.outcome = Outcome::kSubmitted;
      return {};
    }
    const bool changed = is_problem(*answer, "stale-total") || is_problem(*answer, "cart-changed");
    if (changed && tries < kSubmits) continue;
    refuse(errand, *answer);
    return {};
  }
}

Result<void> Shopper::cancel(Errand& errand) {
  const json body = {{"card_token", card_of(errand)},
                     {"reason", "cancelled by " + errand.order->cancelled_by}};
  auto answer = ask(
      {"POST", fmt::format("/kiosk/v1/orders/{}/cancel", errand.order_id), body.dump()}, errand);
  if (!answer) return std::unexpected(answer.error());
  errand.cancel = answer->is_good() ? "accepted" : "refused";
  if (!answer->is_good()) errand.reason = refusal_of(*answer);
  return {};
}

Result<Errand> Shopper::buy(const RetailOrder& order) {
  Errand errand{.order = &order};
  const BootNanos begin = boot_now_ns();
  MALLBOTS_TRY(start(errand));
  if (errand.reason.empty()) MALLBOTS_TRY(fill(errand));
  errand.cart_us = since_us(begin);
  if (errand.reason.empty()) MALLBOTS_TRY(submit(errand));
  if (errand.outcome == Outcome::kSubmitted) {
    if (!order.cancelled_by.empty()) MALLBOTS_TRY(cancel(errand));
    return errand;
  }
  // Who cannot pay leaves the cart behind.
  if (!errand.token.empty()) {
    auto left = ask({"DELETE", "/kiosk/v1/carts/" + errand.order_id}, errand);
    if (!left) return std::unexpected(left.error());
  }
  return errand;
}

Result<void> Shopper::look(Errand& errand) {
  auto answer = ask({"GET", "/kiosk/v1/orders/" + errand.order_id}, errand);
  if (!answer) return std::unexpected(answer.error());
  if (!answer->is_good()) {
    errand.status = refusal_of(*answer);
    return {};
  }
  const json order = json::parse(answer->body, nullptr, false);
  errand.status = order.value("status", "");
  errand.final_total_minor = minor_of(order, "total");
  return {};
}

}  // namespace mallbots::shoppers
