// ClientTest: a daemon of its own and short words for what most client tests do.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "tests/support/daemon.h"

namespace mallbots::test {

#define ASSERT_OK(result)                          \
  if (const auto& outcome_ = (result); outcome_) { \
  } else                                           \
    FAIL() << #result << ": " << outcome_.error().sentence()
#define EXPECT_OK(result) EXPECT_TRUE((result).has_value()) << (result).error().sentence()

class ClientTest : public testing::Test {
 protected:
  explicit ClientTest(DaemonOptions options = {}) : daemon_(std::move(options)) {}
  void SetUp() override { ASSERT_TRUE(daemon_.start()) << daemon_.log(); }

  [[nodiscard]] std::unique_ptr<client::Connection> connect(
      client::Waiting waiting = client::Waiting::kHybrid) const {
    auto connection = client::Connection::open(
        {.runtime_dir = daemon_.runtime_dir(), .name = "test", .waiting = waiting});
    if (!connection) ADD_FAILURE() << connection.error().sentence();
    return connection ? std::move(*connection) : nullptr;
  }

  /// Small slots and segments, so that records leave memory soon.
  static void create(client::Connection& connection, const std::string& topic,
                     std::uint32_t partitions = 1,
                     std::vector<client::TopicSetting> settings = {}) {
    settings.insert(settings.begin(), {"slot.bytes", "65536"});
    const auto created = client::Admin{connection}.create_topic(topic, partitions, settings);
    ASSERT_OK(created);
  }

  [[nodiscard]] static std::unique_ptr<client::Producer> producer(client::Connection& connection,
                                                                  const std::string& topic) {
    auto opened = client::Producer::open(connection, topic);
    if (!opened) ADD_FAILURE() << opened.error().sentence();
    return opened ? std::move(*opened) : nullptr;
  }

  [[nodiscard]] static std::unique_ptr<client::Consumer> consumer(
      client::Connection& connection, const client::ConsumerOptions& options = {}) {
    auto opened = client::Consumer::open(connection, options);
    if (!opened) ADD_FAILURE() << opened.error().sentence();
    return opened ? std::move(*opened) : nullptr;
  }

  /// Appends "0", "1", ... `count` of them, from `first` on, to partition 0.
  static void append_numbers(client::Producer& producer, int first, int count,
                             std::size_t padding = 0) {
    for (int i = first; i < first + count; ++i) {
      const std::string text = std::to_string(i) + std::string(padding, ' ');
      const auto receipt = producer.append({.payload = client::as_bytes(text)}, {.partition = 0});
      ASSERT_OK(receipt);
    }
  }

  /// The payloads read until `count` of them came or the time is over; setbacks end it.
  [[nodiscard]] static std::vector<std::string> read(client::Consumer& consumer, std::size_t count,
                                                     std::int64_t limit_ms = 10'000) {
    std::vector<std::string> all;
    const Deadline deadline = Deadline::after_ms(limit_ms);
    while (all.size() < count && !deadline.has_passed()) {
      const auto batch = consumer.poll(Deadline::after_ms(100), count - all.size());
      if (!batch) {
        ADD_FAILURE() << batch.error().sentence();
        return all;
      }
      for (const client::Message& message : *batch) all.emplace_back(message.text());
    }
    return all;
  }

  [[nodiscard]] static std::vector<std::string> numbers(int first, int count,
                                                        std::size_t padding = 0) {
    std::vector<std::string> all;
    for (int i = first; i < first + count; ++i)
      all.push_back(std::to_string(i) + std::string(padding, ' '));
    return all;
  }

  Daemon daemon_;
};

}  // namespace mallbots::test
