#include "clients/toolkit/views/topic_reader.h"

#include <algorithm>

#include "clients/admin.h"

namespace mallbots::toolkit {
namespace {

constexpr std::int64_t kEndMs = 5'000;

}  // namespace

Result<std::unique_ptr<TopicReader>> LogReader::open(const client::ConnectionOptions& where,
                                                     const std::vector<std::string>& topics,
                                                     const LogReaderOptions& options) {
  std::unique_ptr<LogReader> reader{new LogReader};
  auto connection = client::Connection::open(where);
  if (!connection) return std::unexpected(std::move(connection).error());
  reader->connection_ = std::move(*connection);
  // A view that runs ahead of the flush would hold what a power cut takes back from the log.
  auto consumer = client::Consumer::open(
      *reader->connection_,
      {.read = client::ReadLevel::kDurable, .internal_events = options.internal_events});
  if (!consumer) return std::unexpected(std::move(consumer).error());
  reader->consumer_ = std::move(*consumer);
  for (const std::string& topic : topics)
    MALLBOTS_TRY(reader->consumer_->assign(topic, {}, client::Start::oldest()));
  return reader;
}

Result<std::vector<client::TopicPartition>> LogReader::partitions() {
  return consumer_->assignment();
}

Result<void> LogReader::seek(const client::TopicPartition& partition, Offset next) {
  const auto range = consumer_->range(partition);
  if (!range) return std::unexpected(range.error());
  return consumer_->seek(partition, client::Start::offset(std::max(next, range->start)));
}

Result<std::span<const client::Message>> LogReader::read(Deadline deadline,
                                                         std::size_t max_records) {
  return consumer_->poll(deadline, max_records);
}

Result<Offset> LogReader::end(const client::TopicPartition& partition) {
  const auto topic =
      client::Admin{*connection_}.describe_topic(partition.topic, Deadline::after_ms(kEndMs));
  if (!topic) return std::unexpected(topic.error());
  for (const client::PartitionDescription& one : topic->partitions)
    if (one.partition == partition.partition) return one.end_offset;
  return fail(ErrorCode::kBadPartition,
              partition.topic + "/" + std::to_string(partition.partition));
}

}  // namespace mallbots::toolkit
