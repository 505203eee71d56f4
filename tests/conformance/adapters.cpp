#include "tests/conformance/adapters.h"

#include <unistd.h>

#include <algorithm>

namespace mallbots::test {

Result<std::unique_ptr<toolkit::Subscription>> QueueSubscriber::subscribe(
    const toolkit::SubscribeOptions& options) {
  toolkit::SubscribeOptions queue = options;
  queue.mode = toolkit::GroupMode::kQueue;
  queue.lock_ms = options.max_poll_interval_ms;
  return bus_->subscribe(queue);
}

Result<std::unique_ptr<client::EventStore>> EventPublisher::take(const std::string& topic) {
  {
    const std::scoped_lock lock{mutex_};
    if (auto& idle = idle_[topic]; !idle.empty()) {
      auto store = std::move(idle.back());
      idle.pop_back();
      return store;
    }
  }
  return client::EventStore::open(*connection_, topic);
}

std::string EventPublisher::stream_of(const client::Record& record) {
  if (!record.key.empty()) return std::string{client::as_text(record.key)};
  return "unnamed-" + std::to_string(getpid()) + "-" + std::to_string(++unnamed_);
}

Result<void> EventPublisher::publish(const std::string& topic,
                                     std::span<const client::Record> records,
                                     const toolkit::PublishOptions& options) {
  auto store = take(topic);
  if (!store) return std::unexpected(std::move(store).error());
  std::vector<std::pair<std::string, std::vector<client::Event>>> streams;  // as they first came
  for (const client::Record& record : records) {
    const std::string name = stream_of(record);
    auto stream = std::ranges::find(streams, name, [](const auto& one) { return one.first; });
    if (stream == streams.end()) stream = streams.insert(streams.end(), {name, {}});
    stream->second.push_back({.payload = record.payload, .headers = record.headers});
  }
  for (const auto& [name, events] : streams) {
    const auto appended = (*store)->append(name, client::Expected::any(), events,
                                           {.deadline = options.deadline, .acks = options.acks});
    if (!appended) return std::unexpected(appended.error());
  }
  const std::scoped_lock lock{mutex_};
  idle_[topic].push_back(std::move(*store));
  return {};
}

}  // namespace mallbots::test
