// Message: one message as a handler sees it. Draft: one that is to be published. Both say the same
// things over the headers of a record, so that every bus carries them and `mallbots consume` shows
// them:
//
//   msg.id           names the message for ever; a redelivery and a repeated publication keep it
//   msg.name         what happened or is asked for: "order_created"; the payload's type
//   msg.version      of the payload's form, from 1 on; absent: 1
//   msg.correlation  all messages that one request from outside caused share it; generated ones
//                    begin with "gen_", so that a gap in the chain shows
//   msg.causation    the id of the message whose handler published this one
//   msg.actor        who asked for it, in the words of the one whom the request came in through,
//   e.g.
//                    "staff:ann"; goes on with what it caused, so that an audit can say who
//   msg.claim        the payload is kept elsewhere under this name (claim_check.h)
//   (trace)          W3C traceparent, an attribute of the record itself
//   tracestate       W3C tracestate, as it came
//
// Names that begin with "msg." and "dlq." belong to the toolkit; all others are the application's.
// A record of a stranger, without these headers, is a message too: its id is
// TOPIC/PARTITION/OFFSET, its name is empty, its version 1.
//
// Who calls: any thread; a Message is a view, valid during the call of its handler.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/message.h"
#include "clients/producer.h"
#include "clients/toolkit/bus.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

// clang-format off
inline constexpr std::string_view kMessagePrefix = "msg.";
inline constexpr std::string_view kMessageId = "msg.id";
inline constexpr std::string_view kMessageName = "msg.name";
inline constexpr std::string_view kMessageVersion = "msg.version";
inline constexpr std::string_view kMessageCorrelation = "msg.correlation";
inline constexpr std::string_view kMessageCausation = "msg.causation";
inline constexpr std::string_view kMessageActor = "msg.actor";
inline constexpr std::string_view kMessageClaim = "msg.claim";
inline constexpr std::string_view kTraceState = "tracestate";
// clang-format on

/// How a correlation id begins that nobody gave.
inline constexpr std::string_view kGeneratedPrefix = "gen_";

/// Where a message comes from; what it causes carries it on.
struct Cause {
  std::string correlation_id;  ///< empty: unknown, so one is generated
  std::string causation_id;    ///< id of the message being handled; empty: none is
  std::string trace;           ///< W3C traceparent, or empty
  std::string trace_state{};
  std::string actor{};  ///< who asked for it; empty: unknown
};

class Message {
 public:
  explicit Message(const client::Message& record, std::uint32_t attempt = 1) noexcept
      : record_(&record), payload_(record.payload), attempt_(attempt) {}

  [[nodiscard]] std::string id() const;
  [[nodiscard]] std::string_view name() const { return header_or(kMessageName); }
  /// 1 if absent, 0 if it is no number.
  [[nodiscard]] std::uint32_t version() const;
  [[nodiscard]] std::string_view key() const noexcept { return record_->key_text(); }
  [[nodiscard]] std::string_view payload() const noexcept { return client::as_text(payload_); }
  /// Generated from the id if the message carries none, the same at every delivery.
  [[nodiscard]] std::string correlation_id() const;
  [[nodiscard]] std::string_view causation_id() const { return header_or(kMessageCausation); }
  /// Who asked for it, or empty.
  [[nodiscard]] std::string_view actor() const { return header_or(kMessageActor); }
  /// W3C traceparent, or empty.
  [[nodiscard]] std::string_view trace() const noexcept { return record_->trace_context(); }
  /// The first header of that name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
    return record_->header(name);
  }
  /// Deliveries of this message to this member, this one included.
  [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }
  [[nodiscard]] std::string_view topic() const noexcept { return record_->topic; }
  /// When the log took it.
  [[nodiscard]] UnixMillis published_ms() const noexcept { return record_->timestamp_ms; }
  /// Topic, partition, offset and all headers.
  [[nodiscard]] const client::Message& record() const noexcept { return *record_; }
  /// What a message published while this one is handled carries on.
  [[nodiscard]] Cause as_cause() const;

  /// The same message with another payload (fetched, decrypted), which must live as long.
  [[nodiscard]] Message with_payload(std::span<const std::byte> payload) const noexcept;

 private:
  [[nodiscard]] std::string_view header_or(std::string_view name) const {
    return record_->header(name).value_or(std::string_view{});
  }

  const client::Message* record_;
  std::span<const std::byte> payload_;
  std::uint32_t attempt_;
};

/// To be published. What is left empty is filled in (fill).
struct Draft {
  std::string payload;
  std::string name{};
  std::uint32_t version = 1;
  std::string key{};  ///< messages of one key stay in order; empty: no order
  std::string id{};   ///< empty: a new one
  std::string correlation_id{};
  std::string causation_id{};
  std::string trace{};
  std::string trace_state{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string actor{};
  /// Unix ms before which nobody is given it; nothing: at once.
  std::optional<UnixMillis> publish_at{};
};

/// A new message id: 128 bits as a UUID of version 7 (RFC 9562), so that ids sort by time.
[[nodiscard]] std::string new_message_id();

/// The same id whenever `by` (a group) publishes its `number`th message because of `cause`, so that
/// who sees it twice can tell. A UUID of version 8.
[[nodiscard]] std::string derived_message_id(std::string_view cause, std::string_view by,
                                             std::uint64_t number);

/// Gives id, correlation, causation, trace and actor where the draft has none.
void fill(Draft& draft, const Cause& cause);

/// The same content under the same id, to be published again; without what the toolkit's dead
/// letters added.
[[nodiscard]] Draft draft_of(const Message& message);

/// A draft as a record, with what its spans point to. The draft must live as long and be filled.
class DraftRecord {
 public:
  explicit DraftRecord(const Draft& draft);
  DraftRecord(const DraftRecord&) = delete;
  DraftRecord& operator=(const DraftRecord&) = delete;
  [[nodiscard]] const client::Record& record() const noexcept { return record_; }

 private:
  std::string version_;
  std::vector<client::Header> headers_;
  client::Record record_;
};

/// Fills and publishes, those of one moment (publish_at) in one call, in order per key. What was
/// filled in stays in the drafts, so that publishing them again after an error keeps their ids.
/// Errors: those of Publisher::publish.
[[nodiscard]] Result<void> publish(Publisher& bus, const std::string& topic,
                                   std::span<Draft> drafts, const Cause& cause = {},
                                   const PublishOptions& options = {});

}  // namespace mallbots::toolkit
