#include "broker/streams/stream_admission.h"

#include <cstring>
#include <string_view>

#include "broker/groups/group_name.h"

namespace mallbots::broker {
namespace {

using shm::StreamCondition;
using shm::StreamRequest;

constexpr std::size_t kMostAttributeBytes = 0xFFFF;
constexpr std::size_t kNumberBytes = shm::stream_detail::kNumberBytes;

void describe(const StreamState& state, std::span<std::uint64_t, shm::kIngestExtras> extras) {
  const StreamCondition condition = state.exists()  ? StreamCondition::kExists
                                    : state.deleted ? StreamCondition::kDeleted
                                                    : StreamCondition::kNone;
  extras[shm::kStreamStateExtra] = static_cast<std::uint64_t>(condition);
  extras[shm::kFirstVersionExtra] = state.first;
  extras[shm::kLastOffsetExtra] = state.last();
}

Verdict refused(ErrorCode code, const StreamState& state) {
  Verdict verdict = Verdict::refused(code, state.version);
  describe(state, verdict.extras);
  return verdict;
}

Expectation expectation_of(const HandedIn& entry) {
  return {static_cast<shm::Expect>(entry.arguments[0]), entry.arguments[1]};
}

bool is_form(const HandedIn& entry) {
  switch (static_cast<StreamRequest>(entry.kind)) {
    case StreamRequest::kAppend:
      return !entry.records.empty() && entry.arguments[0] >= 1 && entry.arguments[0] <= 4;
    case StreamRequest::kRemove:
      return entry.records.size() == 1 && entry.arguments[0] >= 1 && entry.arguments[0] <= 4;
    case StreamRequest::kTruncate:
      return entry.records.size() == 1;
    case StreamRequest::kLookUp:
      return entry.records.empty();
  }
  return false;
}

}  // namespace

ErrorCode check_stream_id(std::string_view id) noexcept {
  const std::size_t most = !id.empty() && id.front() == shm::kSystemStreamMark
                               ? shm::kMaxSystemStreamIdBytes
                               : shm::kMaxStreamIdBytes;
  return !id.empty() && id.size() <= most && is_plain_utf8(id) ? ErrorCode::kNone
                                                               : ErrorCode::kBadStreamId;
}

Verdict StreamAdmission::admit(HandedIn& entry) {
  if (!is_form(entry)) return Verdict::refused(ErrorCode::kBadArgument, 0);
  const std::string_view id{reinterpret_cast<const char*>(entry.request.data()),
                            entry.request.size()};
  if (check_stream_id(id) != ErrorCode::kNone) return Verdict::refused(ErrorCode::kBadStreamId, 0);
  key_ = stream_key(id);
  StreamState state;
  entry.next = table_->look_up(key_, state);
  for (shm::RecordInput& record : entry.records) record.key = entry.request;
  switch (static_cast<StreamRequest>(entry.kind)) {
    case StreamRequest::kAppend:
      return admit_events(entry, state);
    case StreamRequest::kLookUp: {
      Verdict verdict = Verdict::answered(state.version);
      describe(state, verdict.extras);
      return verdict;
    }
    default:
      return admit_note(entry, state);
  }
}

Verdict StreamAdmission::admit_events(HandedIn& entry, const StreamState& state) {
  const ErrorCode code = check_expectation(state, expectation_of(entry));
  if (code != ErrorCode::kNone) return refused(code, state);
  if (state.version == 0 && !may_grow_.load()) return refused(ErrorCode::kMemoryFull, state);
  links_.resize(entry.records.size());
  auto next = with_events(state, entry.next, links_);
  if (!next) return refused(next.error().code, state);
  next_ = std::move(*next);
  for (shm::RecordInput& record : entry.records) record.type = shm::RecordType::kData;
  return put_attributes(entry.records) ? Verdict::accepted() : refused(ErrorCode::kTooLarge, state);
}

/// Puts the links in front of what the producer gave.
bool StreamAdmission::put_attributes(std::span<shm::RecordInput> records) {
  std::size_t bytes = 0;
  for (const shm::RecordInput& record : records) {
    if (record.attributes.size() > kMostAttributeBytes - shm::kEventLinkBytes) return false;
    bytes += shm::kEventLinkBytes + record.attributes.size();
  }
  if (attributes_.size() < bytes) attributes_.resize(bytes);
  std::byte* at = attributes_.data();
  for (std::size_t i = 0; i < records.size(); ++i) {
    std::byte* const begin = at;
    shm::put_event_links(std::span<std::byte, shm::kEventLinkBytes>{at, shm::kEventLinkBytes},
                         links_[i]);
    at = shm::put(at + shm::kEventLinkBytes, records[i].attributes);
    records[i].attributes = {begin, at};
  }
  return true;
}

/// A truncation or a removal: one record, without events.
Verdict StreamAdmission::admit_note(HandedIn& entry, const StreamState& state) {
  const bool removes = static_cast<StreamRequest>(entry.kind) == StreamRequest::kRemove;
  if (removes) {
    const ErrorCode code = check_expectation(state, expectation_of(entry));
    if (code != ErrorCode::kNone) return refused(code, state);
  }
  const shm::StreamVersion first = entry.arguments[0];
  auto next = removes ? removed(state) : truncated(state, first);
  if (!next) return refused(next.error().code, state);
  if (!removes && next->first == state.first) {  // nothing to note
    Verdict verdict = Verdict::answered(state.last());
    verdict.extras[0] = state.version;
    return verdict;
  }
  next_ = std::move(*next);
  attributes_.resize(std::max(attributes_.size(), 2 * kNumberBytes));
  std::byte* at = shm::stream_detail::put_number(attributes_.data(),
                                                 shm::AttributeId::kStreamVersion, next_.version);
  if (!removes)
    at = shm::stream_detail::put_number(at, shm::AttributeId::kFirstVersion, next_.first);
  shm::RecordInput& record = entry.records[0];
  record.attributes = {attributes_.data(), at};
  record.payload = {};
  record.flags = 0;
  record.type = removes ? shm::RecordType::kTombstone : shm::RecordType::kControl;
  return Verdict::accepted();
}

void StreamAdmission::appended(const HandedIn& entry, Offset first, UnixMillis /*timestamp_ms*/,
                               std::span<std::uint64_t, shm::kIngestExtras> extras) {
  CHECK(first == entry.next);  // the records say so already
  table_->put(key_, next_, first + entry.records.size());
  extras[0] = next_.version;
}

void StreamAdmission::recalled(const HandedIn& /*entry*/, Offset /*first*/,
                               std::span<std::uint64_t, shm::kIngestExtras> extras) {
  extras[0] = 0;
}

}  // namespace mallbots::broker
