#include "services/gateways/fleet/outgoing.h"

#include <algorithm>
#include <vector>

namespace mallbots::fleet {
namespace {

constexpr std::size_t kBatch = 256;

}  // namespace

void Outgoing::add(const char* topic, const std::string& key, std::string payload) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kRoom) waiting_.pop_front();
  waiting_.push_back({topic, key, std::move(payload)});
  changed_.notify_one();
}

void Outgoing::run(const std::stop_token& stop) {
  for (;;) {
    std::deque<One> all;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
      all.swap(waiting_);
    }
    while (!all.empty()) publish(all);
    if (stop.stop_requested()) return;
  }
}

/// The next ones of one topic.
void Outgoing::publish(std::deque<One>& all) {
  const std::string topic = all.front().topic;
  std::size_t count = 0;
  while (count < std::min(all.size(), kBatch) && all[count].topic == topic) ++count;
  std::vector<client::Record> records;
  for (std::size_t i = 0; i < count; ++i) {
    records.push_back({.payload = std::as_bytes(std::span{all[i].payload}),
                       .key = std::as_bytes(std::span{all[i].key})});
  }
  const auto sent = bus_->publish(topic, records, {.acks = client::Acks::kCommitted});
  if (!sent && log_) {
    log_({toolkit::Severity::kWarning,
          "records for robots were not sent",
          {{"topic", topic}, {"problem", sent.error().sentence()}}});
  }
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace mallbots::fleet
