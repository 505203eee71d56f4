// Kiosk: the gateway's routes and what they do (openapi.json, README.md).
//
// Who calls: the server's workers, one request each; a timer calls sweep(). It keeps no carts: each
// answer is what a context just said.
//
// What a completed submit promises: the cart is checked out and its order will be made, once, under
// the cart's id. Whoever dies at any step: the same request goes on there, and what was held for a
// submit that never came again goes back after kForgottenMs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "clients/toolkit/log.h"
#include "clients/toolkit/middleware/tracing.h"
#include "services/gateways/access/devices.h"
#include "services/gateways/http/router.h"
#include "services/gateways/kiosk/answers.h"
#include "services/gateways/kiosk/contexts.h"
#include "services/gateways/kiosk/secrets.h"
#include "services/gateways/kiosk/submissions.h"

namespace mallbots::kiosk {

inline constexpr std::int64_t kForgottenMs = 15 * 60 * 1'000;

/// All live longer.
struct KioskParts {
  const Contexts* contexts = nullptr;
  const Secrets* secrets = nullptr;
  Submissions* submissions = nullptr;
  gateways::Devices* devices = nullptr;
  toolkit::Log log{};
  bool loopback_needs_credential = false;
  toolkit::SpanRecorder* spans = nullptr;  ///< gets one for each call; null: none
};

class Kiosk {
 public:
  explicit Kiosk(const KioskParts& parts) : parts_(parts) {}

  /// The kiosk lives longer than the router.
  [[nodiscard]] gateways::Router routes();
  /// Gives back what is held for submits that nobody completed.
  [[nodiscard]] Outcome<void> sweep(std::int64_t now_ms);

 private:
  using Request = gateways::Request;
  /// A request, and whose it is.
  struct Visit {
    const Request& request;
    std::string actor;
    std::string traceparent;
    [[nodiscard]] Caller caller() const;
    [[nodiscard]] std::string cart_id() const { return std::string(request.parameter("cart_id")); }
    [[nodiscard]] std::string order_id() const {
      return std::string(request.parameter("order_id"));
    }
  };
  using Answer = Response (Kiosk::*)(const Visit&);
  struct Confirmed {
    std::string phone, name, card_token;
    Money total;
  };

  [[nodiscard]] gateways::Handler handler(Answer answer, bool needs_token = false);
  [[nodiscard]] Response traced(Answer answer, Visit visit);
  [[nodiscard]] std::optional<Response> identify(const Request& request, std::string& actor);
  [[nodiscard]] Response failed(const Failure& failure) const;
  [[nodiscard]] Response cart_answer(const Outcome<Cart>& cart) const;

  Response list_stores(const Visit& visit);
  Response list_products(const Visit& visit);
  Response start_cart(const Visit& visit);
  Response get_cart(const Visit& visit);
  Response cancel_cart(const Visit& visit);
  Response set_item(const Visit& visit);
  Response remove_item(const Visit& visit);
  Response review(const Visit& visit);
  Response submit(const Visit& visit);
  Response get_order(const Visit& visit);
  Response locate_order(const Visit& visit);
  Response cancel_order(const Visit& visit);
  Response pay_order(const Visit& visit);

  // --- Submit (submit.cpp)
  [[nodiscard]] std::optional<Response> known(const Submission& before, const std::string& body);
  [[nodiscard]] std::optional<Response> recheck(const Visit& visit, const Confirmed& confirmed);
  [[nodiscard]] Response carry_out(const Visit& visit, const Confirmed& confirmed,
                                   Submission submission);
  [[nodiscard]] Response give_up(Submission submission, Response refusal);
  [[nodiscard]] Response submitted(const std::string& cart_id);

  [[nodiscard]] Outcome<Order> order_of(const std::string& id);
  [[nodiscard]] std::optional<Ahead> ahead_of(const Order& order) const;
  /// The card is the one, or while the order is not made yet, the cart's token is.
  [[nodiscard]] std::optional<Response> check_card(const Visit& visit,
                                                   const std::string& card_token);

  KioskParts parts_;
};

}  // namespace mallbots::kiosk
