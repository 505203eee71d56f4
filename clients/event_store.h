// EventStore: the streams of one event topic (type=events): append with optimistic concurrency,
// read forward and backward from any version, snapshots, truncation, deletion.
//
// A stream is a row of events with an id of 1 to 200 bytes of UTF-8 (a leading '$' is MallBots'
// own). Its events have the versions 1, 2, 3 ... without holes, over deletion and new creation too.
// A stream comes into being with its first event. Streams of one partition share one log, whose
// order a plain Consumer reads; it gets public events only, unless ConsumerOptions asks for
// internal ones. The key of an event's record is the stream's id.
//
// Who calls: one thread at a time per object; any number of objects and processes of one machine
// append to the same stream side by side, and Expected decides. Needs the right to produce
// to the topic and to consume it.
//
// What a completed append promises, by `acks`: as Producer; `durable` is the default here. All
// events of an append are there or none, with consecutive versions. Conflict tells the truth of the
// moment at which it was decided: conflict() has the stream's version then; nothing was appended.
// Any other error but NotDurable and InDoubt: nothing was appended.
//
// What a read promises: all events up to the stream's last version at the time of the call, none
// twice, none left out but those that retention or truncation took (the oldest ones). With
// `durable` (the default) it returns when a power cut cannot take them back any more.
//
// Errors: Conflict, UnknownStream, BadStreamId, BadPosition (a version in the future), TooLarge,
// Timeout, NotDurable, InDoubt, LimitReached (2^32 - 1 events), MemoryFull (no room for new
// streams), DiskFull, Damaged, Corrupt, TopicGone, Revoked, ConnectionLost, NotPermitted,
// BadArgument (also: the topic is not one of events). Detail texts name topic and stream.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/connection.h"
#include "clients/message.h"
#include "clients/producer.h"

namespace mallbots::client {

/// 0: of a stream without events.
using StreamVersion = std::uint64_t;

/// What is to be appended. Spans are read during the call only.
struct Event {
  std::span<const std::byte> payload{};
  std::span<const Header> headers{};
  std::string_view trace_context{};  ///< W3C traceparent, 55 characters, or empty
  bool is_internal = false;          ///< its context keeps it to itself: readers of the stream only
};

/// What an append wants to find.
struct Expected {
  enum class Kind : std::uint8_t { kAny = 1, kNone, kExists, kVersion };
  Kind kind = Kind::kAny;
  StreamVersion version = 0;

  [[nodiscard]] static Expected any() noexcept { return {}; }
  /// No stream of that id, or a deleted one (which is created anew, its versions going on).
  [[nodiscard]] static Expected none() noexcept { return {Kind::kNone, 0}; }
  [[nodiscard]] static Expected exists() noexcept { return {Kind::kExists, 0}; }
  /// The last event has this version; 0 is the same as none().
  [[nodiscard]] static Expected at(StreamVersion version) noexcept {
    return {Kind::kVersion, version};
  }
};

struct StreamInfo {
  enum class State : std::uint8_t { kNone, kExists, kDeleted };
  State state = State::kNone;
  StreamVersion version = 0;       ///< of the last event there ever was
  StreamVersion first = 1;         ///< of the first event that is to be read; above `version`: none
  Offset last_offset = kNoOffset;  ///< of the last event
  [[nodiscard]] std::uint64_t events() const noexcept {
    return first > version ? 0 : version - first + 1;
  }
};

struct StreamOptions {
  /// Until when to wait; nothing: 30 s from the call on.
  std::optional<Deadline> deadline{};
  Acks acks = Acks::kDurable;  ///< kNone is refused
};

struct StreamReceipt {
  Receipt receipt;            ///< of the events' records
  StreamVersion version = 0;  ///< of the last one
};

struct StreamRead {
  StreamVersion from = 0;   ///< 0: the first event there is, or backward the last one
  std::size_t count = 256;  ///< at most; one page is kept in memory
  bool durable = true;
  std::optional<Deadline> deadline{};
};

struct StreamEvent {
  StreamVersion version = 0;
  OwnedMessage message;
};

struct Snapshot {
  StreamVersion version = 0;  ///< of the last event that is in it
  OwnedMessage message;       ///< its payload is what was saved
};

/// One row of a list of streams.
struct StreamRow {
  std::string id;
  StreamInfo info;
  PartitionIndex partition = 0;
};
/// Where a list of streams goes on; a fresh one begins it.
struct StreamListPosition {
  PartitionIndex partition = 0;
  std::uint32_t number = 0;
  bool at_end = false;
};

/// The version of an event that a Consumer got; nothing: the record is no event of a stream.
[[nodiscard]] std::optional<StreamVersion> stream_version(const Message& message) noexcept;

class EventStore {
 public:
  /// Errors: UnknownTopic, NotPermitted, BadTopicName, ConnectionLost; BadArgument if the topic is
  /// not one of events.
  [[nodiscard]] static Result<std::unique_ptr<EventStore>> open(Connection& connection,
                                                                const std::string& topic);
  EventStore(const EventStore&) = delete;
  EventStore& operator=(const EventStore&) = delete;
  ~EventStore();

  /// 1 to kMaxBatch events, their bytes bounded by the topic's record.max.
  [[nodiscard]] Result<StreamReceipt> append(std::string_view stream, Expected expected,
                                             std::span<const Event> events,
                                             const StreamOptions& options = {});
  /// What the stream was when the last Conflict was decided.
  [[nodiscard]] const StreamInfo& conflict() const noexcept;

  /// Without I/O. Of a stream that never was: state kNone, version 0.
  [[nodiscard]] Result<StreamInfo> look_up(std::string_view stream,
                                           std::optional<Deadline> deadline = {});
  /// Ascending from `from` on, which may be one behind the last version: nothing is there yet.
  [[nodiscard]] Result<std::vector<StreamEvent>> read(std::string_view stream,
                                                      const StreamRead& options = {});
  /// Descending from `from` on.
  [[nodiscard]] Result<std::vector<StreamEvent>> read_backward(std::string_view stream,
                                                               const StreamRead& options = {});

  /// Events below version `before` are not to be read any more; for good.
  [[nodiscard]] Result<StreamReceipt> truncate_before(std::string_view stream, StreamVersion before,
                                                      const StreamOptions& options = {});
  /// The stream keeps its version: created anew, it goes on behind it. Its snapshots go with it.
  /// Consumers get a tombstone. UnknownStream: there is none, or it is deleted already.
  [[nodiscard]] Result<StreamReceipt> remove(std::string_view stream, Expected expected,
                                             const StreamOptions& options = {});

  /// Keeps what a reader would have to make of all events up to `version`.
  [[nodiscard]] Result<StreamReceipt> save_snapshot(std::string_view stream, StreamVersion version,
                                                    std::span<const std::byte> payload,
                                                    const StreamOptions& options = {});
  /// The one saved last; nothing: there is none.
  [[nodiscard]] Result<std::optional<Snapshot>> load_snapshot(
      std::string_view stream, std::optional<Deadline> deadline = {});

  /// A page of all streams, those of MallBots' own and deleted ones included, in the order in which
  /// they came; reads one record each. Streams whose last record retention has taken have no id any
  /// more: it is empty.
  [[nodiscard]] Result<std::vector<StreamRow>> list(StreamListPosition& position,
                                                    std::size_t count = 256,
                                                    std::optional<Deadline> deadline = {});

  [[nodiscard]] const std::string& topic() const noexcept;
  [[nodiscard]] PartitionIndex partitions() const noexcept;
  /// XXH3-64 of the id (seed 0) modulo partitions.
  [[nodiscard]] PartitionIndex partition_of(std::string_view stream) const noexcept;

 private:
  class Impl;
  explicit EventStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots::client
