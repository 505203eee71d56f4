#include "broker/streams/event_streams.h"

namespace mallbots::broker {

Result<void> EventStreams::start(const std::function<void(const std::string&)>& log_line) {
  for (Topic* const topic : parts_.topics.all()) {
    if (!topic->settings().events) continue;
    for (PartitionIndex i = 0; i < topic->partitions(); ++i) {
      auto streams = of(*topic, i);
      if (!streams) return std::unexpected(std::move(streams).error());
      const std::string& finding = (*streams)->how_started().finding;
      if (!finding.empty())
        log_line("streams of " + topic->name() + "/" + std::to_string(i) + ": " + finding);
    }
  }
  return {};
}

Result<PartitionStreams*> EventStreams::of(Topic& topic, PartitionIndex partition) {
  const Key key{topic.id(), partition};
  if (const auto found = streams_.find(key); found != streams_.end()) return found->second.get();
  auto begun =
      PartitionStreams::start({.disk = parts_.disk,
                               .partition = topic.partition(partition),
                               .epochs = parts_.topics.epochs(),
                               .folder = parts_.data.partition_folder(topic.id(), partition)});
  if (!begun) return std::unexpected(std::move(begun).error());
  return streams_.emplace(key, std::move(*begun)).first->second.get();
}

std::shared_ptr<Admission> EventStreams::admission_of(Topic& topic, PartitionIndex partition) {
  if (!topic.settings().events) return nullptr;
  const auto streams = of(topic, partition);
  if (streams) return (*streams)->admission();
  if (say_) say_("streams of " + topic.name() + ": " + streams.error().sentence());
  return nullptr;
}

void EventStreams::topic_gone(const Topic& topic) {
  for (auto next = streams_.begin(); next != streams_.end();) {
    const auto own = next++;
    if (own->first.first != topic.id()) continue;
    if (own->second->busy()) dying_.push_back(std::move(own->second));
    streams_.erase(own);
  }
}

void EventStreams::duty(BootNanos now) {
  std::erase_if(dying_, [](const auto& streams) { return !streams->busy(); });
  if (streams_.empty()) return;
  for (const auto& [key, streams] : streams_) {
    const auto failure = streams->duty(now);
    if (failure && say_) say_("checkpoint of streams not written: " + failure->sentence());
  }
  if (now < next_memory_look_) return;
  next_memory_look_ = now + kSecond;
  const bool may_grow = parts_.topics.memory_bytes() + memory_bytes() < parts_.memory_max_bytes;
  for (const auto& [key, streams] : streams_) streams->admission()->let_grow(may_grow);
}

bool EventStreams::drain(BootNanos now) {
  bool all = true;
  for (const auto& [key, streams] : streams_) all = streams->drain(now) && all;
  return all;
}

std::uint64_t EventStreams::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [key, streams] : streams_) bytes += streams->table().memory_bytes();
  return bytes;
}

std::uint64_t EventStreams::memory_bytes(const Topic& topic) const {
  std::uint64_t bytes = 0;
  for (const auto& [key, streams] : streams_)
    if (key.first == topic.id()) bytes += streams->table().memory_bytes();
  return bytes;
}

std::uint64_t EventStreams::records_read() const {
  std::uint64_t count = 0;
  for (const auto& [key, streams] : streams_) count += streams->how_started().records;
  return count;
}

std::uint64_t EventStreams::streams() const {
  std::uint64_t count = 0;
  for (const auto& [key, streams] : streams_) count += streams->table().streams();
  return count;
}

}  // namespace mallbots::broker
