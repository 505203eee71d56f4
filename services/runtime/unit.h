// Unit: one unit of work of a service. What a call or a message changes in the service's database
// and what it tells others are one transaction: all of it, or nothing.
//
//   units.run(cause, [&](Unit& unit) -> Outcome<void> {
//     MALLBOTS_OUTCOME(changed, unit.transaction.run("update ...", {id}));
//     unit.tell(names, event);
//     return {};
//   });
//
// Who calls: the adapters of a service, any thread; a Unit belongs to one call. A message's handler
// stands in the transaction that toolkit::transactional() made (Units::of).
#pragma once

#include <type_traits>

#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/store/database.h"
#include "clients/toolkit/store/outbox.h"
#include "clients/toolkit/store/transactional.h"
#include "services/runtime/outcome.h"

namespace mallbots {

struct Unit {
  toolkit::Transaction& transaction;
  toolkit::Outbox& outbox;
  toolkit::Cause cause;

  /// The event goes out if, and when, the transaction commits.
  template <class Event>
  [[nodiscard]] Result<void> tell(const toolkit::TopicNames& names, const Event& event) {
    toolkit::OutboxPublisher publisher(outbox, transaction);
    return toolkit::EventBus(names).publish(publisher, event, cause);
  }
};

class Units {
 public:
  /// Both live longer.
  Units(toolkit::Database& database, toolkit::Outbox& outbox) noexcept
      : database_(&database), outbox_(&outbox) {}

  /// Commits if the body succeeds; a refusal or an error leaves nothing.
  template <class Body>
  auto run(const toolkit::Cause& cause, Body&& body) const -> std::invoke_result_t<Body, Unit&> {
    return database_->transact([&](toolkit::Transaction& transaction) {
      Unit unit{transaction, *outbox_, cause};
      return std::forward<Body>(body)(unit);
    });
  }
  /// The unit of the message being handled.
  [[nodiscard]] Unit of(toolkit::Context& context) const {
    return {toolkit::transaction_of(context), *outbox_, context.cause()};
  }
  [[nodiscard]] toolkit::Database& database() const noexcept { return *database_; }

 private:
  toolkit::Database* database_;
  toolkit::Outbox* outbox_;
};

}  // namespace mallbots
