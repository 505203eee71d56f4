// TopicReader: some topics, read in order from any position; what a view is fed from. LogReader is
// the one over the broker; an archive may be another.
//
// Who calls: one thread. Order holds within a partition. Views into messages are valid until the
// next call. Errors: those of client::Consumer; setbacks (is_setback) are told once, then reading
// goes on.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "clients/connection.h"
#include "clients/consumer.h"

namespace mallbots::toolkit {

class TopicReader {
 public:
  virtual ~TopicReader() = default;
  [[nodiscard]] virtual Result<std::vector<client::TopicPartition>> partitions() = 0;
  /// Reads on there; at the oldest record that is kept if `next` is older.
  [[nodiscard]] virtual Result<void> seek(const client::TopicPartition& partition, Offset next) = 0;
  /// Up to `max_records` messages, none when the deadline passes.
  [[nodiscard]] virtual Result<std::span<const client::Message>> read(Deadline deadline,
                                                                      std::size_t max_records) = 0;
  /// Offset of the next record that will be appended. Somebody watches a view with it: it does not
  /// wait long for a broker that is away (LogReader: at most 5 s).
  [[nodiscard]] virtual Result<Offset> end(const client::TopicPartition& partition) = 0;
};

struct LogReaderOptions {
  bool internal_events = false;  ///< also those that a context keeps to itself: for its own views
};

/// All partitions of topics of a broker, durable records only. The topics must exist.
class LogReader final : public TopicReader {
 public:
  /// Opens a connection of its own with these options.
  [[nodiscard]] static Result<std::unique_ptr<TopicReader>> open(
      const client::ConnectionOptions& where, const std::vector<std::string>& topics,
      const LogReaderOptions& options = {});

  [[nodiscard]] Result<std::vector<client::TopicPartition>> partitions() override;
  [[nodiscard]] Result<void> seek(const client::TopicPartition& partition, Offset next) override;
  [[nodiscard]] Result<std::span<const client::Message>> read(Deadline deadline,
                                                              std::size_t max_records) override;
  [[nodiscard]] Result<Offset> end(const client::TopicPartition& partition) override;

 private:
  LogReader() = default;
  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<client::Consumer> consumer_;
};

}  // namespace mallbots::toolkit
