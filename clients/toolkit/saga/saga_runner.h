// SagaRunner: carries out one kind of saga for a service. The state of each instance is a row of
// the service's database, and changes in one transaction with the inbox mark of the message that
// moved it and the outbox rows of what it sends.
//
//   SagaRunner orders{create_order.plan(), {*database, *inbox, *outbox}, names};
//   MALLBOTS_TRY(orders.open());
//   MALLBOTS_TRY(add(router, orders.registration()));
//   std::jthread timeouts{[&](std::stop_token stop) { orders.run(stop); }};
//   ...
//   MALLBOTS_TRY(orders.begin(transaction, order_id, NewOrder{...}, context.cause()));
//
// What is promised: whenever the process dies, an instance goes on from its last committed state,
// and each command has one id, made of saga, instance, step and place, however often it is sent; so
// whoever keeps an inbox carries it out once. Of two messages for one instance one waits for the
// other. Messages for instances that are not there, or are over, change nothing, and late replies
// neither.
//
// Who calls: any thread. Errors: those of Database; BadArgument (no such instance, not stuck).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "clients/toolkit/middleware/tracing.h"
#include "clients/toolkit/saga/saga.h"
#include "clients/toolkit/store/transactional.h"

namespace mallbots::toolkit {

enum class SagaState : std::uint8_t {
  kRunning,  ///< a step waits for its answer
  kUndoing,  ///< what undoes a step waits for its answer
  kDone,     ///< all steps succeeded
  kUndone,   ///< it failed, and everything is undone
  kStuck,    ///< an undo failed or was not answered: a person must look
};

struct SagaInstance {
  std::string id;
  SagaState state = SagaState::kRunning;
  std::string step;    ///< where it is
  std::string reason;  ///< why it went back or is stuck
  std::string data;    ///< JSON
  std::int64_t version = 0;
  UnixMillis updated_ms = 0;
};

struct SagaCounts {
  std::uint64_t running = 0;
  std::uint64_t undoing = 0;
  std::uint64_t stuck = 0;
  std::int64_t oldest_age_ms = 0;  ///< since the last move, of those that are not over
};

/// What a service keeps its messages and state in; all outlive what uses them.
struct ServiceStore {
  Database& database;
  Inbox& inbox;
  Outbox& outbox;
};

class SagaRunner {
 public:
  /// `spans`, if given, gets a span "SAGA STEP" or "SAGA undo STEP" for each step that was begun or
  /// undone, when that is committed: a child of the span of the message that moved the saga.
  SagaRunner(SagaPlan plan, const ServiceStore& store, TopicNames names,
             SpanRecorder* spans = nullptr)
      : plan_(std::move(plan)), store_(store), names_(std::move(names)), spans_(spans) {}
  SagaRunner(const SagaRunner&) = delete;
  SagaRunner& operator=(const SagaRunner&) = delete;

  /// Makes its table if it is not there. BadArgument: a saga without steps.
  [[nodiscard]] Result<void> open();
  /// Begins an instance within the caller's transaction; an id that is there already is left alone.
  template <WithFields Data>
  [[nodiscard]] Handled begin(Transaction& transaction, const std::string& id, const Data& data,
                              const Cause& cause = {}) {
    return begin_with(transaction, id, write_fields(data), cause);
  }
  /// Takes in the events it listens to and the replies to its commands, in group saga.NAME. Opens
  /// the transaction itself, unless transactional() has.
  [[nodiscard]] Registration registration();

  /// Ends the steps whose time is over; gives how many.
  [[nodiscard]] Result<std::size_t> tick(UnixMillis now_ms);
  /// tick() whenever a time is over, until stopped.
  void run(const std::stop_token& stop);

  [[nodiscard]] Result<std::optional<SagaInstance>> find(const std::string& id);
  [[nodiscard]] Result<std::vector<SagaInstance>> in_state(SagaState state);
  [[nodiscard]] Result<SagaCounts> counts();
  /// Tries again what an instance is stuck in, under new command ids.
  [[nodiscard]] Result<void> resume(const std::string& id);
  /// Forgets instances that have been over for so long; gives how many.
  [[nodiscard]] Result<std::int64_t> forget(std::int64_t age_ms);

  [[nodiscard]] const SagaPlan& plan() const noexcept { return plan_; }
  /// Where the replies to its commands go.
  [[nodiscard]] std::string reply_topic() const { return "replies.saga." + plan_.name; }

 private:
  struct Instance;
  struct Work;  ///< a transaction, the instance in it, and why

  [[nodiscard]] Handled begin_with(Transaction& transaction, const std::string& id,
                                   std::string data, const Cause& cause);
  [[nodiscard]] Handled handle(Context& context, const Message& message);
  [[nodiscard]] Handled on_event(Context& context, const SagaPlan::Listener& listener,
                                 const Message& message);
  [[nodiscard]] Handled on_reply(Context& context, const Message& message);

  [[nodiscard]] Handled act(Work& work);
  [[nodiscard]] Handled next(Work& work);
  [[nodiscard]] Handled undo_from(Work& work, std::size_t steps, std::string reason);
  [[nodiscard]] Handled undo(Work& work);
  [[nodiscard]] Handled finish(Work& work, SagaState state);
  [[nodiscard]] Handled send(Work& work, SagaOut& out);
  void get_stuck(Work& work, std::string reason);

  [[nodiscard]] Result<std::optional<Instance>> load(Transaction& transaction,
                                                     const std::string& id);
  [[nodiscard]] Result<void> save(Transaction& transaction, Instance& instance);
  [[nodiscard]] Result<void> time_is_over(const std::string& id, UnixMillis now_ms);
  [[nodiscard]] SagaInstance seen(const Instance& instance) const;

  SagaPlan plan_;
  ServiceStore store_;
  TopicNames names_;
  SpanRecorder* spans_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;
};

}  // namespace mallbots::toolkit
