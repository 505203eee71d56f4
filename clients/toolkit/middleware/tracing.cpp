#include "clients/toolkit/middleware/tracing.h"

#include <algorithm>
#include <random>

namespace mallbots::toolkit {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::size_t kTraceDigits = 32;
constexpr std::size_t kSpanDigits = 16;
constexpr std::size_t kVersion0 = 55;  // 00-TRACE-SPAN-FLAGS

std::string random_digits(std::size_t count) {
  thread_local std::mt19937_64 random{std::random_device{}() ^
                                      (static_cast<std::uint64_t>(std::random_device{}()) << 32)};
  std::string digits;
  while (digits.size() < count) digits.push_back(kHex[random() >> 60]);
  return digits;
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of(kHex) == std::string_view::npos;
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::optional<TraceContext> TraceContext::parse(std::string_view text) {
  if (text.size() < kVersion0 || text[2] != '-' || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(3, kTraceDigits);
  const std::string_view span = text.substr(36, kSpanDigits);
  const std::string_view flags = text.substr(53, 2);
  const bool is_longer = text.size() > kVersion0;
  if (!is_hex(version) || version == "ff" || !is_hex(trace) || is_zero(trace) || !is_hex(span) ||
      is_zero(span) || !is_hex(flags))
    return std::nullopt;
  if (is_longer && (version == "00" || text[kVersion0] != '-')) return std::nullopt;
  const std::size_t bits = kHex.find(flags[0]) << 4 | kHex.find(flags[1]);
  return TraceContext{std::string{trace}, std::string{span}, static_cast<std::uint8_t>(bits)};
}

TraceContext TraceContext::start() {
  return {random_digits(kTraceDigits), random_digits(kSpanDigits)};
}

TraceContext TraceContext::child() const { return {trace_id, random_digits(kSpanDigits), flags}; }

std::string TraceContext::traceparent() const {
  std::string text = "00-" + trace_id + "-" + span_id + "-";
  text.push_back(kHex[flags >> 4]);
  text.push_back(kHex[flags & 0xf]);
  return text;
}

Middleware tracing(SpanRecorder& recorder) {
  const auto wrap = [&recorder](Handler next, const HandlerInfo& of) {
    return [&recorder, next = std::move(next), of](Context& context,
                                                   const Message& message) -> Handled {
      const auto parent = TraceContext::parse(message.trace());
      Span span{.context = parent ? parent->child() : TraceContext::start(),
                .parent_id = parent ? parent->span_id : std::string{},
                .name = std::string{message.topic()} + " " + of.name,
                .kind = SpanKind::kConsumer,
                .start_ns = context.clock().wall_ms() * kMillisecond,
                .attributes = {{"topic", std::string{message.topic()}},
                               {"handler", of.name},
                               {"group", of.group},
                               {"message.id", message.id()},
                               {"attempt", std::to_string(message.attempt())}}};
      context.set_trace(span.context.traceparent());
      const BootNanos begun = context.clock().now_ns();
      Handled handled = next(context, message);
      span.duration_ns = context.clock().now_ns() - begun;
      if (!handled) {
        span.failed = true;
        span.problem = handled.error().type + ": " + handled.error().text;
      }
      recorder.record(std::move(span));
      return handled;
    };
  };
  return {.name = "tracing", .layer = Layer::kTracing, .wrap = wrap};
}

}  // namespace mallbots::toolkit
