// A TopicReader over an in-process bus that keeps everything: for views without a broker. It takes
// no part in any group. One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/views/topic_reader.h"

namespace mallbots::test {

class BusReader : public toolkit::TopicReader {
 public:
  BusReader(toolkit::InProcessBus& bus, const std::vector<std::string>& topics) : bus_(&bus) {
    for (const std::string& topic : topics) topics_.try_emplace(topic);
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
      topic.messages = bus_->records(name);
      while (topic.next < topic.messages.size() && given_.size() < max_records)
        given_.push_back(topic.messages[topic.next++].view());
    }
    return given_;
  }
  Result<Offset> end(const client::TopicPartition& partition) override {
    return bus_->records(partition.topic).size();
  }

 private:
  struct Topic {
    std::vector<client::OwnedMessage> messages;
    Offset next = 0;
  };
  toolkit::InProcessBus* bus_;
  std::map<std::string, Topic> topics_;
  std::vector<client::Message> given_;
};

}  // namespace mallbots::test
