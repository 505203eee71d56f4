#include "services/gateways/kiosk/submissions.h"

#include "services/payments/contract.h"

namespace mallbots::kiosk {
namespace {

constexpr const char* kSchema =
    "create table if not exists submissions ("
    " key text primary key, cart_id text not null, body text not null, payment_id text not null,"
    " customer_id text not null, state integer not null, refusal text not null,"
    " refusal_status integer not null, touched_ms integer not null) strict;"
    "create index if not exists submissions_by_state on submissions (state, touched_ms)";
constexpr const char* kColumns =
    "select key, cart_id, body, payment_id, customer_id, state, refusal, refusal_status"
    " from submissions ";

Submission submission_from(const toolkit::Row& row) {
  return {std::string(row.text(0)), std::string(row.text(1)),
          std::string(row.text(2)), std::string(row.text(3)),
          std::string(row.text(4)), static_cast<Submission::State>(row.integer(5)),
          std::string(row.text(6)), static_cast<int>(row.integer(7))};
}

int number(Submission::State state) { return static_cast<int>(state); }

}  // namespace

Result<std::unique_ptr<Submissions>> Submissions::open(Units units) {
  MALLBOTS_TRY(units.database().ensure(kSchema));
  return std::unique_ptr<Submissions>(new Submissions(units));
}

Outcome<std::optional<Submission>> Submissions::find(const std::string& key) const {
  MALLBOTS_OUTCOME(rows, units_.database().read(std::string(kColumns) + "where key = ?", {key}));
  if (rows->empty()) return std::nullopt;
  return submission_from(rows->front());
}

Outcome<Submission> Submissions::begin(const Submission& wanted, std::int64_t now_ms) {
  return units_.run({}, [&](Unit& unit) -> Outcome<Submission> {
    MALLBOTS_OUTCOME(put, unit.transaction.run(
                              "insert into submissions values (?, ?, ?, ?, ?, ?, '', 0, ?)"
                              " on conflict (key) do update set touched_ms = excluded.touched_ms",
                              {wanted.key, wanted.cart_id, wanted.body, wanted.payment_id,
                               wanted.customer_id, number(Submission::State::kOpen), now_ms}));
    MALLBOTS_OUTCOME(rows,
                     unit.transaction.rows(std::string(kColumns) + "where key = ?", {wanted.key}));
    return submission_from(rows->front());
  });
}

Outcome<void> Submissions::done(const std::string& key) {
  // Lost in a power cut, it is found out again from the cart.
  return units_.database().transact(
      [&](toolkit::Transaction& transaction) -> Outcome<void> {
        MALLBOTS_OUTCOME(put, transaction.run("update submissions set state = ? where key = ?",
                                              {number(Submission::State::kDone), key}));
        return {};
      },
      toolkit::Durability::kProcess);
}

Outcome<void> Submissions::refuse(const Submission& refused) {
  return units_.run({}, [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(
        put, unit.transaction.run(
                 "update submissions set state = ?, refusal = ?, refusal_status = ?"
                 " where key = ? and state = ?",
                 {number(Submission::State::kRefused), refused.refusal, refused.refusal_status,
                  refused.key, number(Submission::State::kOpen)}));
    if (*put == 0) return {};
    paymentsapi::ReleasePayment command;
    command.set_id(refused.payment_id);
    command.set_order_id(refused.cart_id);
    command.set_customer_id(refused.customer_id);
    toolkit::OutboxPublisher publisher(unit.outbox, unit.transaction);
    MALLBOTS_OUTCOME(sent, toolkit::CommandBus(payments::topic_names()).send(publisher, command));
    return {};
  });
}

Outcome<std::vector<Submission>> Submissions::left_open_since(std::int64_t then_ms) const {
  MALLBOTS_OUTCOME(
      rows, units_.database().read(std::string(kColumns) + "where state = ? and touched_ms < ?"
                                                           " order by touched_ms limit 100",
                                   {number(Submission::State::kOpen), then_ms}));
  std::vector<Submission> found;
  for (const toolkit::Row& row : *rows) found.push_back(submission_from(row));
  return found;
}

Outcome<void> Submissions::forget_ended_before(std::int64_t then_ms) {
  return units_.run({}, [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(
        gone, unit.transaction.run("delete from submissions where state <> ? and touched_ms < ?",
                                   {number(Submission::State::kOpen), then_ms}));
    return {};
  });
}

}  // namespace mallbots::kiosk
