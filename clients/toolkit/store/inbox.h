// Inbox: the effect of a message and the mark that it was handled are one transaction, so that a
// message that comes twice has its effect once, whenever who died.
//
// handle_once() is the whole pattern for who has no router; transactional() (transactional.h) is
// the same as a middleware.
//
// Marks are kept for keep_ms and forgotten a few at a time with later messages; a message that is
// repeated later than that has its effect again. Ids decide: two messages of equal content under
// two ids are two messages.
//
// Who calls: any thread. Errors: those of Database.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "clients/toolkit/store/database.h"
#include "shm/base/clock.h"

namespace mallbots::toolkit {

struct InboxOptions {
  std::int64_t keep_ms = 7LL * 24 * 3600 * 1000;
};

enum class Once : std::uint8_t { kHandled, kDuplicate };

class Inbox {
 public:
  /// Makes its table if it is not there.
  [[nodiscard]] static Result<std::unique_ptr<Inbox>> open(Database& database,
                                                           const InboxOptions& options = {});
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// True: the consumer (a group, a saga, a view) sees this id for the first time, and if the
  /// transaction commits, for the last.
  [[nodiscard]] Result<bool> enter(Transaction& transaction, std::string_view consumer,
                                   std::string_view id);
  /// One transaction around `body`, unless the message was handled before.
  [[nodiscard]] Result<Once> handle_once(std::string_view consumer, std::string_view id,
                                         const std::function<Result<void>(Transaction&)>& body);
  /// All marks of a consumer that is no more.
  [[nodiscard]] Result<void> forget(Transaction& transaction, std::string_view consumer);

 private:
  Inbox(Database& database, const InboxOptions& options) noexcept
      : database_(&database), options_(options) {}

  Database* database_;
  InboxOptions options_;
};

}  // namespace mallbots::toolkit
