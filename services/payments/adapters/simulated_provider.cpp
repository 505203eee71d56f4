#include "services/payments/adapters/simulated_provider.h"

#include <fmt/format.h>

#include "shm/base/hash.h"

namespace mallbots::payments {
namespace {

std::unexpected<Error> declined(std::string why) {
  return std::unexpected(Error{ErrorCode::kRefused, std::move(why)});
}

}  // namespace

/// The first call of a key moves money and its answer is kept; later ones get that answer.
template <class Move>
Result<void> SimulatedProvider::once(std::string_view key, std::string_view reference,
                                     const Move& move) {
  const auto account = accounts_.find(reference);
  if (account == accounts_.end()) return declined("the provider knows no such authorization");
  const auto known = answers_.find(key);
  if (known != answers_.end()) return known->second;
  const Result<void> answer = move(account->second);
  answers_.emplace(key, answer);
  const bool is_lost = account->second.token.starts_with("tok_slow");
  if (is_lost) return std::unexpected(Error{ErrorCode::kTimeout, "the provider does not answer"});
  return answer;
}

Result<Authorization> SimulatedProvider::authorize(std::string_view key,
                                                   std::string_view card_token,
                                                   const Money& amount) {
  const std::scoped_lock lock(mutex_);
  if (card_token.starts_with("tok_declined")) return declined("the card was declined");
  const std::string reference = fmt::format("ref-{:016x}", xxh3(key.data(), key.size()));
  const Money nothing{0, amount.currency};
  accounts_.try_emplace(reference, Account{std::string(card_token), nothing, nothing, nothing});
  const auto held = once(key, reference, [&](Account& account) -> Result<void> {
    account.held = amount;
    return {};
  });
  if (!held) return std::unexpected(held.error());
  return Authorization{reference,
                       fmt::format("{:016x}", xxh3(card_token.data(), card_token.size(), 1))};
}

Result<void> SimulatedProvider::capture(std::string_view key, std::string_view reference,
                                        const Money& amount) {
  const std::scoped_lock lock(mutex_);
  return once(key, reference, [&](Account& account) -> Result<void> {
    if (account.token.starts_with("tok_nocapture")) return declined("the card was declined");
    if (amount > account.held) return declined("more than is held");
    account.captured = amount;
    account.held.minor = 0;
    return {};
  });
}

Result<void> SimulatedProvider::void_hold(std::string_view key, std::string_view reference) {
  const std::scoped_lock lock(mutex_);
  return once(key, reference, [](Account& account) -> Result<void> {
    account.held.minor = 0;
    return {};
  });
}

Result<void> SimulatedProvider::refund(std::string_view key, std::string_view reference,
                                       const Money& amount) {
  const std::scoped_lock lock(mutex_);
  return once(key, reference, [&](Account& account) -> Result<void> {
    if (account.refunded + amount > account.captured) return declined("more than was captured");
    account.refunded = account.refunded + amount;
    return {};
  });
}

Result<std::string> SimulatedProvider::fingerprint(std::string_view card_token) {
  return fmt::format("{:016x}", xxh3(card_token.data(), card_token.size(), 1));
}

std::map<std::string, SimulatedProvider::Account, std::less<>> SimulatedProvider::accounts() const {
  const std::scoped_lock lock(mutex_);
  return accounts_;
}

}  // namespace mallbots::payments
