#include "clients/queue_consumer.h"

#include <algorithm>

#include "clients/internal/queue_member.h"

namespace mallbots::client {

class QueueConsumer::Impl {
 public:
  Impl(Link& link, const QueueConsumerOptions& options) : member_(link, options) {}
  QueueMember member_;
};

QueueConsumer::QueueConsumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
QueueConsumer::~QueueConsumer() {
  // A broker that does not answer finds out when the session ends.
  static_cast<void>(impl_->member_.leave(Deadline::after_ms(1'000)));
}

QueueToken QueueMessage::token() const {
  const Message& view = message.view();
  return {std::string{view.topic}, view.partition, view.offset, attempt, view.topic_id};
}

Result<std::unique_ptr<QueueConsumer>> QueueConsumer::open(Connection& connection,
                                                           const QueueConsumerOptions& options) {
  if (options.max_in_flight == 0)
    return fail(ErrorCode::kBadArgument, "a member with nothing in flight gets nothing");
  return std::unique_ptr<QueueConsumer>{
      new QueueConsumer(std::make_unique<Impl>(connection.link(), options))};
}

Result<void> QueueConsumer::subscribe(std::span<const std::string> topics,
                                      const std::string& group) {
  return impl_->member_.join(topics, group);
}

Result<void> QueueConsumer::unsubscribe() { return impl_->member_.leave(impl_->member_.usual()); }

Result<std::vector<QueueMessage>> QueueConsumer::poll(Deadline deadline, std::size_t max_messages) {
  return impl_->member_.poll(deadline, std::max<std::size_t>(max_messages, 1));
}

void QueueConsumer::wait(Deadline deadline) const { impl_->member_.wait(deadline); }

Result<void> QueueConsumer::ack(const QueueToken& token) {
  return impl_->member_.settle(token, {.outcome = shm::Outcome::kAck});
}

Result<void> QueueConsumer::nack(const QueueToken& token, std::uint32_t delay_ms,
                                 const QueueFailure& failure) {
  if (delay_ms > QueueMember::kMaxDelayMs)
    return fail(ErrorCode::kBadArgument,
                "a delay of " + std::to_string(delay_ms) + " ms; at most 24 h are allowed");
  return impl_->member_.settle(
      token, {.outcome = shm::Outcome::kNack, .delay_ms = delay_ms, .failure = failure});
}

Result<void> QueueConsumer::reject(const QueueToken& token, const QueueFailure& failure) {
  return impl_->member_.settle(token, {.outcome = shm::Outcome::kReject, .failure = failure});
}

Result<void> QueueConsumer::extend(const QueueToken& token) {
  return impl_->member_.settle(token, {.outcome = shm::Outcome::kExtend});
}

Result<void> QueueConsumer::release(const QueueToken& token) {
  return impl_->member_.settle(token, {.outcome = shm::Outcome::kReturn});
}

Result<void> QueueConsumer::flush(Deadline deadline) { return impl_->member_.flush(deadline); }

Result<void> QueueConsumer::pump() { return impl_->member_.pump(Deadline::passed()); }

bool QueueConsumer::is_unconfirmed(const QueueToken& token) const {
  return impl_->member_.is_unconfirmed(token);
}

std::vector<FailedSettlement> QueueConsumer::take_failures() {
  return impl_->member_.take_failures();
}

std::size_t QueueConsumer::in_flight() const noexcept { return impl_->member_.in_flight(); }

}  // namespace mallbots::client
