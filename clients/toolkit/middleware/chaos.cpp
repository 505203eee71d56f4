#include "clients/toolkit/middleware/chaos.h"

#include <charconv>
#include <memory>
#include <mutex>
#include <random>
#include <string>

namespace mallbots::toolkit {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  bool fall(double probability) {
    if (probability <= 0) return false;
    const std::scoped_lock lock{mutex_};
    return std::uniform_real_distribution<double>{0, 1}(random_) < probability;
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 random_;
};

}  // namespace

Result<ChaosOptions> chaos_from(std::string_view text) {
  ChaosOptions options;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const std::string_view name = word.substr(0, word.find(':'));
    const std::string_view value = word.substr(std::min(word.size(), name.size() + 1));
    double number = -1;
    std::from_chars(value.data(), value.data() + value.size(), number);
    double* const share = name == "fail"        ? &options.fail
                          : name == "lose"      ? &options.lose
                          : name == "duplicate" ? &options.duplicate
                          : name == "delay"     ? &options.delay
                                                : nullptr;
    if (name == "seed" && number >= 0)
      options.seed = static_cast<std::uint64_t>(number);
    else if (share != nullptr && number >= 0 && number <= 1)
      *share = number;
    else
      return fail(ErrorCode::kBadArgument, "chaos '" + std::string{word} + "'");
  }
  return options;
}

Middleware chaos(ChaosOptions options) {
  const auto dice = std::make_shared<Dice>(options.seed);
  const auto wrap = [options, dice](Handler next, const HandlerInfo& /*of*/) {
    return [options, dice, next = std::move(next)](Context& context,
                                                   const Message& message) -> Handled {
      if (dice->fall(options.delay)) return not_now("Chaos", "delayed", options.delay_ms);
      if (dice->fall(options.fail)) return not_now("Chaos", "failed", 1);
      Handled handled = next(context, message);
      if (handled && dice->fall(options.duplicate)) handled = next(context, message);
      if (handled && dice->fall(options.lose)) return not_now("Chaos", "its success was lost", 1);
      return handled;
    };
  };
  return {.name = "chaos", .layer = Layer::kChaos, .wrap = wrap, .takes_batches = true};
}

}  // namespace mallbots::toolkit
