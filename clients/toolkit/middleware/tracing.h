// Tracing: W3C trace context in and out (w3.org/TR/trace-context). Each try of a message is a span,
// a child of the span that published the message; what the handler publishes belongs to that span.
// A message without a trace begins one. The relay of an outbox (RelayOptions::spans) and the steps
// of sagas (SagaRunner) give spans, too. They go to a recorder; otlp_file.h is one for files.
//
// Who calls: any thread; record() is called by several at once. No errors: a traceparent that does
// not parse is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

struct TraceContext {
  std::string trace_id;  ///< 32 hexadecimal digits
  std::string span_id;   ///< 16
  std::uint8_t flags = 1;

  /// Version 00, or a later one that begins like it.
  [[nodiscard]] static std::optional<TraceContext> parse(std::string_view traceparent);
  [[nodiscard]] static TraceContext start();
  /// A new span of the same trace.
  [[nodiscard]] TraceContext child() const;
  [[nodiscard]] std::string traceparent() const;
};

/// As OpenTelemetry names and numbers them.
enum class SpanKind : std::uint8_t { kInternal = 1, kServer, kClient, kProducer, kConsumer };

struct Span {
  TraceContext context;
  std::string parent_id{};  ///< empty: the first of its trace
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  std::int64_t start_ns = 0;  ///< Unix nanoseconds
  std::int64_t duration_ns = 0;
  std::vector<std::pair<std::string, std::string>> attributes{};
  bool failed = false;
  std::string problem{};
};

class SpanRecorder {
 public:
  virtual ~SpanRecorder() = default;
  virtual void record(Span span) = 0;
};

/// Span "TOPIC HANDLER" with topic, handler, group, message id and attempt.
[[nodiscard]] Middleware tracing(SpanRecorder& recorder);

}  // namespace mallbots::toolkit
