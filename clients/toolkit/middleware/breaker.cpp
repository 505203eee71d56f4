#include "clients/toolkit/middleware/breaker.h"

#include <algorithm>
#include <memory>
#include <mutex>

namespace mallbots::toolkit {
namespace {

class Fuse {
 public:
  Fuse(const BreakerOptions& options, HandlerInfo of) : options_(options), of_(std::move(of)) {}

  /// Nothing: go on. Else when to ask again.
  std::optional<std::int64_t> ask(BootNanos now) {
    const std::scoped_lock lock{mutex_};
    if (circuit_ == Circuit::kClosed) return std::nullopt;
    if (circuit_ == Circuit::kOpen && now >= open_until_) {
      become(Circuit::kTrying);
      return std::nullopt;
    }
    // While one is tried, the others look again soon.
    const std::int64_t left_ms = circuit_ == Circuit::kOpen
                                     ? (open_until_ - now + kMillisecond - 1) / kMillisecond
                                     : options_.open_ms / 20;
    return std::max<std::int64_t>(left_ms, 1);
  }

  void tell(const Handled& handled, BootNanos now) {
    const std::scoped_lock lock{mutex_};
    const bool has_failed = !handled && handled.error().again == Again::kCounted;
    if (!has_failed) {
      // What was not tried says nothing; the next one is tried.
      if (!handled && handled.error().again == Again::kUncounted) {
        if (circuit_ == Circuit::kTrying) open(now);
        return;
      }
      in_a_row_ = 0;
      if (circuit_ != Circuit::kClosed) become(Circuit::kClosed);
    } else if (circuit_ == Circuit::kTrying || ++in_a_row_ >= options_.failures) {
      open(now + options_.open_ms * kMillisecond);
    }
  }

 private:
  void open(BootNanos until) {
    open_until_ = until;
    if (circuit_ != Circuit::kOpen) become(Circuit::kOpen);
  }
  void become(Circuit circuit) {
    circuit_ = circuit;
    if (options_.on_change) options_.on_change(of_, circuit);
  }

  BreakerOptions options_;
  HandlerInfo of_;
  std::mutex mutex_;
  Circuit circuit_ = Circuit::kClosed;
  std::uint32_t in_a_row_ = 0;
  BootNanos open_until_ = 0;
};

}  // namespace

Middleware breaker(BreakerOptions options) {
  const auto wrap = [options = std::move(options)](Handler next, const HandlerInfo& of) {
    const auto fuse = std::make_shared<Fuse>(options, of);
    return [fuse, next = std::move(next)](Context& context, const Message& message) -> Handled {
      if (const auto wait_ms = fuse->ask(context.clock().now_ns()))
        return not_now("CircuitOpen", "too many failures in a row", *wait_ms);
      Handled handled = next(context, message);
      fuse->tell(handled, context.clock().now_ns());
      return handled;
    };
  };
  return {.name = "breaker", .layer = Layer::kBreaker, .wrap = wrap};
}

}  // namespace mallbots::toolkit
