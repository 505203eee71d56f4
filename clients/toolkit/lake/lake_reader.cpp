#include "clients/toolkit/lake/lake_reader.h"

#include <algorithm>
#include <optional>

#include "clients/admin.h"
#include "clients/connection.h"

namespace mallbots::toolkit {

Result<std::unique_ptr<TopicReader>> LakeReader::open(const std::string& folder,
                                                      const client::ConnectionOptions& where,
                                                      const std::vector<std::string>& topics) {
  const auto connection = client::Connection::open(where);
  if (!connection) return std::unexpected(connection.error());
  std::map<std::string, std::uint64_t> logs;
  for (const std::string& topic : topics) {
    const auto described = client::Admin{**connection}.describe_topic(topic);
    if (!described) return std::unexpected(described.error());
    logs[topic] = described->topic_id;
  }
  auto live = LogReader::open(where, topics);
  if (!live) return std::unexpected(std::move(live).error());
  auto reader = std::make_unique<LakeReader>(folder, std::move(logs), std::move(*live));
  const auto partitions = reader->partitions();
  if (!partitions) return std::unexpected(partitions.error());
  for (const client::TopicPartition& partition : *partitions)
    MALLBOTS_TRY(reader->seek(partition, 0));
  return reader;
}

Result<std::optional<LakeStream>> LakeReader::find(const Place& place, Offset next) const {
  const auto log = logs_.find(place.first);
  if (log == logs_.end()) return std::nullopt;
  auto files = folder_.files();
  if (!files) return std::unexpected(std::move(files).error());
  std::erase_if(*files, [&](const LakeFile& file) {
    return file.topic != place.first || file.log != log->second || file.partition != place.second;
  });
  if (files->empty() || files->back().next <= next) return std::nullopt;
  LakeStream stream{std::move(*files)};
  stream.seek(next);
  return stream;
}

Result<void> LakeReader::seek(const client::TopicPartition& partition, Offset next) {
  const Place place{partition.topic, partition.partition};
  old_.erase(place);
  auto stream = find(place, next);
  if (!stream) return std::unexpected(std::move(stream).error());
  if (!*stream) return live_->seek(partition, next);
  old_.emplace(place, Old{std::move(**stream), next});
  return {};
}

Result<std::span<const client::Message>> LakeReader::read(Deadline deadline,
                                                          std::size_t max_records) {
  given_.clear();
  kept_.clear();
  kept_.reserve(max_records);
  while (!old_.empty() && kept_.size() < max_records) {
    auto& [place, old] = *old_.begin();
    const auto message = old.stream.next();
    if (!message && kept_.empty()) return std::unexpected(message.error());
    if (!message) break;  // what was read before it, first
    if (*message != nullptr) {
      kept_.emplace_back(**message);
      old.next = (*message)->offset + 1;
      continue;
    }
    // What was archived meanwhile, else the log.
    const Offset next = std::max(old.next, old.stream.end());
    MALLBOTS_TRY(seek({place.first, place.second}, next));
  }
  if (kept_.empty()) return live_->read(deadline, max_records);
  for (const client::OwnedMessage& message : kept_) given_.push_back(message.view());
  return given_;
}

}  // namespace mallbots::toolkit
