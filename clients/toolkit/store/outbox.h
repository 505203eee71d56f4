// Outbox: messages that are published if, and only if, a transaction commits. They are rows of the
// same database until the Relay has brought them to the bus.
//
//   database.transact([&](Transaction& transaction) -> Result<void> {
//     MALLBOTS_TRY(transaction.run("insert into bookings values (?, ?)", {id, seats}));
//     return outbox.add(transaction, "events.BookingMade", {.payload = ..., .key = id});
//   });
//
// What is promised: a committed message is published at least once under the id it was given here,
// those of one topic in the order of commits; a message of a transaction that did not commit,
// never. Readers that keep an Inbox see it once.
//
// Who calls: any thread; a transaction's messages are added by its thread. Outbox and Database must
// outlive the publishers and relays made from them. Errors: those of Database; of add() also
// TooLarge (headers of more than 65,535 bytes).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/message.h"
#include "clients/toolkit/store/database.h"

namespace mallbots::toolkit {

/// What has been committed and not been published.
struct OutboxBacklog {
  std::uint64_t waiting = 0;
  std::int64_t oldest_age_ms = 0;  ///< of those waiting; 0: none
  std::uint64_t refused = 0;       ///< set aside: no bus will ever take them (Relay)
};

class Outbox {
 public:
  /// Makes its table if it is not there.
  [[nodiscard]] static Result<std::unique_ptr<Outbox>> open(Database& database);
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Ids, correlation and trace that the draft lacks are filled in now, so that they are the same
  /// however often the message is published.
  [[nodiscard]] Result<void> add(Transaction& transaction, const std::string& topic, Draft draft,
                                 const Cause& cause = {});
  [[nodiscard]] Result<void> add(Transaction& transaction, const std::string& topic,
                                 std::span<const client::Record> records,
                                 std::optional<UnixMillis> publish_at = {});

  [[nodiscard]] Result<OutboxBacklog> backlog() const;

 private:
  friend class Relay;
  explicit Outbox(Database& database) noexcept : database_(&database) {}
  void ring();
  /// False: stopped. True: something was committed since `seen`, or the time has passed.
  bool wait(std::uint64_t seen, const std::stop_token& stop,
            std::optional<std::int64_t> at_most_ms);

  Database* database_;
  std::mutex mutex_;
  std::condition_variable_any rung_;
  std::uint64_t rings_ = 0;
};

/// A Publisher whose publications belong to a transaction: whatever publishes to a bus publishes
/// with it through the outbox. Deadlines and acks do not count. As long as the transaction.
class OutboxPublisher final : public Publisher {
 public:
  OutboxPublisher(Outbox& outbox, Transaction& transaction) noexcept
      : outbox_(&outbox), transaction_(&transaction) {}
  [[nodiscard]] Result<void> publish(const std::string& topic,
                                     std::span<const client::Record> records,
                                     const PublishOptions& options = {}) override {
    return outbox_->add(*transaction_, topic, records, options.publish_at);
  }

 private:
  Outbox* outbox_;
  Transaction* transaction_;
};

}  // namespace mallbots::toolkit
