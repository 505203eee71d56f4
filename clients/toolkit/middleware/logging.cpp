#include "clients/toolkit/middleware/logging.h"

#include <string>

namespace mallbots::toolkit {
namespace {

LogLine line_of(const HandlerInfo& of, const Message& message, const LoggingOptions& options) {
  LogLine line{.values = {{"message_id", message.id()},
                          {"name", std::string{message.name()}},
                          {"topic", std::string{message.topic()}},
                          {"handler", of.name},
                          {"correlation_id", message.correlation_id()},
                          {"attempt", std::to_string(message.attempt())}}};
  if (options.payload_bytes > 0)
    line.values.emplace_back("payload",
                             std::string{message.payload().substr(0, options.payload_bytes)});
  return line;
}

std::string what_next(const HandlerInfo& of, const HandlerFailure& failure, std::uint32_t attempt) {
  if (of.is_last(failure, attempt)) return "dead letter";
  if (failure.delay_ms) return "again in " + std::to_string(*failure.delay_ms) + " ms";
  return "again";
}

}  // namespace

Middleware logging(Log log, LoggingOptions options) {
  const auto wrap = [log = std::move(log), options](Handler next, const HandlerInfo& of) {
    return [log, options, next = std::move(next), of](Context& context,
                                                      const Message& message) -> Handled {
      const BootNanos begun = context.clock().now_ns();
      Handled handled = next(context, message);
      if (handled && !options.successes) return handled;
      LogLine line = line_of(of, message, options);
      line.values.emplace_back("duration_ms",
                               std::to_string((context.clock().now_ns() - begun) / kMillisecond));
      if (handled) {
        line.text = "handled";
      } else {
        line.severity = Severity::kWarning;
        line.text = "failed";
        line.values.emplace_back("error", handled.error().type);
        line.values.emplace_back("problem", handled.error().text);
        line.values.emplace_back("next", what_next(of, handled.error(), message.attempt()));
      }
      log(line);
      return handled;
    };
  };
  return {.name = "logging", .layer = Layer::kLogging, .wrap = wrap, .takes_batches = true};
}

}  // namespace mallbots::toolkit
