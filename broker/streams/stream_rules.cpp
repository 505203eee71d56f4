#include "broker/streams/stream_rules.h"

#include <algorithm>
#include <string>

namespace mallbots::broker {

ErrorCode check_expectation(const StreamState& state, const Expectation& expectation) noexcept {
  const bool none = !state.exists();
  bool met = false;
  switch (expectation.kind) {
    case shm::Expect::kAny:
      met = true;
      break;
    case shm::Expect::kNone:
      met = none;
      break;
    case shm::Expect::kExists:
      met = !none;
      break;
    case shm::Expect::kVersion:
      met = expectation.version == 0 ? none : expectation.version == state.version;
      break;
  }
  return met ? ErrorCode::kNone : ErrorCode::kConflict;
}

Result<StreamState> with_events(StreamState state, Offset base, std::span<shm::EventLinks> links) {
  if (links.size() > shm::kMaxStreamVersion - state.version)
    return fail(ErrorCode::kLimitReached,
                "a stream has 4294967295 events at most; it is at version " +
                    std::to_string(state.version));
  if (base >= StreamIndex::kOffsetLimit - links.size())
    return fail(ErrorCode::kLimitReached, "an event topic has 2^47 records a partition at most");
  const bool anew = state.deleted;
  if (anew) state.first = state.version + 1;
  state.deleted = false;
  for (shm::EventLinks& link : links) {
    link = state.roots.links_of(++state.version);
    state.roots.push(state.version, base++);
  }
  if (anew && !links.empty()) links[0].predecessor = kNoOffset;
  return state;
}

Result<StreamState> truncated(StreamState state, shm::StreamVersion before) {
  if (!state.exists()) return fail(ErrorCode::kUnknownStream);
  if (before > state.version + 1)
    return fail(ErrorCode::kBadPosition, "version " + std::to_string(before) +
                                             " is in the future: the stream is at version " +
                                             std::to_string(state.version));
  state.first = std::max(state.first, before);
  return state;
}

Result<StreamState> removed(StreamState state) {
  if (!state.exists()) return fail(ErrorCode::kUnknownStream);
  state.deleted = true;
  state.first = state.version + 1;
  return state;
}

StreamRecord stream_record(const shm::RecordHeader& header,
                           std::span<const std::byte> attributes) noexcept {
  StreamRecord record{.offset = header.offset, .links = {}};
  const auto version = shm::attribute_number(attributes, shm::AttributeId::kStreamVersion);
  if (!version || *version == 0 || *version > shm::kMaxStreamVersion) return record;
  record.links.version = *version;
  if (header.type == shm::RecordType::kTombstone) {
    record.kind = StreamRecord::kRemoval;
  } else if (header.type == shm::RecordType::kControl) {
    const auto before = shm::attribute_number(attributes, shm::AttributeId::kFirstVersion);
    if (!before || *before > *version + 1) return record;
    record.before = *before;
    record.kind = StreamRecord::kTruncation;
  } else if (header.type == shm::RecordType::kData) {
    const auto links = shm::event_links(attributes);
    if (!links) return record;
    record.links = *links;
    record.kind = StreamRecord::kEvent;
  }
  return record;
}

bool apply(StreamState& state, const StreamRecord& record) noexcept {
  if (record.kind == StreamRecord::kNothing) return false;
  const shm::StreamVersion version = record.links.version;
  if (record.kind == StreamRecord::kEvent) {
    if (version <= state.version || record.offset >= StreamIndex::kOffsetLimit) return false;
    if (state.deleted) state.first = state.version + 1;
    if (version == state.version + 1) {
      state.roots.push(version, record.offset);
    } else {
      state.roots = JumpRoots::known_from(record.links, record.offset);
    }
    state.version = version;
    state.deleted = false;
    return true;
  }
  // What it speaks of is not in the log any more: the version is, so that it is not used again.
  if (version > state.version) {
    state.roots = JumpRoots::known_from({.version = version}, kNoOffset);
    state.version = version;
  } else if (state.last() != kNoOffset && record.offset < state.last()) {
    // An event that the state has came after it: a removal was undone by it.
    if (record.kind == StreamRecord::kRemoval) return false;
  }
  if (record.kind == StreamRecord::kRemoval) state.deleted = true;
  state.first = state.deleted ? state.version + 1 : std::max(state.first, record.before);
  return true;
}

}  // namespace mallbots::broker
