// LogBus: a bus that survives its processes, in a SQLite file: so that a test can kill a whole
// service, its relay in the middle of a publication included, and start it again. Reading begins
// where the reader says; a service that starts anew reads everything again.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/store/database.h"
#include "clients/toolkit/store/internal/header_block.h"
#include "clients/toolkit/views/topic_reader.h"

namespace mallbots::test {

class LogBus final : public toolkit::Publisher {
 public:
  explicit LogBus(const std::string& path) : log_(toolkit::Database::open({.path = path}).value()) {
    static_cast<void>(log_->ensure(
        "create table if not exists log (topic text, offset integer, key blob, payload blob,"
        " headers blob, primary key (topic, offset))"));
  }

  Result<void> publish(const std::string& topic, std::span<const client::Record> records,
                       const toolkit::PublishOptions& = {}) override {
    return log_->transact([&](toolkit::Transaction& transaction) -> Result<void> {
      for (const client::Record& record : records)
        MALLBOTS_TRY(transaction.run(
            "insert into log select ?1, coalesce(max(offset) + 1, 0), ?2, ?3, ?4 from log"
            " where topic = ?1",
            {topic, record.key, record.payload,
             client::as_bytes(toolkit::pack_headers(record.headers).value())}));
      return {};
    });
  }

  [[nodiscard]] std::vector<client::OwnedMessage> read(const std::string& topic, Offset from) {
    std::vector<client::OwnedMessage> all;
    const auto rows = log_->read(
        "select offset, key, payload, headers from log where topic = ? and offset >= ?"
        " order by offset",
        {topic, from});
    for (const toolkit::Row& row : *rows) {
      const auto headers = toolkit::unpack_headers(row.text(3)).value();
      all.push_back(
          client::as_message(
              {.payload = row.bytes(2), .key = row.bytes(1), .headers = headers},
              {.topic = topic, .offset = static_cast<Offset>(row.integer(0)), .timestamp_ms = 1})
              .value());
    }
    return all;
  }
  [[nodiscard]] std::int64_t size() {
    return log_->read("select count(*) from log")->front().integer(0);
  }

 private:
  std::unique_ptr<toolkit::Database> log_;
};

class LogBusReader final : public toolkit::TopicReader {
 public:
  LogBusReader(LogBus& bus, std::string topic) : bus_(&bus), topic_(std::move(topic)) {}

  Result<std::vector<client::TopicPartition>> partitions() override {
    return std::vector<client::TopicPartition>{{topic_, 0}};
  }
  Result<void> seek(const client::TopicPartition&, Offset next) override {
    next_ = next;
    return {};
  }
  Result<std::span<const client::Message>> read(Deadline, std::size_t max_records) override {
    held_ = bus_->read(topic_, next_);
    held_.resize(std::min(held_.size(), max_records));
    given_.clear();
    for (const client::OwnedMessage& message : held_) given_.push_back(message.view());
    next_ += given_.size();
    return given_;
  }
  Result<Offset> end(const client::TopicPartition&) override {
    return bus_->read(topic_, 0).size();
  }

 private:
  LogBus* bus_;
  std::string topic_;
  Offset next_ = 0;
  std::vector<client::OwnedMessage> held_;
  std::vector<client::Message> given_;
};

}  // namespace mallbots::test
