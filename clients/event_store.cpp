#include "clients/event_store.h"

#include <algorithm>
#include <charconv>

#include "clients/internal/appending.h"
#include "clients/internal/link.h"
#include "clients/internal/record_buffer.h"
#include "clients/internal/record_finder.h"
#include "clients/internal/ring_sender.h"
#include "shm/layout/stream.h"

namespace mallbots::client {
namespace {

constexpr std::int64_t kPatienceMs = 30'000;
constexpr std::string_view kSnapshotPrefix = "$snapshot/";
constexpr std::string_view kSnapshotVersion = "snapshot-version";
constexpr std::uint32_t kListPage = 1024;

static_assert(kSnapshotPrefix.size() + shm::kMaxStreamIdBytes <= shm::kMaxSystemStreamIdBytes);

Deadline deadline_of(const std::optional<Deadline>& deadline) {
  return deadline ? *deadline : Deadline::after_ms(kPatienceMs);
}

StreamInfo info_of(StreamVersion version, std::span<const std::uint64_t> extras) {
  StreamInfo info{.version = version,
                  .first = extras[shm::kFirstVersionExtra],
                  .last_offset = extras[shm::kLastOffsetExtra]};
  const auto condition = static_cast<shm::StreamCondition>(extras[shm::kStreamStateExtra]);
  info.state = condition == shm::StreamCondition::kExists    ? StreamInfo::State::kExists
               : condition == shm::StreamCondition::kDeleted ? StreamInfo::State::kDeleted
                                                             : StreamInfo::State::kNone;
  return info;
}

std::string state_text(const StreamInfo& info) {
  switch (info.state) {
    case StreamInfo::State::kNone:
      return "does not exist";
    case StreamInfo::State::kDeleted:
      return "is deleted; its last version was " + std::to_string(info.version);
    case StreamInfo::State::kExists:
      break;
  }
  return "is at version " + std::to_string(info.version);
}

std::string expected_text(Expected expected) {
  switch (expected.kind) {
    case Expected::Kind::kAny:
      return "anything";
    case Expected::Kind::kNone:
      return "no stream";
    case Expected::Kind::kExists:
      return "a stream";
    case Expected::Kind::kVersion:
      break;
  }
  return "version " + std::to_string(expected.version);
}

Result<void> check_user_id(std::string_view stream) {
  if (!stream.empty() && stream.front() == shm::kSystemStreamMark)
    return fail(ErrorCode::kBadStreamId, "ids that begin with '$' are MallBots' own");
  return {};
}

/// True of the first event of a stream, also of one that was deleted and is created anew.
bool begins_stream(const Message& message) noexcept {
  const auto links = shm::event_links(message.attributes);
  return links && links->predecessor == kNoOffset;
}

}  // namespace

std::optional<StreamVersion> stream_version(const Message& message) noexcept {
  const auto links = shm::event_links(message.attributes);
  if (!links || message.is_tombstone) return std::nullopt;
  return links->version;
}

class EventStore::Impl {
 public:
  Impl(Connection& connection, std::unique_ptr<TopicMemory> topic)
      : topic_(std::move(topic)), rings_(*topic_, 0), finder_(connection.link(), topic_->name()) {}

  struct Call {
    shm::StreamRequest kind;
    std::string_view stream;
    Expected expected{};
    std::span<const shm::RecordInput> records{};
  };
  Result<StreamReceipt> change(const Call& call, const StreamOptions& options);
  Result<StreamReceipt> append(std::string_view stream, Expected expected,
                               std::span<const Event> events, const StreamOptions& options);
  Result<StreamInfo> look_up(std::string_view stream, Deadline deadline);
  /// Newest first.
  Result<std::vector<StreamEvent>> read(std::string_view stream, const StreamRead& options,
                                        bool backward);
  Result<std::vector<StreamRow>> list(StreamListPosition& position, std::size_t count,
                                      Deadline deadline);

  [[nodiscard]] PartitionIndex partition_of(std::string_view stream) const noexcept {
    const auto bytes = as_bytes(stream);
    return static_cast<PartitionIndex>(xxh3(bytes) % topic_->partitions());
  }
  [[nodiscard]] std::string named(std::string_view stream) const {
    return topic_->name() + ": stream '" + std::string{stream} + "'";
  }

  std::unique_ptr<TopicMemory> topic_;
  StreamInfo conflict_;

 private:
  struct Range {
    StreamVersion low, high;
  };
  Result<RingAnswer> ask(const Call& call, const StreamOptions& options);
  Error refusal(const Call& call, const shm::IngestOutcome& outcome);
  Result<StreamVersion> version_of(PartitionIndex partition, Offset offset, std::size_t records,
                                   Deadline deadline);
  Result<void> wait_durable(const Receipt& receipt, Deadline deadline);
  Result<std::optional<Range>> range_of(std::string_view stream, const StreamInfo& info,
                                        const StreamRead& options, bool backward) const;
  Result<std::vector<StreamEvent>> collect(std::string_view stream, const StreamInfo& info,
                                           Range range, const StreamRead& options);
  Result<std::string> id_at(PartitionIndex partition, Offset offset, Deadline deadline);

  RingSender rings_;
  RecordFinder finder_;
  RecordBuffer buffer_;
  std::vector<Record> records_;
};

// Appending
// -----------------------------------------------------------------------------------------

Result<RingAnswer> EventStore::Impl::ask(const Call& call, const StreamOptions& options) {
  RingRequest request{.kind = static_cast<shm::IngestKind>(call.kind),
                      .records = call.records,
                      .request = as_bytes(call.stream),
                      .await_durable = options.acks == Acks::kDurable};
  const bool truncates = call.kind == shm::StreamRequest::kTruncate;
  request.arguments[0] =
      truncates ? call.expected.version : static_cast<std::uint64_t>(call.expected.kind);
  request.arguments[1] = call.expected.version;
  return rings_.send(partition_of(call.stream), request, deadline_of(options.deadline));
}

Error EventStore::Impl::refusal(const Call& call, const shm::IngestOutcome& outcome) {
  const auto code = static_cast<ErrorCode>(outcome.code);
  const StreamInfo info = info_of(outcome.value, outcome.extras);
  switch (code) {
    case ErrorCode::kConflict:
      conflict_ = info;
      return {code, named(call.stream) + " " + state_text(info) + ", expected was " +
                        expected_text(call.expected)};
    case ErrorCode::kUnknownStream:
      return {code, named(call.stream) + " " + state_text(info)};
    case ErrorCode::kBadPosition:
      return {code, named(call.stream) + " " + state_text(info) + ", version " +
                        std::to_string(call.expected.version) + " is in the future"};
    case ErrorCode::kUnsupported:
      return {ErrorCode::kBadArgument, "topic " + topic_->name() + " does not have type=events"};
    default:
      return {code, named(call.stream)};
  }
}

/// Of the last of so many records; for answers that do not tell.
Result<StreamVersion> EventStore::Impl::version_of(PartitionIndex partition, Offset offset,
                                                   std::size_t records, Deadline deadline) {
  const auto first = finder_.at(partition, offset, deadline);
  if (!first) return std::unexpected(first.error());
  const auto version =
      shm::attribute_number((*first)->attributes, shm::AttributeId::kStreamVersion);
  return version.value_or(0) + records - 1;
}

Result<StreamReceipt> EventStore::Impl::change(const Call& call, const StreamOptions& options) {
  if (options.acks == Acks::kNone)
    return fail(ErrorCode::kBadArgument, "acks=none: an append to a stream has an outcome");
  StreamOptions until = options;
  until.deadline = deadline_of(options.deadline);
  const PartitionIndex partition = partition_of(call.stream);
  for (;;) {
    const auto outcome = ask(call, until);
    if (!outcome) return std::unexpected(outcome.error());
    if (outcome->code != 0) return std::unexpected(refusal(call, *outcome));
    StreamReceipt made{.receipt = {.partition = partition,
                                   .offset = outcome->value,
                                   .records = static_cast<std::uint32_t>(call.records.size()),
                                   .timestamp_ms = outcome->timestamp_ms,
                                   .log_epoch = outcome->log_epoch},
                       .version = outcome->extras[0]};
    if (options.acks == Acks::kDurable) {
      const auto waited = wait_durable(made.receipt, *until.deadline);
      // Taken back with the memory: it is not in the log, so it may be decided again.
      if (!waited && waited.error().code == ErrorCode::kTruncated && !until.deadline->has_passed())
        continue;
      if (!waited) return std::unexpected(waited.error());
    }
    if (made.version == 0) {  // the broker was replaced before it answered
      const auto version =
          version_of(partition, made.receipt.offset, call.records.size(), *until.deadline);
      if (!version) return std::unexpected(version.error());
      made.version = *version;
    }
    return made;
  }
}

Result<StreamReceipt> EventStore::Impl::append(std::string_view stream, Expected expected,
                                               std::span<const Event> events,
                                               const StreamOptions& options) {
  if (events.empty() || events.size() > kMaxBatch)
    return fail(ErrorCode::kBadArgument,
                std::to_string(events.size()) + " events in one append; 1 to 65536 are possible");
  records_.resize(events.size());
  for (std::size_t i = 0; i < events.size(); ++i)
    records_[i] = {.payload = events[i].payload,
                   .headers = events[i].headers,
                   .trace_context = events[i].trace_context};
  const auto encoded = buffer_.encode(records_);
  if (!encoded) return std::unexpected(encoded.error());
  for (std::size_t i = 0; i < events.size(); ++i)
    if (events[i].is_internal) buffer_.set_flags(i, shm::kInternalEvent);
  return change({shm::StreamRequest::kAppend, stream, expected, *encoded}, options);
}

Result<void> EventStore::Impl::wait_durable(const Receipt& receipt, Deadline deadline) {
  if (topic_->has(shm::TopicFlag::kMemoryOnly)) return {};
  const PartitionIndex partition = receipt.partition;
  const bool asks = topic_->board(partition).durable_offset.load() <= receipt.last_offset();
  if (asks && topic_->knock(partition) == nullptr)
    static_cast<void>(rings_.ask_for_flush(partition));
  return wait_until_durable(*topic_, receipt, deadline, [&] {
    static_cast<void>(rings_.refresh(Deadline::after_ms(kAttemptMs)));
  });
}

Result<StreamInfo> EventStore::Impl::look_up(std::string_view stream, Deadline deadline) {
  const Call call{shm::StreamRequest::kLookUp, stream};
  const auto outcome = ask(call, {.deadline = deadline, .acks = Acks::kCommitted});
  if (!outcome) return std::unexpected(outcome.error());
  if (outcome->code != 0) return std::unexpected(refusal(call, *outcome));
  return info_of(outcome->value, outcome->extras);
}

// Reading: by jumps to the highest version asked for, then event by event
// -----------------------------------------------------------------------------------------

Result<std::optional<EventStore::Impl::Range>> EventStore::Impl::range_of(std::string_view stream,
                                                                          const StreamInfo& info,
                                                                          const StreamRead& options,
                                                                          bool backward) const {
  if (info.state != StreamInfo::State::kExists)
    return fail(ErrorCode::kUnknownStream, named(stream) + " " + state_text(info));
  if (options.from > info.version + (backward ? 0 : 1))
    return fail(ErrorCode::kBadPosition, named(stream) + " " + state_text(info) + ", version " +
                                             std::to_string(options.from) + " is in the future");
  if (options.count == 0) return std::nullopt;
  Range range{info.first, info.version};
  if (backward) {
    if (options.from != 0) range.high = options.from;
    if (range.high >= options.count)
      range.low = std::max(range.low, range.high - options.count + 1);
  } else {
    range.low = std::max(range.low, options.from);
    if (range.high >= range.low && range.high - range.low >= options.count)
      range.high = range.low + options.count - 1;
  }
  if (range.low > range.high) return std::nullopt;
  return range;
}

Result<std::vector<StreamEvent>> EventStore::Impl::collect(std::string_view stream,
                                                           const StreamInfo& info, Range range,
                                                           const StreamRead& options) {
  const PartitionIndex partition = partition_of(stream);
  const Deadline deadline = deadline_of(options.deadline);
  std::vector<StreamEvent> events;
  Offset offset = info.last_offset;
  for (StreamVersion version = info.version; offset != kNoOffset;) {
    const auto found = finder_.at(partition, offset, deadline);
    if (!found) {
      if (found.error().code == ErrorCode::kEvicted) break;  // and all before it
      return std::unexpected(found.error());
    }
    const Message& message = **found;
    const auto links = shm::event_links(message.attributes);
    if (!links || links->version != version || message.key_text() != stream)
      return fail(ErrorCode::kCorrupt, named(stream) + ": offset " + std::to_string(offset) +
                                           " is not its version " + std::to_string(version));
    if (version <= range.high) {
      if (events.empty() && options.durable)
        MALLBOTS_TRY(wait_durable({.partition = partition,
                                   .offset = offset,
                                   .records = 1,
                                   .log_epoch = topic_->board(partition).log_epoch},
                                  deadline));
      events.push_back({version, message.copy()});
      if (version == range.low) break;
      offset = links->predecessor;
      --version;
      continue;
    }
    StreamVersion next = shm::step_towards(range.high, version);
    if (next != version - 1 && links->jump == kNoOffset) next = version - 1;
    offset = next == version - 1 ? links->predecessor : links->jump;
    version = next;
  }
  return events;
}

Result<std::vector<StreamEvent>> EventStore::Impl::read(std::string_view stream,
                                                        const StreamRead& options, bool backward) {
  const auto info = look_up(stream, deadline_of(options.deadline));
  if (!info) return std::unexpected(info.error());
  const auto range = range_of(stream, *info, options, backward);
  if (!range) return std::unexpected(range.error());
  if (!*range) return std::vector<StreamEvent>{};
  return collect(stream, *info, **range, options);
}

// Listing
// -----------------------------------------------------------------------------------------

Result<std::string> EventStore::Impl::id_at(PartitionIndex partition, Offset offset,
                                            Deadline deadline) {
  if (offset == kNoOffset) return std::string{};
  const auto found = finder_.at(partition, offset, deadline);
  if (found) return std::string{(*found)->key_text()};
  const ErrorCode code = found.error().code;
  if (code == ErrorCode::kEvicted || code == ErrorCode::kDamaged) return std::string{};
  return std::unexpected(found.error());
}

Result<std::vector<StreamRow>> EventStore::Impl::list(StreamListPosition& position,
                                                      std::size_t count, Deadline deadline) {
  std::vector<StreamRow> rows;
  while (!position.at_end && rows.size() < count) {
    if (position.partition >= topic_->partitions()) {
      position.at_end = true;
      break;
    }
    const auto page = topic_->link().ask<shm::ListStreamsReply>(
        shm::ListStreams{topic_->topic_id(), position.partition, position.number}, deadline);
    if (!page) return std::unexpected(page.error());
    std::uint32_t taken = 0;
    for (const shm::StreamRow& row : page->streams) {
      if (rows.size() == count) break;
      auto id = id_at(position.partition, row.last_offset, deadline);
      if (!id) return std::unexpected(std::move(id).error());
      const auto state = row.deleted ? StreamInfo::State::kDeleted : StreamInfo::State::kExists;
      rows.push_back({std::move(*id),
                      {state, row.version, row.first_version, row.last_offset},
                      position.partition});
      ++taken;
    }
    position.number += taken;
    if (taken == page->streams.size() && !page->more) {
      ++position.partition;
      position.number = 0;
      position.at_end = position.partition == topic_->partitions();
    }
  }
  return rows;
}

// The public face
// -----------------------------------------------------------------------------------------

EventStore::EventStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventStore::~EventStore() = default;

Result<std::unique_ptr<EventStore>> EventStore::open(Connection& connection,
                                                     const std::string& topic) {
  const Deadline deadline = Deadline::after_ms(connection.options().reconnect_timeout_ms);
  auto memory = TopicMemory::open(connection.link(), topic, shm::Intent::kProduce, deadline);
  if (!memory) return std::unexpected(std::move(memory).error());
  if (!(*memory)->has(shm::TopicFlag::kEvents))
    return fail(ErrorCode::kBadArgument, "topic " + topic + " does not have type=events");
  return std::unique_ptr<EventStore>{
      new EventStore{std::make_unique<Impl>(connection, std::move(*memory))}};
}

Result<StreamReceipt> EventStore::append(std::string_view stream, Expected expected,
                                         std::span<const Event> events,
                                         const StreamOptions& options) {
  MALLBOTS_TRY(check_user_id(stream));
  return impl_->append(stream, expected, events, options);
}

const StreamInfo& EventStore::conflict() const noexcept { return impl_->conflict_; }

Result<StreamInfo> EventStore::look_up(std::string_view stream, std::optional<Deadline> deadline) {
  return impl_->look_up(stream, deadline_of(deadline));
}

Result<std::vector<StreamEvent>> EventStore::read(std::string_view stream,
                                                  const StreamRead& options) {
  auto events = impl_->read(stream, options, false);
  if (events) std::reverse(events->begin(), events->end());
  return events;
}

Result<std::vector<StreamEvent>> EventStore::read_backward(std::string_view stream,
                                                           const StreamRead& options) {
  return impl_->read(stream, options, true);
}

Result<StreamReceipt> EventStore::truncate_before(std::string_view stream, StreamVersion before,
                                                  const StreamOptions& options) {
  MALLBOTS_TRY(check_user_id(stream));
  const shm::RecordInput note{};
  return impl_->change({shm::StreamRequest::kTruncate, stream, Expected::at(before), {&note, 1}},
                       options);
}

Result<StreamReceipt> EventStore::remove(std::string_view stream, Expected expected,
                                         const StreamOptions& options) {
  MALLBOTS_TRY(check_user_id(stream));
  const shm::RecordInput note{};
  auto removed =
      impl_->change({shm::StreamRequest::kRemove, stream, expected, {&note, 1}}, options);
  if (!removed) return removed;
  // One that outlives a crash in between is known as another stream's (load_snapshot).
  const std::string snapshots = std::string{kSnapshotPrefix} + std::string{stream};
  const auto gone =
      impl_->change({shm::StreamRequest::kRemove, snapshots, Expected::any(), {&note, 1}}, options);
  if (!gone && gone.error().code != ErrorCode::kUnknownStream) return std::unexpected(gone.error());
  return removed;
}

Result<StreamReceipt> EventStore::save_snapshot(std::string_view stream, StreamVersion version,
                                                std::span<const std::byte> payload,
                                                const StreamOptions& options) {
  MALLBOTS_TRY(check_user_id(stream));
  const auto info = look_up(stream, options.deadline);
  if (!info) return std::unexpected(info.error());
  if (info->state != StreamInfo::State::kExists)
    return fail(ErrorCode::kUnknownStream, impl_->named(stream) + " " + state_text(*info));
  if (version > info->version)
    return fail(ErrorCode::kBadPosition, impl_->named(stream) + " " + state_text(*info) +
                                             ", version " + std::to_string(version) +
                                             " is in the future");
  const std::string text = std::to_string(version);
  const Header header{kSnapshotVersion, text};
  const Event event{.payload = payload, .headers = {&header, 1}, .is_internal = true};
  const std::string snapshots = std::string{kSnapshotPrefix} + std::string{stream};
  return impl_->append(snapshots, Expected::any(), {&event, 1}, options);
}

Result<std::optional<Snapshot>> EventStore::load_snapshot(std::string_view stream,
                                                          std::optional<Deadline> deadline) {
  MALLBOTS_TRY(check_user_id(stream));
  const std::string snapshots = std::string{kSnapshotPrefix} + std::string{stream};
  auto last = impl_->read(snapshots, {.count = 1, .deadline = deadline}, true);
  if (!last && last.error().code == ErrorCode::kUnknownStream) return std::nullopt;
  if (!last) return std::unexpected(std::move(last).error());
  if (last->empty()) return std::nullopt;
  Snapshot snapshot{.message = std::move(last->front().message)};
  const std::string_view text = snapshot.message->header(kSnapshotVersion).value_or("");
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), snapshot.version);
  if (error != std::errc{} || end != text.data() + text.size())
    return fail(ErrorCode::kCorrupt, impl_->named(snapshots) + ": no version in it");
  const auto info = look_up(stream, deadline);
  if (!info) return std::unexpected(info.error());
  // Of a stream that is deleted, or was and is another now.
  if (info->state != StreamInfo::State::kExists || snapshot.version + 1 < info->first ||
      snapshot.version > info->version)
    return std::nullopt;
  if (snapshot.version + 1 == info->first && snapshot.version < info->version) {
    const auto next =
        impl_->read(stream, {.from = info->first, .count = 1, .deadline = deadline}, true);
    if (!next) return std::unexpected(next.error());
    if (!next->empty() && next->front().version == info->first &&
        begins_stream(next->front().message.view()))
      return std::nullopt;
  }
  return snapshot;
}

Result<std::vector<StreamRow>> EventStore::list(StreamListPosition& position, std::size_t count,
                                                std::optional<Deadline> deadline) {
  return impl_->list(position, std::min<std::size_t>(count, kListPage), deadline_of(deadline));
}

const std::string& EventStore::topic() const noexcept { return impl_->topic_->name(); }
PartitionIndex EventStore::partitions() const noexcept { return impl_->topic_->partitions(); }
PartitionIndex EventStore::partition_of(std::string_view stream) const noexcept {
  return impl_->partition_of(stream);
}

}  // namespace mallbots::client
