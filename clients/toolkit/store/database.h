// Database: the store of one service, a SQLite file (or memory, for tests), and its transactions.
//
// Who calls: any thread. One transaction writes at a time; reads go beside it, each on a snapshot.
// One process has a database file at a time (InUse for the second one), so that whoever adds to the
// outbox sits beside the relay that empties it.
//
// What a completed call promises:
//   commit   Durability::kPowerCut (default) all of it survives a power cut (WAL,
//   synchronous=FULL);
//            kProcess: the death of the process, but a power cut may take the last ones back
//            (synchronous=NORMAL): for what is made again from a log, such as views and marks
//   rollback nothing of it is there: by an error, an exception, a missing commit or a crash
// Row numbers given by `integer primary key autoincrement` rise in the order of commits: a
// transaction holds the one write lock from its start to its end.
//
// Errors: StoreFailed (SQL refused: constraint, syntax, schema), Timeout (somebody else kept the
// write lock longer than busy_ms), DiskFull, Io, Corrupt, InUse, BadArgument (a transaction or a
// read of the database within a transaction of the same thread: use that transaction).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::toolkit {

/// One `?` of a statement; borrows texts and bytes for the time of the call.
class SqlValue {
 public:
  SqlValue(std::nullptr_t) noexcept {}
  template <std::integral Number>
  SqlValue(Number number) noexcept : value_(static_cast<std::int64_t>(number)) {}
  SqlValue(double number) noexcept : value_(number) {}
  SqlValue(const char* text) noexcept : value_(std::string_view{text}) {}
  SqlValue(std::string_view text) noexcept : value_(text) {}
  SqlValue(const std::string& text) noexcept : value_(std::string_view{text}) {}
  SqlValue(std::span<const std::byte> bytes) noexcept : value_(bytes) {}

  using Variant = std::variant<std::monostate, std::int64_t, double, std::string_view,
                               std::span<const std::byte>>;
  [[nodiscard]] const Variant& get() const noexcept { return value_; }

 private:
  Variant value_;
};

using SqlValues = std::initializer_list<SqlValue>;

/// One row of an answer, by column number. A column of another type reads as 0 or empty.
class Row {
 public:
  using Column = std::variant<std::monostate, std::int64_t, double, std::string>;

  explicit Row(std::vector<Column> columns) noexcept : columns_(std::move(columns)) {}
  [[nodiscard]] bool is_null(std::size_t column) const {
    return std::holds_alternative<std::monostate>(columns_.at(column));
  }
  [[nodiscard]] std::int64_t integer(std::size_t column) const {
    const auto* found = std::get_if<std::int64_t>(&columns_.at(column));
    return found == nullptr ? 0 : *found;
  }
  [[nodiscard]] double real(std::size_t column) const {
    const auto* found = std::get_if<double>(&columns_.at(column));
    return found == nullptr ? static_cast<double>(integer(column)) : *found;
  }
  /// Also of bytes.
  [[nodiscard]] std::string_view text(std::size_t column) const {
    const auto* found = std::get_if<std::string>(&columns_.at(column));
    return found == nullptr ? std::string_view{} : std::string_view{*found};
  }
  [[nodiscard]] std::span<const std::byte> bytes(std::size_t column) const {
    return std::as_bytes(std::span{text(column)});
  }

 private:
  std::vector<Column> columns_;
};

using Rows = std::vector<Row>;

enum class Durability : std::uint8_t { kPowerCut, kProcess };

class SqlConnection;  // internal: one connection and its prepared statements
class Database;

/// Rolls back when it is destroyed without commit(). One thread.
class Transaction {
 public:
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  Transaction(Transaction&& other) noexcept;
  ~Transaction();

  /// Runs one statement; gives how many rows it changed.
  [[nodiscard]] Result<std::int64_t> run(const std::string& sql, SqlValues values = {});
  [[nodiscard]] Result<Rows> rows(const std::string& sql, SqlValues values = {});
  /// Several statements that need no values, separated by `;`.
  [[nodiscard]] Result<void> script(const std::string& statements);
  /// What `body` did is undone when it gives an error; the transaction goes on.
  [[nodiscard]] Result<void> attempt(const std::function<Result<void>()>& body);
  /// Called once after a commit, without the write lock.
  void after_commit(std::function<void()> call) { after_commit_.push_back(std::move(call)); }

  /// An error leaves nothing of the transaction. The second call is a BadArgument.
  [[nodiscard]] Result<void> commit();

 private:
  friend class Database;
  explicit Transaction(Database& database) noexcept : database_(&database) {}
  void roll_back() noexcept;

  Database* database_;  ///< null: ended
  std::vector<std::function<void()>> after_commit_;
};

struct DatabaseOptions {
  std::string path{};  ///< empty: in memory, gone with the object
  /// How long to wait for the write lock.
  std::int64_t busy_ms = 5'000;
};

class Database {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const DatabaseOptions& options = {});
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  [[nodiscard]] Result<Transaction> begin(Durability durability = Durability::kPowerCut);
  /// Commits if `body` gives no error, else rolls back; so does an exception, which goes on.
  template <class Body>
  [[nodiscard]] auto transact(Body&& body, Durability durability = Durability::kPowerCut)
      -> std::invoke_result_t<Body, Transaction&> {
    auto transaction = begin(durability);
    if (!transaction) return std::unexpected(std::move(transaction).error());
    auto outcome = std::forward<Body>(body)(*transaction);
    if (outcome) MALLBOTS_TRY(transaction->commit());
    return outcome;
  }
  /// Several statements that need no values, separated by `;`, in one transaction: schemas.
  [[nodiscard]] Result<void> ensure(const std::string& statements);
  /// What is committed, without waiting for the one who writes.
  [[nodiscard]] Result<Rows> read(const std::string& sql, SqlValues values = {});

 private:
  friend class Transaction;
  class Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots::toolkit
