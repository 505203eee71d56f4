// Shopper: one customer at one kiosk, with one invoice in hand: fills a cart, reviews it, pays by
// card, submits; cancels if the file says so; asks later what became of the order.
//
// Who calls: one thread per shopper. Everything is asked in a way that may be repeated, under keys
// made of the run and the invoice, so that a second try is the same order. What the kiosk refuses
// is an outcome and no error. Errors: those of HttpClient (the kiosk did not answer for minutes).
#pragma once

#include <cstdint>
#include <string>

#include "services/simulators/http_client.h"
#include "services/simulators/shoppers/retail.h"

namespace mallbots::shoppers {

struct ShopperOptions {
  simulators::HttpAddress kiosk;
  std::string credential{};  ///< ID.SECRET of the kiosk; empty: none
  std::string run;           ///< part of every key: another run, other orders
  std::uint64_t seed = 1;
  std::uint32_t declined_per_mille = 10;  ///< cards that the bank declines
  std::uint32_t slow_per_mille = 10;      ///< cards whose bank loses its first answer
};

/// What a shopper saw of one invoice.
struct Errand {
  enum class Outcome : std::uint8_t { kSubmitted, kDeclined, kRefused, kGivenUp };

  const RetailOrder* order = nullptr;
  Outcome outcome = Outcome::kGivenUp;
  std::string order_id;
  std::string token;   ///< of the cart; never written down
  std::string reason;  ///< of what was refused
  std::string cancel;  ///< accepted, refused; empty: none was wanted
  std::string status;  ///< as the kiosk told last
  std::int64_t final_total_minor = 0;
  std::int64_t cart_us = 0;    ///< from the first touch to the review's answer
  std::int64_t submit_us = 0;  ///< the submit alone
  std::int64_t submitted_ms = 0;

  [[nodiscard]] bool is_open() const noexcept {
    return outcome == Outcome::kSubmitted && status != "completed" && status != "cancelled" &&
           status != "rejected";
  }
};

class Shopper {
 public:
  explicit Shopper(const ShopperOptions& options) : options_(&options), client_(options.kiosk) {}

  [[nodiscard]] Result<Errand> buy(const RetailOrder& order);
  /// Asks how the order stands; writes it into the errand.
  [[nodiscard]] Result<void> look(Errand& errand);

  [[nodiscard]] std::uint64_t questions() const noexcept { return client_.questions(); }
  [[nodiscard]] std::uint64_t repetitions() const noexcept { return client_.repetitions(); }

 private:
  [[nodiscard]] Result<simulators::Answer> ask(simulators::Question question, const Errand& errand);
  [[nodiscard]] Result<void> start(Errand& errand);
  [[nodiscard]] Result<void> fill(Errand& errand);
  [[nodiscard]] Result<std::int64_t> review(Errand& errand);
  [[nodiscard]] Result<void> submit(Errand& errand);
  [[nodiscard]] Result<void> cancel(Errand& errand);
  [[nodiscard]] std::string key(const Errand& errand, std::string_view step) const;
  [[nodiscard]] std::string card_of(const Errand& errand) const;

  const ShopperOptions* options_;
  simulators::HttpClient client_;
};

/// Of the customer, always the same; in a range that is nobody's: +44 7700 900 and six digits.
[[nodiscard]] std::string phone_of(const RetailOrder& order);

}  // namespace mallbots::shoppers
