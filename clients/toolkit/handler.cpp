#include "clients/toolkit/handler.h"

#include <algorithm>

namespace mallbots::toolkit {

std::unexpected<HandlerFailure> try_again(std::string type, std::string text,
                                          std::optional<std::int64_t> delay_ms) {
  return std::unexpected(
      HandlerFailure{std::move(type), std::move(text), Again::kCounted, delay_ms});
}

std::unexpected<HandlerFailure> give_up(std::string type, std::string text) {
  return std::unexpected(HandlerFailure{std::move(type), std::move(text), Again::kNever});
}

std::unexpected<HandlerFailure> not_now(std::string type, std::string text, std::int64_t delay_ms) {
  return std::unexpected(
      HandlerFailure{std::move(type), std::move(text), Again::kUncounted, delay_ms});
}

// --- Context

void Context::complete(Draft& draft) {
  const Cause& from = cause();
  const std::uint64_t number = published_++;
  if (draft.id.empty())
    draft.id = derived_message_id(from.causation_id, around_->handler->group, number);
  fill(draft, from);
}

void Context::publish(std::string topic, Draft draft) {
  complete(draft);
  outputs_.push_back({std::move(topic), std::move(draft)});
}

Result<void> Context::publish_now(const std::string& topic, Draft draft) {
  complete(draft);
  return toolkit::publish(*around_->bus, topic, {&draft, 1});
}

const Cause& Context::cause() {
  if (!cause_) cause_ = message_->as_cause();
  return *cause_;
}

void Context::set_trace(std::string trace) {
  static_cast<void>(cause());
  cause_->trace = std::move(trace);
}

bool Context::is_cancelled() const noexcept {
  return around_->cancelled.stop_requested() ||
         (deadline_ns_ != kNever && clock().now_ns() >= deadline_ns_);
}

bool Context::wait_ms(std::int64_t milliseconds) {
  const BootNanos until = clock().now_ns() + std::max<std::int64_t>(milliseconds, 0) * kMillisecond;
  return clock().pause_until(std::min(until, deadline_ns_), around_->cancelled) && !is_cancelled();
}

void Context::put(const void* type, void* value) {
  const auto found = std::ranges::find(values_, type, &std::pair<const void*, void*>::first);
  if (found != values_.end())
    found->second = value;
  else
    values_.emplace_back(type, value);
}

void* Context::find(const void* type) const noexcept {
  const auto found = std::ranges::find(values_, type, &std::pair<const void*, void*>::first);
  return found == values_.end() ? nullptr : found->second;
}

}  // namespace mallbots::toolkit
