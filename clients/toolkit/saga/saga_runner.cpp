#include "clients/toolkit/saga/saga_runner.h"

#include <algorithm>
#include <chrono>

#include "clients/toolkit/saga/internal/command_id.h"
#include "clients/toolkit/saga/internal/step_span.h"

namespace mallbots::toolkit {
namespace {

constexpr const char* kColumns =
    "id, version, state, step, round, sent, waiting, reason, data, correlation, trace, actor, "
    "updated_ms";
enum Column : std::size_t {
  kId,
  kVersion,
  kState,
  kStep,
  kRound,
  kSent,
  kWaiting,
  kReason,
  kData,
  kCorrelation,
  kTrace,
  kActor,
  kUpdated
};

Handled as_handled(const Result<void>& result) {
  if (!result) return std::unexpected(HandlerFailure{result.error()});
  return {};
}

bool is_over(SagaState state) { return state == SagaState::kDone || state == SagaState::kUndone; }

}  // namespace

struct SagaRunner::Instance {
  std::string id;
  std::int64_t version = 0;  ///< 0: not in the table yet
  SagaState state = SagaState::kRunning;
  std::size_t step = 0;
  std::int64_t round = 0;    ///< how often it was resumed
  std::int64_t sent = 0;     ///< commands of this step
  std::int64_t waiting = 0;  ///< replies to them that are missing
  std::int64_t wake_at_ms = 0;
  std::string reason;
  std::string data;
  std::string correlation;
  std::string trace;
  std::string actor;
  UnixMillis updated_ms = 0;
};

struct SagaRunner::Work {
  Transaction& transaction;
  Instance& instance;
  Cause cause;
};

Result<void> SagaRunner::open() {
  if (plan_.steps.empty())
    return fail(ErrorCode::kBadArgument, "saga '" + plan_.name + "' has no steps");
  return store_.database.ensure(
      "create table if not exists sagas ("
      "  name text not null, id text not null, version integer not null,"
      "  state integer not null, step integer not null, round integer not null,"
      "  sent integer not null, waiting integer not null, wake_at_ms integer not null,"
      "  reason text not null, data text not null,"
      "  correlation text not null, trace text not null, actor text not null, updated_ms integer "
      "not null,"
      "  primary key (name, id));"
      "create index if not exists sagas_by_state on sagas (name, state, updated_ms);"
      "create index if not exists sagas_by_time on sagas (name, wake_at_ms)"
      "  where wake_at_ms > 0;");
}

// --- Rows

Result<std::optional<SagaRunner::Instance>> SagaRunner::load(Transaction& transaction,
                                                             const std::string& id) {
  const auto rows =
      transaction.rows(std::string{"select "} + kColumns + " from sagas where name = ? and id = ?",
                       {plan_.name, id});
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::nullopt;
  const Row& row = rows->front();
  return Instance{
      .id = std::string{row.text(kId)},
      .version = row.integer(kVersion),
      .state = static_cast<SagaState>(row.integer(kState)),
      // A plan that lost steps must not be read behind its end.
      .step = std::min(static_cast<std::size_t>(row.integer(kStep)), plan_.steps.size() - 1),
      .round = row.integer(kRound),
      .sent = row.integer(kSent),
      .waiting = row.integer(kWaiting),
      .reason = std::string{row.text(kReason)},
      .data = std::string{row.text(kData)},
      .correlation = std::string{row.text(kCorrelation)},
      .trace = std::string{row.text(kTrace)},
      .actor = std::string{row.text(kActor)},
      .updated_ms = row.integer(kUpdated)};
}

/// Only over the version that was loaded: a second writer, whoever it is, is told.
Result<void> SagaRunner::save(Transaction& transaction, Instance& instance) {
  const auto state = static_cast<int>(instance.state);
  instance.updated_ms = wall_now_ms();
  Result<std::int64_t> saved{};
  if (instance.version == 0) {
    saved = transaction.run(
        "insert into sagas (name, id, version, state, step, round, sent, waiting, wake_at_ms,"
        " reason, data, correlation, trace, actor, updated_ms)"
        " values (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {plan_.name, instance.id, state, instance.step, instance.round, instance.sent,
         instance.waiting, instance.wake_at_ms, instance.reason, instance.data,
         instance.correlation, instance.trace, instance.actor, instance.updated_ms});
  } else {
    saved = transaction.run(
        "update sagas set version = version + 1, state = ?, step = ?, round = ?, sent = ?,"
        " waiting = ?, wake_at_ms = ?, reason = ?, data = ?, updated_ms = ?"
        " where name = ? and id = ? and version = ?",
        {state, instance.step, instance.round, instance.sent, instance.waiting, instance.wake_at_ms,
         instance.reason, instance.data, instance.updated_ms, plan_.name, instance.id,
         instance.version});
  }
  if (!saved) return std::unexpected(saved.error());
  if (*saved != 1)
    return fail(ErrorCode::kStoreFailed, "saga " + plan_.name + "/" + instance.id + " moved on");
  ++instance.version;
  if (instance.wake_at_ms > 0) {
    transaction.after_commit([this] {
      const std::scoped_lock lock{mutex_};
      ++changes_;
      changed_.notify_all();
    });
  }
  return {};
}

// --- Moves. Each leaves the instance as it is to be stored.

Handled SagaRunner::send(Work& work, SagaOut& out) {
  Instance& instance = work.instance;
  const CommandId id{.step = instance.step,
                     .is_undo = instance.state == SagaState::kUndoing,
                     .round = instance.round,
                     .instance = instance.id};
  std::size_t place = 0;
  for (Output& command : out.commands()) {
    command.draft.id = id.text(plan_.name, place++);
    if (plan_.answers == SagaAnswers::kReplies)
      command.draft.headers.emplace_back(kReplyTo, reply_topic());
  }
  for (Output& event : out.events())
    event.draft.id = id.text(plan_.name, place++) + "/" + event.draft.name;
  for (auto* outputs : {&out.commands(), &out.events()}) {
    for (Output& one : *outputs) {
      if (one.draft.key.empty()) one.draft.key = instance.id;
      const auto added =
          store_.outbox.add(work.transaction, one.topic, std::move(one.draft), work.cause);
      if (!added) return as_handled(added);
    }
  }
  return {};
}

/// Begins the step that the instance stands at, and those after it that wait for nobody.
Handled SagaRunner::act(Work& work) {
  Instance& instance = work.instance;
  const SagaPlan::Step& step = plan_.steps[instance.step];
  SagaOut out{names_};
  const StepSpan span{spans_, {plan_.name, step.name, instance.id, false}, work.cause.trace};
  if (auto acted = step.act(instance.data, out); !acted) return acted;
  span.end(work.transaction);
  instance.sent = static_cast<std::int64_t>(out.commands().size());
  instance.waiting = instance.sent;
  instance.wake_at_ms = step.timeout_ms > 0 ? wall_now_ms() + step.timeout_ms : 0;
  if (auto sent = send(work, out); !sent) return sent;
  return out.goes_on() ? next(work) : Handled{};
}

Handled SagaRunner::next(Work& work) {
  if (work.instance.step + 1 == plan_.steps.size()) return finish(work, SagaState::kDone);
  ++work.instance.step;
  return act(work);
}

/// Undoes the first `steps` steps, the last of them first.
Handled SagaRunner::undo_from(Work& work, std::size_t steps, std::string reason) {
  Instance& instance = work.instance;
  instance.reason = std::move(reason);
  instance.state = SagaState::kUndoing;
  instance.step = steps;
  return undo(work);
}

/// The next undo below the instance's step; with replies, one that sends something is waited for.
Handled SagaRunner::undo(Work& work) {
  Instance& instance = work.instance;
  while (instance.step > 0) {
    const SagaPlan::Step& step = plan_.steps[--instance.step];
    if (!step.undo) continue;
    SagaOut out{names_};
    const StepSpan span{spans_, {plan_.name, step.name, instance.id, true}, work.cause.trace};
    if (auto undone = step.undo(instance.data, out); !undone) return undone;
    span.end(work.transaction);
    instance.sent = static_cast<std::int64_t>(out.commands().size());
    instance.waiting = instance.sent;
    instance.wake_at_ms = step.timeout_ms > 0 ? wall_now_ms() + step.timeout_ms : 0;
    if (auto sent = send(work, out); !sent) return sent;
    if (plan_.answers == SagaAnswers::kReplies && instance.waiting > 0) return {};
  }
  return finish(work, SagaState::kUndone);
}

Handled SagaRunner::finish(Work& work, SagaState state) {
  Instance& instance = work.instance;
  instance.wake_at_ms = 0;
  instance.waiting = 0;
  if (plan_.finished) {
    SagaOut out{names_};
    if (auto told = plan_.finished(instance.data, state == SagaState::kDone, out); !told)
      return told;
    if (auto sent = send(work, out); !sent) return sent;
  }
  instance.state = state;
  return {};
}

void SagaRunner::get_stuck(Work& work, std::string reason) {
  work.instance.state = SagaState::kStuck;
  work.instance.reason = std::move(reason);
  work.instance.wake_at_ms = 0;
}

// --- Messages

Handled SagaRunner::begin_with(Transaction& transaction, const std::string& id, std::string data,
                               const Cause& cause) {
  const auto there = load(transaction, id);
  if (!there) return std::unexpected(HandlerFailure{there.error()});
  if (*there) return {};
  Instance instance{.id = id,
                    .data = std::move(data),
                    .correlation = cause.correlation_id,
                    .trace = cause.trace,
                    .actor = cause.actor};
  Work work{transaction, instance, cause};
  if (auto acted = act(work); !acted) return acted;
  return as_handled(save(transaction, instance));
}

Registration SagaRunner::registration() {
  std::vector<std::string> topics;
  for (const SagaPlan::Listener& listener : plan_.listeners) {
    const std::string topic = names_.topic_of(listener.type);
    if (std::ranges::find(topics, topic) == topics.end()) topics.push_back(topic);
  }
  if (plan_.answers == SagaAnswers::kReplies) topics.push_back(reply_topic());
  const Handler inner = [this](Context& context, const Message& message) {
    return handle(context, message);
  };
  return {.info = {.name = "saga." + plan_.name,
                   .group = "saga." + plan_.name,
                   .topics = std::move(topics)},
          .handler = [this, inner](Context& context, const Message& message) {
            if (context.find<Transaction>() != nullptr) return inner(context, message);
            return handle_in_transaction(store_.database, store_.inbox, store_.outbox, inner,
                                         context, message);
          }};
}

Handled SagaRunner::handle(Context& context, const Message& message) {
  if (plan_.answers == SagaAnswers::kReplies && message.topic() == reply_topic())
    return on_reply(context, message);
  for (const SagaPlan::Listener& listener : plan_.listeners) {
    if (!listener.accepts(message.name())) continue;
    if (auto handled = on_event(context, listener, message); !handled) return handled;
  }
  return {};
}

Handled SagaRunner::on_event(Context& context, const SagaPlan::Listener& listener,
                             const Message& message) {
  const auto id = listener.instance_of(message);
  if (!id) return give_up("Undecodable", id.error().detail);
  Transaction& transaction = transaction_of(context);
  if (listener.begin) {
    auto data = listener.begin(message);
    if (!data) return give_up("Undecodable", data.error().detail);
    return begin_with(transaction, *id, std::move(*data), context.cause());
  }
  auto loaded = load(transaction, *id);
  if (!loaded) return std::unexpected(HandlerFailure{loaded.error()});
  if (!*loaded || is_over((*loaded)->state)) return {};
  Instance& instance = **loaded;
  auto move = listener.react(instance.data, message);
  if (!move) return std::unexpected(std::move(move).error());
  Work work{transaction, instance, context.cause()};
  Handled moved;
  if (instance.state == SagaState::kRunning && move->to == SagaMove::To::kNext)
    moved = next(work);
  else if (instance.state == SagaState::kRunning && move->to == SagaMove::To::kBack)
    moved = undo_from(work, instance.step, std::move(move->reason));
  if (!moved) return moved;
  return as_handled(save(transaction, instance));
}

Handled SagaRunner::on_reply(Context& context, const Message& message) {
  const auto id = CommandId::parse(message.header(kReplyId).value_or(""), plan_.name);
  if (!id) return give_up("UnknownReply", "no command of this saga is answered");
  Transaction& transaction = transaction_of(context);
  auto loaded = load(transaction, id->instance);
  if (!loaded) return std::unexpected(HandlerFailure{loaded.error()});
  if (!*loaded) return {};
  Instance& instance = **loaded;
  const bool is_awaited =
      instance.step == id->step && instance.round == id->round && instance.waiting > 0 &&
      instance.state == (id->is_undo ? SagaState::kUndoing : SagaState::kRunning);
  if (!is_awaited) return {};
  Work work{transaction, instance, context.cause()};
  const bool success = message.header(kReplyOutcome) == kReplySuccess;
  if (success)
    for (const SagaPlan::ReplyReader& reader : plan_.reply_readers)
      if (reader.accepts(message.name()))
        if (auto read = reader.read(instance.data, message); !read) return read;
  Handled moved;
  if (!success) {
    const std::string reason = std::string{message.header(kReplyReason).value_or("")} + ": " +
                               std::string{message.header(kReplyText).value_or("")};
    if (id->is_undo)
      get_stuck(work, reason);
    else
      moved = undo_from(work, instance.step + (instance.sent > 1 ? 1 : 0), reason);
  } else if (--instance.waiting == 0) {
    moved = id->is_undo ? undo(work) : next(work);
  }
  if (!moved) return moved;
  return as_handled(save(transaction, instance));
}

// --- Time

Result<void> SagaRunner::time_is_over(const std::string& id, UnixMillis now_ms) {
  return store_.database.transact([&](Transaction& transaction) -> Result<void> {
    const auto due = transaction.rows(
        "select 1 from sagas where name = ? and id = ? and wake_at_ms between 1 and ?",
        {plan_.name, id, now_ms});
    if (!due) return std::unexpected(due.error());
    if (due->empty()) return {};
    auto loaded = load(transaction, id);
    if (!loaded) return std::unexpected(std::move(loaded).error());
    Instance& instance = **loaded;
    Work work{transaction, instance,
              Cause{.correlation_id = instance.correlation,
                    .trace = instance.trace,
                    .actor = instance.actor}};
    const std::string reason = "no answer to '" + plan_.steps[instance.step].name + "' in time";
    if (instance.state == SagaState::kUndoing) {
      get_stuck(work, reason);
    } else if (const auto moved = undo_from(work, instance.step + 1, reason); !moved) {
      return fail(ErrorCode::kTimeout, moved.error().text);
    }
    return save(transaction, instance);
  });
}

Result<std::size_t> SagaRunner::tick(UnixMillis now_ms) {
  const auto due = store_.database.read(
      "select id from sagas where name = ? and wake_at_ms between 1 and ? order by wake_at_ms"
      " limit 1000",
      {plan_.name, now_ms});
  if (!due) return std::unexpected(due.error());
  for (const Row& row : *due) MALLBOTS_TRY(time_is_over(std::string{row.text(0)}, now_ms));
  return due->size();
}

void SagaRunner::run(const std::stop_token& stop) {
  constexpr std::int64_t kRetryMs = 500;
  while (!stop.stop_requested()) {
    std::unique_lock lock{mutex_};
    const std::uint64_t seen = changes_;
    lock.unlock();
    const auto ticked = tick(wall_now_ms());
    const auto next = store_.database.read(
        "select min(wake_at_ms) from sagas where name = ? and wake_at_ms > 0", {plan_.name});
    std::optional<std::int64_t> patience;
    if (!ticked || !next)
      patience = kRetryMs;
    else if (!next->front().is_null(0))
      patience = std::max<std::int64_t>(next->front().integer(0) - wall_now_ms(), 1);
    lock.lock();
    const auto is_changed = [&] { return changes_ != seen; };
    if (patience)
      changed_.wait_for(lock, stop, std::chrono::milliseconds{*patience}, is_changed);
    else
      changed_.wait(lock, stop, is_changed);
  }
}

// --- What a person sees and does

SagaInstance SagaRunner::seen(const Instance& instance) const {
  return {.id = instance.id,
          .state = instance.state,
          .step = plan_.steps[instance.step].name,
          .reason = instance.reason,
          .data = instance.data,
          .version = instance.version,
          .updated_ms = instance.updated_ms};
}

Result<std::optional<SagaInstance>> SagaRunner::find(const std::string& id) {
  return store_.database.transact(
      [&](Transaction& transaction) -> Result<std::optional<SagaInstance>> {
        const auto loaded = load(transaction, id);
        if (!loaded) return std::unexpected(loaded.error());
        if (!*loaded) return std::nullopt;
        return seen(**loaded);
      });
}

Result<std::vector<SagaInstance>> SagaRunner::in_state(SagaState state) {
  return store_.database.transact(
      [&](Transaction& transaction) -> Result<std::vector<SagaInstance>> {
        const auto ids = transaction.rows(
            "select id from sagas where name = ? and state = ? order by updated_ms, id",
            {plan_.name, static_cast<int>(state)});
        if (!ids) return std::unexpected(ids.error());
        std::vector<SagaInstance> all;
        for (const Row& row : *ids) {
          const auto loaded = load(transaction, std::string{row.text(0)});
          if (!loaded) return std::unexpected(loaded.error());
          all.push_back(seen(**loaded));
        }
        return all;
      });
}

Result<SagaCounts> SagaRunner::counts() {
  const auto rows = store_.database.read(
      "select state, count(*), min(updated_ms) from sagas where name = ? and state in (?, ?, ?)"
      " group by state",
      {plan_.name, static_cast<int>(SagaState::kRunning), static_cast<int>(SagaState::kUndoing),
       static_cast<int>(SagaState::kStuck)});
  if (!rows) return std::unexpected(rows.error());
  SagaCounts counts;
  for (const Row& row : *rows) {
    const auto state = static_cast<SagaState>(row.integer(0));
    auto& count = state == SagaState::kRunning   ? counts.running
                  : state == SagaState::kUndoing ? counts.undoing
                                                 : counts.stuck;
    count = static_cast<std::uint64_t>(row.integer(1));
    counts.oldest_age_ms = std::max(counts.oldest_age_ms, wall_now_ms() - row.integer(2));
  }
  return counts;
}

Result<void> SagaRunner::resume(const std::string& id) {
  return store_.database.transact([&](Transaction& transaction) -> Result<void> {
    auto loaded = load(transaction, id);
    if (!loaded) return std::unexpected(std::move(loaded).error());
    if (!*loaded || (*loaded)->state != SagaState::kStuck)
      return fail(ErrorCode::kBadArgument, "saga " + plan_.name + "/" + id + " is not stuck");
    Instance& instance = **loaded;
    Work work{transaction, instance,
              Cause{.correlation_id = instance.correlation,
                    .trace = instance.trace,
                    .actor = instance.actor}};
    ++instance.round;
    if (const auto moved = undo_from(work, instance.step + 1, instance.reason); !moved)
      return fail(ErrorCode::kRefused, moved.error().text);
    return save(transaction, instance);
  });
}

Result<std::int64_t> SagaRunner::forget(std::int64_t age_ms) {
  return store_.database.transact([&](Transaction& transaction) {
    return transaction.run(
        "delete from sagas where name = ? and state in (?, ?) and updated_ms < ?",
        {plan_.name, static_cast<int>(SagaState::kDone), static_cast<int>(SagaState::kUndone),
         wall_now_ms() - age_ms});
  });
}

}  // namespace mallbots::toolkit
