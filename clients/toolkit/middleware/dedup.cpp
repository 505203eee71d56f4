#include "clients/toolkit/middleware/dedup.h"

#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace mallbots::toolkit {
namespace {

constexpr std::int64_t kLookAgainMs = 20;

class Ids {
 public:
  explicit Ids(const DedupOptions& options) noexcept : options_(options) {}

  enum class Seen : std::uint8_t { kNever, kHandled, kBeingHandled };
  /// kNever: it is being handled from now on, until end().
  Seen begin(const std::string& id, BootNanos now) {
    const std::scoped_lock lock{mutex_};
    forget(now);
    const auto [found, is_new] = handled_.try_emplace(id, false);
    if (is_new) return Seen::kNever;
    return found->second ? Seen::kHandled : Seen::kBeingHandled;
  }
  void end(const std::string& id, bool was_handled, BootNanos now) {
    const std::scoped_lock lock{mutex_};
    if (!was_handled) {
      handled_.erase(id);
      return;
    }
    handled_[id] = true;
    order_.emplace_back(now, id);
  }

 private:
  void forget(BootNanos now) {
    while (!order_.empty() && (order_.size() >= options_.max_ids ||
                               order_.front().first + options_.window_ms * kMillisecond <= now)) {
      handled_.erase(order_.front().second);
      order_.pop_front();
    }
  }

  DedupOptions options_;
  std::mutex mutex_;
  std::unordered_map<std::string, bool> handled_;  ///< false: being handled
  std::deque<std::pair<BootNanos, std::string>> order_;
};

}  // namespace

Middleware dedup(DedupOptions options) {
  const auto wrap = [options](Handler next, const HandlerInfo& /*of*/) {
    const auto ids = std::make_shared<Ids>(options);
    return [ids, next = std::move(next)](Context& context, const Message& message) -> Handled {
      const std::string id = message.id();
      const Ids::Seen seen = ids->begin(id, context.clock().now_ns());
      if (seen == Ids::Seen::kHandled) return {};
      if (seen == Ids::Seen::kBeingHandled)
        return not_now("BeingHandled", "another message of id '" + id + "' is", kLookAgainMs);
      Handled handled = next(context, message);
      ids->end(id, handled.has_value(), context.clock().now_ns());
      return handled;
    };
  };
  return {.name = "dedup", .layer = Layer::kDedup, .wrap = wrap};
}

}  // namespace mallbots::toolkit
