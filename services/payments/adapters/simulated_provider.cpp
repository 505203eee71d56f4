#include "services/payments/adapters/simulated_provider.h"

#include <fmt/format.h>

#include "shm/base/check.h"
#include "shm/base/hash.h"

namespace mallbots::payments {
namespace {

using toolkit::Row;
using toolkit::Transaction;

constexpr const char* kSchema =
    "create table if not exists accounts ("
    " reference text primary key, manner integer not null, currency text not null,"
    " held integer not null, captured integer not null, refunded integer not null) strict;"
    "create table if not exists answers (key text primary key, refused text) strict";
constexpr const char* kColumns =
    "select manner, currency, held, captured, refunded, reference"
    " from accounts ";

std::unexpected<Error> declined(std::string why) {
  return std::unexpected(Error{ErrorCode::kRefused, std::move(why)});
}

std::string fingerprint_of(std::string_view card_token) {
  return fmt::format("{:016x}", xxh3(card_token.data(), card_token.size(), 1));
}

std::string reference_of(std::string_view authorize_key) {
  return fmt::format("ref-{:016x}", xxh3(authorize_key.data(), authorize_key.size()));
}

Result<void> open_account(Transaction& transaction, const std::string& reference, int manner,
                          std::string_view currency) {
  MALLBOTS_TRY(transaction.run("insert or ignore into accounts values (?, ?, ?, 0, 0, 0)",
                               {reference, manner, currency}));
  return {};
}

SimulatedProvider::Account account_from(const Row& row) {
  const Currency currency = parse_currency(row.text(1)).value_or(Currency{});
  return {{row.integer(2), currency}, {row.integer(3), currency}, {row.integer(4), currency}};
}

}  // namespace

SimulatedProvider::SimulatedProvider() {
  auto books = toolkit::Database::open();
  CHECK(books && (*books)->ensure(kSchema));
  books_ = std::move(*books);
}

Result<std::unique_ptr<SimulatedProvider>> SimulatedProvider::open(const std::string& path) {
  auto books = toolkit::Database::open({.path = path});
  if (!books) return std::unexpected(std::move(books).error());
  MALLBOTS_TRY((*books)->ensure(kSchema));
  return std::unique_ptr<SimulatedProvider>(new SimulatedProvider(std::move(*books)));
}

/// The first call of a key moves money and its answer is kept; later ones get that answer.
Result<void> SimulatedProvider::once(Transaction& transaction, std::string_view key,
                                     std::string_view reference, const Move& move, bool& is_lost) {
  const auto rows = transaction.rows(std::string(kColumns) + "where reference = ?", {reference});
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return declined("the provider knows no such authorization");
  const auto known = transaction.rows("select refused from answers where key = ?", {key});
  if (!known) return std::unexpected(known.error());
  if (!known->empty()) {
    if (known->front().is_null(0)) return {};
    return declined(std::string(known->front().text(0)));
  }
  Booked booked{account_from(rows->front()), static_cast<Manner>(rows->front().integer(0))};
  const Result<void> answer = move(booked);
  const auto refused =
      answer ? toolkit::SqlValue(nullptr) : toolkit::SqlValue(answer.error().detail);
  MALLBOTS_TRY(transaction.run("insert into answers values (?, ?)", {key, refused}));
  if (answer) {
    const Account& account = booked.account;
    MALLBOTS_TRY(transaction.run(
        "update accounts set held = ?, captured = ?, refunded = ? where reference = ?",
        {account.held.minor, account.captured.minor, account.refunded.minor, reference}));
  }
  is_lost = booked.manner == Manner::kSlow;
  return answer;
}

Result<void> SimulatedProvider::once(std::string_view key, std::string_view reference,
                                     const Move& move) {
  bool is_lost = false;
  // A refusal is an answer, and kept: the transaction commits.
  std::optional<Error> refusal;
  MALLBOTS_TRY(books_->transact([&](Transaction& transaction) -> Result<void> {
    auto answer = once(transaction, key, reference, move, is_lost);
    if (answer || answer.error().code != ErrorCode::kRefused) return answer;
    refusal = std::move(answer).error();
    return {};
  }));
  if (is_lost) return std::unexpected(Error{ErrorCode::kTimeout, "the provider does not answer"});
  if (refusal) return std::unexpected(*std::move(refusal));
  return {};
}

Result<Authorization> SimulatedProvider::authorize(std::string_view key,
                                                   std::string_view card_token,
                                                   const Money& amount) {
  if (card_token.starts_with("tok_declined")) return declined("the card was declined");
  const Manner manner = card_token.starts_with("tok_nocapture") ? Manner::kNoCapture
                        : card_token.starts_with("tok_slow")    ? Manner::kSlow
                                                                : Manner::kWorks;
  const std::string reference = reference_of(key);
  const std::string currency(amount.currency.letters.data(), amount.currency.letters.size());
  MALLBOTS_TRY(books_->transact([&](Transaction& transaction) {
    return open_account(transaction, reference, static_cast<int>(manner), currency);
  }));
  MALLBOTS_TRY(once(key, reference, [&](Booked& booked) -> Result<void> {
    booked.account.held = amount;
    return {};
  }));
  return Authorization{reference, fingerprint_of(card_token)};
}

Result<void> SimulatedProvider::capture(std::string_view key, std::string_view reference,
                                        const Money& amount) {
  return once(key, reference, [&](Booked& booked) -> Result<void> {
    if (booked.manner == Manner::kNoCapture) return declined("the card was declined");
    if (amount > booked.account.held) return declined("more than is held");
    booked.account.captured = amount;
    booked.account.held.minor = 0;
    return {};
  });
}

Result<void> SimulatedProvider::void_hold(std::string_view key, std::string_view authorize_key) {
  const std::string reference = reference_of(authorize_key);
  // Answers are kept: if this is the first of that authorization, it will hold nothing.
  MALLBOTS_TRY(books_->transact([&](Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(open_account(transaction, reference, static_cast<int>(Manner::kWorks), "GBP"));
    MALLBOTS_TRY(transaction.run("insert or ignore into answers values (?, ?)",
                                 {authorize_key, "the authorization was voided"}));
    return {};
  }));
  return once(key, reference, [](Booked& booked) -> Result<void> {
    booked.account.held.minor = 0;
    return {};
  });
}

Result<void> SimulatedProvider::refund(std::string_view key, std::string_view reference,
                                       const Money& amount) {
  return once(key, reference, [&](Booked& booked) -> Result<void> {
    Account& account = booked.account;
    if (account.refunded + amount > account.captured) return declined("more than was captured");
    account.refunded = account.refunded + amount;
    return {};
  });
}

Result<std::string> SimulatedProvider::fingerprint(std::string_view card_token) {
  return fingerprint_of(card_token);
}

std::map<std::string, SimulatedProvider::Account, std::less<>> SimulatedProvider::accounts() const {
  std::map<std::string, Account, std::less<>> accounts;
  const auto rows = books_->read(kColumns);
  if (rows)
    for (const Row& row : *rows) accounts.emplace(row.text(5), account_from(row));
  return accounts;
}

}  // namespace mallbots::payments
