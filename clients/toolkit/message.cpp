#include "clients/toolkit/message.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <random>

#include "clients/toolkit/dead_letter.h"
#include "shm/base/hash.h"

namespace mallbots::toolkit {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

std::string position_of(const client::Message& record) {
  return std::string{record.topic}
      .append("/")
      .append(std::to_string(record.partition))
      .append("/")
      .append(std::to_string(record.offset));
}

bool is_ours(std::string_view header) {
  return header.starts_with(kMessagePrefix) || header.starts_with(kDeadLetterPrefix) ||
         header == kTraceState;
}

std::string as_uuid(std::uint64_t high, std::uint64_t low, std::uint64_t version) {
  high = (high & ~std::uint64_t{0xf000}) | version << 12;
  low = (low & 0x3fff'ffff'ffff'ffff) | 0x8000'0000'0000'0000;
  std::string text;
  text.reserve(36);
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) text.push_back('-');
    const std::uint64_t half = digit < 16 ? high : low;
    text.push_back(kHex[half >> (60 - 4 * (digit % 16)) & 0xf]);
  }
  return text;
}

}  // namespace

std::string Message::id() const {
  const std::string_view given = header_or(kMessageId);
  return given.empty() ? position_of(*record_) : std::string{given};
}

std::uint32_t Message::version() const {
  const auto text = record_->header(kMessageVersion);
  if (!text) return 1;
  std::uint32_t number = 0;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), number);
  return read.ec == std::errc{} && read.ptr == text->data() + text->size() ? number : 0;
}

std::string Message::correlation_id() const {
  const std::string_view given = header_or(kMessageCorrelation);
  return given.empty() ? std::string{kGeneratedPrefix}.append(id()) : std::string{given};
}

Cause Message::as_cause() const {
  return {.correlation_id = correlation_id(),
          .causation_id = id(),
          .trace = std::string{trace()},
          .trace_state = std::string{header_or(kTraceState)},
          .actor = std::string{actor()}};
}

Message Message::with_payload(std::span<const std::byte> payload) const noexcept {
  Message other = *this;
  other.payload_ = payload;
  return other;
}

/// 48 bits of Unix milliseconds, version 7, 74 random bits (RFC 9562, 5.7).
std::string new_message_id() {
  thread_local std::mt19937_64 random{std::random_device{}() ^
                                      (static_cast<std::uint64_t>(std::random_device{}()) << 32)};
  const auto time = static_cast<std::uint64_t>(wall_coarse_ms());
  return as_uuid(time << 16 | (random() & 0x0fff), random(), 7);
}

std::string derived_message_id(std::string_view cause, std::string_view by, std::uint64_t number) {
  const std::string all = std::string{cause}.append(1, '\0').append(by);
  return as_uuid(xxh3(all.data(), all.size(), 2 * number),
                 xxh3(all.data(), all.size(), 2 * number + 1), 8);
}

void fill(Draft& draft, const Cause& cause) {
  if (draft.id.empty()) draft.id = new_message_id();
  if (draft.correlation_id.empty())
    draft.correlation_id = cause.correlation_id.empty()
                               ? std::string{kGeneratedPrefix}.append(draft.id)
                               : cause.correlation_id;
  if (draft.causation_id.empty()) draft.causation_id = cause.causation_id;
  if (draft.actor.empty()) draft.actor = cause.actor;
  if (draft.trace.empty()) {
    draft.trace = cause.trace;
    draft.trace_state = cause.trace_state;
  }
}

Draft draft_of(const Message& message) {
  Draft draft{.payload = std::string{message.payload()},
              .name = std::string{message.name()},
              .version = message.version(),
              .key = std::string{message.key()},
              .id = message.id(),
              .correlation_id = message.correlation_id(),
              .causation_id = std::string{message.causation_id()},
              .trace = std::string{message.trace()},
              .trace_state = std::string{message.header(kTraceState).value_or("")}};
  draft.actor = message.actor();
  for (const client::Header header : message.record().headers())
    if (!is_ours(header.name)) draft.headers.emplace_back(header.name, header.value);
  return draft;
}

DraftRecord::DraftRecord(const Draft& draft) {
  const auto add = [this](std::string_view name, std::string_view value) {
    if (!value.empty()) headers_.push_back({name, value});
  };
  headers_.reserve(draft.headers.size() + 7);
  add(kMessageId, draft.id);
  add(kMessageName, draft.name);
  if (draft.version != 1) version_ = std::to_string(draft.version);
  add(kMessageVersion, version_);
  add(kMessageCorrelation, draft.correlation_id);
  add(kMessageCausation, draft.causation_id);
  add(kMessageActor, draft.actor);
  add(kTraceState, draft.trace_state);
  for (const auto& [name, value] : draft.headers) headers_.push_back({name, value});
  record_ = {.payload = client::as_bytes(draft.payload),
             .key = client::as_bytes(draft.key),
             .headers = headers_,
             .trace_context = draft.trace};
}

Result<void> publish(Publisher& bus, const std::string& topic, std::span<Draft> drafts,
                     const Cause& cause, const PublishOptions& options) {
  for (Draft& draft : drafts) fill(draft, cause);
  // By their moment; the order within one is kept.
  std::map<std::optional<UnixMillis>, std::vector<std::unique_ptr<DraftRecord>>> by_moment;
  for (const Draft& draft : drafts)
    by_moment[draft.publish_at].push_back(std::make_unique<DraftRecord>(draft));
  for (const auto& [moment, made] : by_moment) {
    std::vector<client::Record> records;
    for (const auto& one : made) records.push_back(one->record());
    PublishOptions now = options;
    if (moment) now.publish_at = moment;
    MALLBOTS_TRY(bus.publish(topic, records, now));
  }
  return {};
}

}  // namespace mallbots::toolkit
