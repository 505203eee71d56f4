// A TopicReader over an in-process bus that keeps everything: for views without a broker. It reads
// through a group of its own into memory and serves from there, so that it can seek. One thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/views/topic_reader.h"

namespace mallbots::test {

class BusReader final : public toolkit::TopicReader {
 public:
  BusReader(toolkit::InProcessBus& bus, const std::vector<std::string>& topics) {
    static std::atomic<int> readers = 0;
    const std::string group = "bus-reader-" + std::to_string(++readers);
    for (const std::string& topic : topics)
      topics_[topic].subscription =
          bus.subscribe({.topics = {topic}, .group = group + topic}).value();
  }

  Result<std::vector<client::TopicPartition>> partitions() override {
    std::vector<client::TopicPartition> all;
    for (const auto& [name, topic] : topics_) all.push_back({name, 0});
    return all;
  }
  Result<void> seek(const client::TopicPartition& partition, Offset next) override {
    topics_.at(partition.topic).next = next;
    return {};
  }
  Result<std::span<const client::Message>> read(Deadline, std::size_t max_records) override {
    given_.clear();
    for (auto& [name, topic] : topics_) {
      topic.fill();
      while (topic.next < topic.messages.size() && given_.size() < max_records)
        given_.push_back(topic.messages[topic.next++]->view());
    }
    return given_;
  }
  Result<Offset> end(const client::TopicPartition& partition) override {
    Topic& topic = topics_.at(partition.topic);
    topic.fill();
    return topic.messages.size();
  }

 private:
  struct Topic {
    void fill() {
      for (;;) {
        auto delivery = subscription->receive(Deadline::passed());
        if (!delivery || !*delivery) return;
        messages.push_back(std::make_unique<client::OwnedMessage>((*delivery)->message()));
        static_cast<void>((*delivery)->ack());
      }
    }
    std::unique_ptr<toolkit::Subscription> subscription;
    std::vector<std::unique_ptr<client::OwnedMessage>> messages;
    Offset next = 0;
  };
  std::map<std::string, Topic> topics_;
  std::vector<client::Message> given_;
};

}  // namespace mallbots::test
