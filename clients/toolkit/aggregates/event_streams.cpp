#include "clients/toolkit/aggregates/event_streams.h"

namespace mallbots::toolkit {

Result<std::vector<StoredEvent>> MemoryStreams::read(const std::string& stream,
                                                     std::uint64_t after) {
  const std::scoped_lock lock{mutex_};
  const auto& events = streams_[stream];
  std::vector<StoredEvent> read;
  for (std::uint64_t version = after + 1; version <= events.size(); ++version)
    read.push_back({version, events[version - 1]});
  return read;
}

Result<std::uint64_t> MemoryStreams::append(const std::string& stream, std::uint64_t seen,
                                            std::span<const NewEvent> events) {
  const std::scoped_lock lock{mutex_};
  auto& all = streams_[stream];
  if (all.size() != seen)
    return fail(ErrorCode::kConflict, "stream '" + stream + "' has version " +
                                          std::to_string(all.size()) + ", seen was " +
                                          std::to_string(seen));
  std::vector<client::OwnedMessage> made;
  for (const NewEvent& event : events) {
    auto message = client::as_message(DraftRecord{event.draft}.record(),
                                      {.topic = stream, .offset = all.size() + made.size()});
    if (!message) return std::unexpected(std::move(message).error());
    made.push_back(std::move(*message));
  }
  for (client::OwnedMessage& message : made) all.push_back(std::move(message));
  return all.size();
}

Result<std::optional<StoredSnapshot>> MemoryStreams::snapshot(const std::string& stream) {
  const std::scoped_lock lock{mutex_};
  const auto found = snapshots_.find(stream);
  if (found == snapshots_.end()) return std::nullopt;
  return found->second;
}

Result<void> MemoryStreams::save_snapshot(const std::string& stream,
                                          const StoredSnapshot& snapshot) {
  const std::scoped_lock lock{mutex_};
  snapshots_[stream] = snapshot;
  return {};
}

}  // namespace mallbots::toolkit
