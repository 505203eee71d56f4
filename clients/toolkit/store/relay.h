// Relay: brings what the outbox holds to the bus. It wakes when a transaction commits; there is no
// polling, but a pass over what is there at the start and, after a failure, another one later.
//
//   Relay relay{*database, *outbox, bus};
//   std::jthread thread{[&](std::stop_token stop) { relay.run(stop); }};
//
// What is promised: messages of one topic are published in the order of commits, in batches; a
// message is marked only after the bus has acknowledged it durably, so one that was published when
// the relay died is published again, under the same id. A topic that cannot be published to keeps
// its messages and nobody else's, and is tried again with a growing delay. What no bus will ever
// take (TooLarge, BadTopicName, Corrupt) is set aside with the reason, counted
// (OutboxBacklog::refused), and does not hold up what follows.
//
// Who calls: one thread per database at a time. The marks are not flushed (Durability::kProcess): a
// power cut makes the relay publish once more.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/middleware/tracing.h"
#include "clients/toolkit/store/outbox.h"

namespace mallbots::toolkit {

struct RelayOptions {
  std::size_t batch = 256;  ///< messages of one publication
  /// A publication stays below it, but for a message that is larger alone.
  std::size_t batch_bytes = 256 * 1024;
  /// How long a published message stays in the table, to be looked at; 0: deleted at once.
  std::int64_t keep_published_ms = 0;
  /// After a failed publication of a topic.
  Redelivery retry{.first_ms = 50, .factor = 2.0, .max_ms = 5'000};
  /// Gets a span "TOPIC relay" for each try of each message with a trace, a child of the span that
  /// put it into the outbox, with `outbox.waited_ms`. Null: none are made.
  SpanRecorder* spans = nullptr;
};

class Relay {
 public:
  Relay(Database& database, Outbox& outbox, Publisher& bus, const RelayOptions& options = {})
      : database_(&database), outbox_(&outbox), bus_(&bus), options_(options) {}

  /// Publishes and marks until stopped; errors are counted, kept (last_error) and tried again.
  void run(const std::stop_token& stop);
  /// One pass: a batch of every topic that waits and is not put off. Gives how many messages were
  /// published. Errors: those of Database. A refusal of the bus is no error of the pass.
  [[nodiscard]] Result<std::size_t> run_once();

  // --- What an operator watches; any thread.
  [[nodiscard]] std::uint64_t published() const;
  [[nodiscard]] std::uint64_t failures() const;
  [[nodiscard]] std::string last_error() const;

 private:
  struct Batch;
  struct PutOff {
    std::uint32_t failures = 0;
    BootNanos until_ns = 0;
  };

  [[nodiscard]] Result<std::vector<std::string>> waiting_topics() const;
  [[nodiscard]] Result<Batch> next_batch(const std::string& topic) const;
  [[nodiscard]] Result<std::size_t> relay_topic(const std::string& topic);
  [[nodiscard]] Result<void> publish(const Batch& batch);
  [[nodiscard]] Result<void> publish_records(const Batch& batch);
  [[nodiscard]] Result<void> mark(const Batch& batch);
  [[nodiscard]] Result<void> set_aside(const Batch& batch, const Error& reason);
  void put_off(const std::string& topic, const Error& error);
  void note(const Error& error);
  /// Until the first topic that is put off may be tried; nothing: none is.
  [[nodiscard]] std::optional<std::int64_t> patience_ms() const;

  Database* database_;
  Outbox* outbox_;
  Publisher* bus_;
  RelayOptions options_;
  std::map<std::string, PutOff> put_off_;
  mutable std::mutex mutex_;  ///< the rest
  std::uint64_t published_ = 0;
  std::uint64_t failures_ = 0;
  std::string last_error_;
};

}  // namespace mallbots::toolkit
