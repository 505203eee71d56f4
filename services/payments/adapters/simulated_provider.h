// SimulatedProvider: a payment company for demos and tests. It keeps books that must balance, and
// misbehaves as real ones do, by the card's token:
//
//   tok_declined...   authorize is declined
//   tok_nocapture...  authorize succeeds, capture is declined
//   tok_slow...       the first answer to each key is lost (Timeout), the money has moved
//   anything else     works
//
// Who calls: the application, any thread. The books are a database of their own, in memory or in a
// file: it is the world outside, which does not die with a service, so what it answered survives
// the death of the process and a power cut. They hold no card tokens, only what a card does.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "clients/toolkit/store/database.h"
#include "services/payments/app/provider.h"

namespace mallbots::payments {

class SimulatedProvider final : public Provider {
 public:
  /// What became of one authorization.
  struct Account {
    Money held;
    Money captured;
    Money refunded;
  };

  /// Books in memory.
  SimulatedProvider();
  /// Errors: those of Database.
  [[nodiscard]] static Result<std::unique_ptr<SimulatedProvider>> open(const std::string& path);

  [[nodiscard]] Result<Authorization> authorize(std::string_view key, std::string_view card_token,
                                                const Money& amount) override;
  [[nodiscard]] Result<void> capture(std::string_view key, std::string_view reference,
                                     const Money& amount) override;
  [[nodiscard]] Result<void> void_hold(std::string_view key,
                                       std::string_view authorize_key) override;
  [[nodiscard]] Result<void> refund(std::string_view key, std::string_view reference,
                                    const Money& amount) override;
  [[nodiscard]] Result<std::string> fingerprint(std::string_view card_token) override;

  /// By reference.
  [[nodiscard]] std::map<std::string, Account, std::less<>> accounts() const;

 private:
  enum class Manner : std::uint8_t { kWorks, kNoCapture, kSlow };
  struct Booked {
    Account account;
    Manner manner = Manner::kWorks;
  };
  using Move = std::function<Result<void>(Booked&)>;
  explicit SimulatedProvider(std::unique_ptr<toolkit::Database> books) : books_(std::move(books)) {}
  [[nodiscard]] Result<void> once(std::string_view key, std::string_view reference,
                                  const Move& move);
  [[nodiscard]] Result<void> once(toolkit::Transaction& transaction, std::string_view key,
                                  std::string_view reference, const Move& move, bool& is_lost);

  std::unique_ptr<toolkit::Database> books_;
};

}  // namespace mallbots::payments
