// EventStreams: where aggregates keep their events: rows of events with versions 1, 2, 3 ..., and
// an append that says which version it has seen last. StoreStreams is the one over the broker's
// event topics, MemoryStreams the double of one process.
//
// Who calls: any thread. An append is all or nothing, and durable when it returns (but in memory).
// Errors: Conflict (the stream has another version; nothing was appended), and those of what is
// behind it.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clients/toolkit/message.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

struct NewEvent {
  Draft draft;  ///< filled
  bool is_internal = false;
};

struct StoredEvent {
  std::uint64_t version = 0;
  client::OwnedMessage message;
};

struct StoredSnapshot {
  std::uint64_t version = 0;  ///< of the last event that is in it
  std::string payload;
};

class EventStreams {
 public:
  virtual ~EventStreams() = default;
  /// Events behind version `after`, ascending; none: there are no more.
  [[nodiscard]] virtual Result<std::vector<StoredEvent>> read(const std::string& stream,
                                                              std::uint64_t after) = 0;
  /// `seen`: the version of the last event, 0 if there is no stream yet. Gives the new one.
  [[nodiscard]] virtual Result<std::uint64_t> append(const std::string& stream, std::uint64_t seen,
                                                     std::span<const NewEvent> events) = 0;
  [[nodiscard]] virtual Result<std::optional<StoredSnapshot>> snapshot(
      const std::string& stream) = 0;
  [[nodiscard]] virtual Result<void> save_snapshot(const std::string& stream,
                                                   const StoredSnapshot& snapshot) = 0;
};

class MemoryStreams final : public EventStreams {
 public:
  [[nodiscard]] Result<std::vector<StoredEvent>> read(const std::string& stream,
                                                      std::uint64_t after) override;
  [[nodiscard]] Result<std::uint64_t> append(const std::string& stream, std::uint64_t seen,
                                             std::span<const NewEvent> events) override;
  [[nodiscard]] Result<std::optional<StoredSnapshot>> snapshot(const std::string& stream) override;
  [[nodiscard]] Result<void> save_snapshot(const std::string& stream,
                                           const StoredSnapshot& snapshot) override;

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<client::OwnedMessage>> streams_;
  std::map<std::string, StoredSnapshot> snapshots_;
};

}  // namespace mallbots::toolkit
