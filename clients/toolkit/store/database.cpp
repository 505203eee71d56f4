#include "clients/toolkit/store/database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "shm/base/crash_point.h"

namespace mallbots::toolkit {
namespace {

Error as_error(const SQLite::Exception& problem, const std::string& sql) {
  const std::string detail = std::string{problem.what()} + " in `" + sql.substr(0, 200) + "`";
  switch (problem.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::kTimeout, "the database is locked by another process: " + detail};
    case SQLITE_FULL:
      return {ErrorCode::kDiskFull, detail};
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return {ErrorCode::kIo, detail};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorCode::kCorrupt, detail};
    default:
      return {ErrorCode::kStoreFailed, detail};
  }
}

struct Binder {
  SQLite::Statement& statement;
  int place;

  void operator()(std::monostate) const { statement.bind(place); }
  void operator()(std::int64_t number) const { statement.bind(place, number); }
  void operator()(double number) const { statement.bind(place, number); }
  void operator()(std::string_view text) const { statement.bind(place, std::string{text}); }
  void operator()(std::span<const std::byte> bytes) const {
    // A null pointer would bind NULL, and no bytes are not that.
    statement.bind(place, bytes.empty() ? static_cast<const void*>("") : bytes.data(),
                   static_cast<int>(bytes.size()));
  }
};

Row::Column column_of(const SQLite::Column& column) {
  if (column.isNull()) return {};
  if (column.isInteger()) return column.getInt64();
  if (column.isFloat()) return column.getDouble();
  return column.getString();
}

/// The lock file of one process; freed with it, however it ends.
class ProcessLock {
 public:
  ProcessLock() = default;
  ProcessLock(const ProcessLock&) = delete;
  ProcessLock& operator=(const ProcessLock&) = delete;
  ~ProcessLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] Result<void> take(const std::string& path) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) return fail(ErrorCode::kIo, "cannot open '" + path + "'");
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0)
      return fail(ErrorCode::kInUse, "another process of the service has '" + path + "'");
    return {};
  }

 private:
  int fd_ = -1;
};

}  // namespace

class SqlConnection {
 public:
  SqlConnection(const std::string& path, int flags, std::int64_t busy_ms)
      : database_(path, flags, static_cast<int>(busy_ms)) {}

  [[nodiscard]] Result<void> script(const std::string& statements) {
    return guarded(statements, [&] { database_.exec(statements); });
  }

  [[nodiscard]] Result<std::int64_t> run(const std::string& sql, SqlValues values) {
    std::int64_t changed = 0;
    MALLBOTS_TRY(guarded(sql, [&] {
      SQLite::Statement& statement = prepare(sql, values);
      while (statement.executeStep()) {
      }
      changed = statement.getChanges();
      statement.reset();
    }));
    return changed;
  }

  [[nodiscard]] Result<Rows> rows(const std::string& sql, SqlValues values) {
    Rows rows;
    MALLBOTS_TRY(guarded(sql, [&] {
      SQLite::Statement& statement = prepare(sql, values);
      while (statement.executeStep()) {
        std::vector<Row::Column> columns;
        for (int i = 0; i < statement.getColumnCount(); ++i)
          columns.push_back(column_of(statement.getColumn(i)));
        rows.emplace_back(std::move(columns));
      }
      statement.reset();
    }));
    return rows;
  }

  /// Not within a transaction.
  [[nodiscard]] Result<void> set_durability(Durability durability) {
    if (durability_ == durability) return {};
    MALLBOTS_TRY(script(durability == Durability::kPowerCut ? "PRAGMA synchronous=FULL"
                                                            : "PRAGMA synchronous=NORMAL"));
    durability_ = durability;
    return {};
  }

 private:
  template <class Call>
  Result<void> guarded(const std::string& sql, Call&& call) {
    try {
      call();
      return {};
    } catch (const SQLite::Exception& problem) {
      if (const auto found = statements_.find(sql); found != statements_.end())
        found->second.tryReset();
      return std::unexpected(as_error(problem, sql));
    }
  }

  SQLite::Statement& prepare(const std::string& sql, SqlValues values) {
    auto found = statements_.find(sql);
    if (found == statements_.end())
      found = statements_.emplace(sql, SQLite::Statement{database_, sql}).first;
    SQLite::Statement& statement = found->second;
    statement.tryReset();
    statement.clearBindings();
    int place = 0;
    for (const SqlValue& value : values) std::visit(Binder{statement, ++place}, value.get());
    return statement;
  }

  SQLite::Database database_;
  std::unordered_map<std::string, SQLite::Statement> statements_;
  Durability durability_ = Durability::kPowerCut;
};

class Database::Impl {
 public:
  [[nodiscard]] Result<void> open(const DatabaseOptions& options) {
    options_ = options;
    if (!in_memory()) MALLBOTS_TRY(lock_.take(options_.path + ".lock"));
    auto made = connect();
    if (!made) return std::unexpected(std::move(made).error());
    writer_ = std::move(*made);
    return writer_->script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
  }

  [[nodiscard]] bool in_memory() const noexcept { return options_.path.empty(); }
  [[nodiscard]] bool is_mine() const noexcept { return owner_ == std::this_thread::get_id(); }
  [[nodiscard]] SqlConnection& writer() noexcept { return *writer_; }

  [[nodiscard]] Result<void> lock() {
    if (is_mine()) return fail(ErrorCode::kBadArgument, "this thread is within a transaction");
    if (!write_lock_.try_lock_for(std::chrono::milliseconds{options_.busy_ms}))
      return fail(ErrorCode::kTimeout,
                  "a transaction lasts longer than " + std::to_string(options_.busy_ms) + " ms");
    owner_ = std::this_thread::get_id();
    return {};
  }
  void unlock() noexcept {
    owner_ = std::thread::id{};
    write_lock_.unlock();
  }

  [[nodiscard]] Result<Rows> read(const std::string& sql, SqlValues values) {
    if (is_mine()) return fail(ErrorCode::kBadArgument, "this thread is within a transaction");
    if (in_memory()) {
      MALLBOTS_TRY(lock());
      auto rows = writer_->rows(sql, values);
      unlock();
      return rows;
    }
    auto taken = take_reader();
    if (!taken) return std::unexpected(std::move(taken).error());
    auto rows = (*taken)->rows(sql, values);
    const std::scoped_lock lock{readers_lock_};
    readers_.push_back(std::move(*taken));
    return rows;
  }

 private:
  [[nodiscard]] Result<std::unique_ptr<SqlConnection>> connect() const {
    try {
      return std::make_unique<SqlConnection>(in_memory() ? ":memory:" : options_.path,
                                             SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                             options_.busy_ms);
    } catch (const SQLite::Exception& problem) {
      return std::unexpected(as_error(problem, options_.path));
    }
  }
  [[nodiscard]] Result<std::unique_ptr<SqlConnection>> take_reader() {
    {
      const std::scoped_lock lock{readers_lock_};
      if (!readers_.empty()) {
        auto reader = std::move(readers_.back());
        readers_.pop_back();
        return reader;
      }
    }
    auto reader = connect();
    if (reader) MALLBOTS_TRY((*reader)->script("PRAGMA query_only=1"));
    return reader;
  }

  DatabaseOptions options_;
  ProcessLock lock_;
  std::unique_ptr<SqlConnection> writer_;
  std::timed_mutex write_lock_;
  std::atomic<std::thread::id> owner_{};
  std::mutex readers_lock_;
  std::vector<std::unique_ptr<SqlConnection>> readers_;  ///< not in use
};

// --- Database

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options) {
  auto impl = std::make_unique<Impl>();
  MALLBOTS_TRY(impl->open(options));
  return std::unique_ptr<Database>{new Database{std::move(impl)}};
}

Result<Transaction> Database::begin(Durability durability) {
  MALLBOTS_TRY(impl_->lock());
  auto begun = impl_->writer().set_durability(durability);
  if (begun) begun = impl_->writer().script("BEGIN IMMEDIATE");
  if (begun) return Transaction{*this};
  impl_->unlock();
  return std::unexpected(std::move(begun).error());
}

Result<void> Database::ensure(const std::string& statements) {
  return transact([&](Transaction& transaction) { return transaction.script(statements); });
}

Result<Rows> Database::read(const std::string& sql, SqlValues values) {
  return impl_->read(sql, values);
}

// --- Transaction

namespace {

std::unexpected<Error> ended() {
  return fail(ErrorCode::kBadArgument, "the transaction has ended");
}

}  // namespace

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)),
      after_commit_(std::move(other.after_commit_)) {}

Transaction::~Transaction() { roll_back(); }

void Transaction::roll_back() noexcept {
  if (database_ == nullptr) return;
  Database::Impl& impl = *std::exchange(database_, nullptr)->impl_;
  // An error that ended the transaction by itself (a full disk) leaves nothing to roll back.
  static_cast<void>(impl.writer().script("ROLLBACK"));
  impl.unlock();
}

Result<std::int64_t> Transaction::run(const std::string& sql, SqlValues values) {
  if (database_ == nullptr) return ended();
  return database_->impl_->writer().run(sql, values);
}

Result<Rows> Transaction::rows(const std::string& sql, SqlValues values) {
  if (database_ == nullptr) return ended();
  return database_->impl_->writer().rows(sql, values);
}

Result<void> Transaction::script(const std::string& statements) {
  if (database_ == nullptr) return ended();
  return database_->impl_->writer().script(statements);
}

Result<void> Transaction::attempt(const std::function<Result<void>()>& body) {
  if (database_ == nullptr) return ended();
  SqlConnection& writer = database_->impl_->writer();
  MALLBOTS_TRY(writer.script("SAVEPOINT attempt"));
  auto outcome = body();
  if (!outcome) MALLBOTS_TRY(writer.script("ROLLBACK TO attempt"));
  MALLBOTS_TRY(writer.script("RELEASE attempt"));
  return outcome;
}

Result<void> Transaction::commit() {
  if (database_ == nullptr) return ended();
  CRASH_POINT("toolkit.commit");
  const auto committed = database_->impl_->writer().script("COMMIT");
  CRASH_POINT("toolkit.committed");
  if (!committed) {
    roll_back();
    return committed;
  }
  std::exchange(database_, nullptr)->impl_->unlock();
  for (const auto& call : after_commit_) call();
  return {};
}

}  // namespace mallbots::toolkit
