#include "clients/toolkit/middleware/retry.h"

#include <optional>

namespace mallbots::toolkit {
namespace {

/// Before try number `attempt` + 1; nothing: there is none.
std::optional<std::int64_t> delay_after(const RetryOptions& options, std::uint32_t attempt) {
  const Redelivery quick{options.first_ms, options.factor, options.max_ms};
  if (attempt <= options.times) return quick.delay_ms(attempt);
  const std::size_t later = attempt - options.times - 1;
  if (later < options.later_ms.size()) return options.later_ms[later];
  if (!options.never_give_up) return std::nullopt;
  return options.later_ms.empty() ? options.max_ms : options.later_ms.back();
}

}  // namespace

Middleware retry(RetryOptions options) {
  const auto wrap = [options = std::move(options)](Handler next, const HandlerInfo& /*of*/) {
    return [options, next = std::move(next)](Context& context, const Message& message) -> Handled {
      Handled handled = next(context, message);
      if (handled || handled.error().again != Again::kCounted) return handled;
      HandlerFailure& failure = handled.error();
      const auto delay_ms = delay_after(options, message.attempt());
      if (!delay_ms || (options.when && !options.when(failure)))
        failure.again = Again::kNever;
      else if (!failure.delay_ms)
        failure.delay_ms = delay_ms;
      return handled;
    };
  };
  return {.name = "retry", .layer = Layer::kRetry, .wrap = wrap, .takes_batches = true};
}

}  // namespace mallbots::toolkit
