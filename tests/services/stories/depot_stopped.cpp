#include "tests/services/stories/depot_stopped.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "shm/base/clock.h"
#include "tests/services/mall/mall_fixture.h"
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

constexpr int kCustomers = 4;
constexpr std::int64_t kPaceMs = 25;

enum class Phase : std::uint8_t { kWarmUp, kBefore, kStopped, kAfter };

struct Submit {
  Phase phase{};
  double ms = 0;
  int status = 0;
  std::string trouble;
};

/// Customers at as many kiosks, until they are told to go.
class Crowd {
 public:
  explicit Crowd(Scene& scene) {
    for (int i = 0; i < kCustomers; ++i)
      threads_.emplace_back([this, &scene, i](const std::stop_token& stop) {
        Customer customer(scene, "+44207946000" + std::to_string(i));
        while (!stop.stop_requested()) submits_[i].push_back(shop(customer));
      });
  }
  void turn_to(Phase phase, std::int64_t for_ms) {
    phase_ = phase;
    // sleep: a phase lasts so long
    std::this_thread::sleep_for(std::chrono::milliseconds{for_ms});
  }
  [[nodiscard]] std::vector<Submit> go_home() {
    for (std::jthread& thread : threads_) thread.request_stop();
    threads_.clear();
    std::vector<Submit> all;
    for (const auto& some : submits_) all.insert(all.end(), some.begin(), some.end());
    return all;
  }

 private:
  [[nodiscard]] Submit shop(Customer& customer) const {
    customer.leave();
    customer.put("mug", 2);
    customer.put("cake", 1);
    const Phase phase = phase_;
    const BootNanos begin = boot_now_ns();
    const Told told = customer.submit();
    const double ms = static_cast<double>(boot_now_ns() - begin) / 1e6;
    // sleep: the pace of a customer
    std::this_thread::sleep_for(std::chrono::milliseconds{kPaceMs});
    return {phase, ms, told.status, told.status == 201 ? "" : told.body};
  }

  std::atomic<Phase> phase_ = Phase::kWarmUp;
  std::array<std::vector<Submit>, kCustomers> submits_;  ///< each its thread's
  std::vector<std::jthread> threads_;
};

double p99_of(const std::vector<Submit>& submits, Phase phase, std::size_t* count = nullptr) {
  std::vector<double> times;
  for (const Submit& one : submits)
    if (one.phase == phase) times.push_back(one.ms);
  if (count != nullptr) *count = times.size();
  if (times.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(times.size() * 99 / 100);
  std::ranges::nth_element(times, times.begin() + at);
  return times[static_cast<std::size_t>(at)];
}

std::size_t approved_in(Scene& scene) {
  const auto counts =
      nlohmann::json::parse(scene.staff("GET", "orders/counts").body, nullptr, false);
  return counts.is_object() && counts.contains("by_status")
             ? counts["by_status"].value("approved", std::size_t{0})
             : 0;
}

}  // namespace

Noticed shop_while_the_depot_stands(const Patience& patience) {
  Scene scene(Manner::kSeparate, patience.limit_s, patience.is_killed ? "depot" : "");
  scene.open();
  Crowd crowd(scene);
  crowd.turn_to(Phase::kWarmUp, patience.before_ms / 4);
  crowd.turn_to(Phase::kBefore, patience.before_ms);
  RunningMall& mall = scene.mall();
  EXPECT_TRUE(patience.is_killed ? mall.kill_apart() : mall.signal("depot", SIGSTOP));
  crowd.turn_to(Phase::kStopped, patience.stopped_ms);
  EXPECT_TRUE(patience.is_killed ? mall.start_apart() : mall.signal("depot", SIGCONT));
  crowd.turn_to(Phase::kAfter, patience.before_ms / 4);
  const std::vector<Submit> submits = crowd.go_home();
  Noticed noticed{.submits = submits.size()};
  noticed.p99_before_ms = p99_of(submits, Phase::kBefore);
  noticed.p99_stopped_ms = p99_of(submits, Phase::kStopped, &noticed.submits_stopped);
  for (const Submit& one : submits) {
    if (one.status == 201) continue;
    ++noticed.failed;
    if (noticed.trouble.empty()) noticed.trouble = one.trouble;
  }
  EXPECT_TRUE(eventually(
      [&] {
        noticed.approved = approved_in(scene);
        return noticed.approved == noticed.submits - noticed.failed;
      },
      60));
  scene.close();
  return noticed;
}

}  // namespace mallbots::test
