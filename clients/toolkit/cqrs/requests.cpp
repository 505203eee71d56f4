#include "clients/toolkit/cqrs/requests.h"

#include <chrono>

namespace mallbots::toolkit {

void Requests::expect(const std::string& id) {
  const std::scoped_lock lock{mutex_};
  expected_.try_emplace(id);
}

void Requests::give_up_on(const std::string& id) {
  const std::scoped_lock lock{mutex_};
  expected_.erase(id);
}

Result<client::OwnedMessage> Requests::wait_for(const std::string& id, Deadline deadline) {
  std::unique_lock lock{mutex_};
  const auto is_here = [&] { return expected_.at(id) != nullptr; };
  if (deadline.is_never())
    arrived_.wait(lock, is_here);
  else
    arrived_.wait_for(lock, std::chrono::nanoseconds{deadline.remaining_ns()}, is_here);
  const auto reply = std::move(expected_.extract(id).mapped());
  lock.unlock();
  if (reply == nullptr) return fail(ErrorCode::kTimeout, "no reply to request " + id);
  const client::Message& message = reply->view();
  if (message.header(kReplyOutcome) == kReplyFailure)
    return fail(ErrorCode::kRefused, std::string{message.header(kReplyReason).value_or("")} + ": " +
                                         std::string{message.header(kReplyText).value_or("")});
  return std::move(*reply);
}

void Requests::take(const Message& message) {
  const std::scoped_lock lock{mutex_};
  const auto found = expected_.find(std::string{message.header(kReplyId).value_or("")});
  if (found == expected_.end() || found->second != nullptr) {
    ++late_;
    return;
  }
  found->second = std::make_unique<client::OwnedMessage>(message.record());
  arrived_.notify_all();
}

Registration Requests::registration() {
  return {.info = {.name = "requests." + reply_topic_,
                   .group = reply_topic_ + ".requests",
                   .topics = {reply_topic_}},
          .handler = [this](Context&, const Message& message) -> Handled {
            take(message);
            return {};
          }};
}

std::uint64_t Requests::late() const {
  const std::scoped_lock lock{mutex_};
  return late_;
}

}  // namespace mallbots::toolkit
