// Streams whose append is the publication, as the broker's event topics are: in memory, and on an
// in-process bus. Any thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "clients/toolkit/aggregates/event_streams.h"
#include "clients/toolkit/in_process_bus.h"

namespace mallbots::test {

struct PublishingOptions {
  std::function<std::string(const std::string& stream)> topic_of;
  bool internal_events = false;  ///< as a reader sees it that asks for them
};

class PublishingStreams final : public toolkit::EventStreams {
 public:
  PublishingStreams(toolkit::InProcessBus& bus, PublishingOptions options)
      : bus_(&bus), options_(std::move(options)) {}

  Result<std::vector<toolkit::StoredEvent>> read(const std::string& stream,
                                                 std::uint64_t after) override {
    return memory_.read(stream, after);
  }
  Result<std::uint64_t> append(const std::string& stream, std::uint64_t seen,
                               std::span<const toolkit::NewEvent> events) override {
    auto version = memory_.append(stream, seen, events);
    if (!version) return version;
    for (const toolkit::NewEvent& event : events) {
      if (event.is_internal && !options_.internal_events) continue;
      toolkit::Draft draft = event.draft;
      draft.key = stream;
      EXPECT_TRUE(toolkit::publish(*bus_, options_.topic_of(stream), {&draft, 1}));
    }
    return version;
  }
  Result<std::optional<toolkit::StoredSnapshot>> snapshot(const std::string& stream) override {
    return memory_.snapshot(stream);
  }
  Result<void> save_snapshot(const std::string& stream,
                             const toolkit::StoredSnapshot& snapshot) override {
    return memory_.save_snapshot(stream, snapshot);
  }

 private:
  toolkit::MemoryStreams memory_;
  toolkit::InProcessBus* bus_;
  PublishingOptions options_;
};

}  // namespace mallbots::test
