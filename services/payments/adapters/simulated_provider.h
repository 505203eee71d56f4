// SimulatedProvider: a payment company for demos and tests. It keeps books that must balance, and
// misbehaves as real ones do, by the card's token:
//
//   tok_declined...   authorize is declined
//   tok_nocapture...  authorize succeeds, capture is declined
//   tok_slow...       the first answer to each key is lost (Timeout), the money has moved
//   anything else     works
//
// Who calls: the application, any thread. Books are in memory: it is the world outside, which does
// not die with a service.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "services/payments/app/provider.h"

namespace mallbots::payments {

class SimulatedProvider final : public Provider {
 public:
  /// What became of one authorization.
  struct Account {
    std::string token;
    Money held;
    Money captured;
    Money refunded;
  };

  [[nodiscard]] Result<Authorization> authorize(std::string_view key, std::string_view card_token,
                                                const Money& amount) override;
  [[nodiscard]] Result<void> capture(std::string_view key, std::string_view reference,
                                     const Money& amount) override;
  [[nodiscard]] Result<void> void_hold(std::string_view key, std::string_view reference) override;
  [[nodiscard]] Result<void> refund(std::string_view key, std::string_view reference,
                                    const Money& amount) override;
  [[nodiscard]] Result<std::string> fingerprint(std::string_view card_token) override;

  /// By reference.
  [[nodiscard]] std::map<std::string, Account, std::less<>> accounts() const;

 private:
  using Accounts = std::map<std::string, Account, std::less<>>;
  template <class Move>
  [[nodiscard]] Result<void> once(std::string_view key, std::string_view reference,
                                  const Move& move);

  mutable std::mutex mutex_;
  Accounts accounts_;
  std::map<std::string, Result<void>, std::less<>> answers_;  ///< by key
};

}  // namespace mallbots::payments
