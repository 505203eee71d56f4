// StoreStreams: streams of one event topic of the broker (type=events).
//
// Who calls: any thread; calls wait for each other. The connection must outlive it. An append is
// durable when it returns. Errors: those of client::EventStore. InDoubt (the broker died within the
// append) is not decided again by itself: load, and see by the command whether it happened.
#pragma once

#include <memory>
#include <mutex>

#include "clients/event_store.h"
#include "clients/toolkit/aggregates/event_streams.h"

namespace mallbots::toolkit {

class StoreStreams final : public EventStreams {
 public:
  [[nodiscard]] static Result<std::unique_ptr<StoreStreams>> open(client::Connection& connection,
                                                                  const std::string& topic);

  [[nodiscard]] Result<std::vector<StoredEvent>> read(const std::string& stream,
                                                      std::uint64_t after) override;
  [[nodiscard]] Result<std::uint64_t> append(const std::string& stream, std::uint64_t seen,
                                             std::span<const NewEvent> events) override;
  [[nodiscard]] Result<std::optional<StoredSnapshot>> snapshot(const std::string& stream) override;
  [[nodiscard]] Result<void> save_snapshot(const std::string& stream,
                                           const StoredSnapshot& snapshot) override;

 private:
  explicit StoreStreams(std::unique_ptr<client::EventStore> store) : store_(std::move(store)) {}
  std::mutex mutex_;
  std::unique_ptr<client::EventStore> store_;
};

}  // namespace mallbots::toolkit
