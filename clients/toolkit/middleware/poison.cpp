#include "clients/toolkit/middleware/poison.h"

namespace mallbots::toolkit {

void ParkedKeys::park(const Key& key) {
  const std::scoped_lock lock{mutex_};
  keys_.insert(key);
}

void ParkedKeys::release(const Key& key) {
  const std::scoped_lock lock{mutex_};
  keys_.erase(key);
}

bool ParkedKeys::contains(const Key& key) const {
  const std::scoped_lock lock{mutex_};
  return keys_.contains(key);
}

std::vector<ParkedKeys::Key> ParkedKeys::all() const {
  const std::scoped_lock lock{mutex_};
  return {keys_.begin(), keys_.end()};
}

Middleware poison(PoisonOptions options) {
  const auto wrap = [options = std::move(options)](Handler next, const HandlerInfo& of) {
    return
        [options, next = std::move(next), of](Context& context, const Message& message) -> Handled {
          const bool may_park = options.parked != nullptr && !message.key().empty();
          ParkedKeys::Key key;
          if (may_park) {
            key = {std::string{message.topic()}, std::string{message.key()}};
            if (options.parked->contains(key))
              return give_up("Parked", "an earlier message of its key is a dead letter");
          }
          Handled handled = next(context, message);
          if (handled) return handled;
          HandlerFailure& failure = handled.error();
          if (options.filter && failure.again == Again::kCounted && options.filter(failure))
            failure.again = Again::kNever;
          // Parked before the letter is sent: nothing of the key can come in between.
          if (may_park && of.is_last(failure, message.attempt())) options.parked->park(key);
          return handled;
        };
  };
  return {.name = "poison",
          .layer = Layer::kPoison,
          .wrap = wrap,
          .takes_batches = options.parked == nullptr};
}

}  // namespace mallbots::toolkit
