#include "services/simulators/load/kiosk_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/toolkit/message.h"
#include "services/orders/contract.h"
#include "shm/base/clock.h"

namespace mallbots::load {
namespace {

using nlohmann::json;
using simulators::Answer;
using simulators::HttpClient;

constexpr const char* kOrders = "mallbots.orders.events.Order";
constexpr std::int64_t kApprovedMs = 30'000;
constexpr std::int64_t kCatalogueMs = 20'000;

/// What the topic tells of orders, for those who wait for one.
class Approvals {
 public:
  /// When the order was approved. 0: rejected. Nothing: not within kApprovedMs.
  std::optional<BootNanos> wait_for(const std::string& order) {
    std::unique_lock lock{mutex_};
    const auto is_known = [&] { return ended_.contains(order); };
    if (!came_.wait_for(lock, std::chrono::milliseconds{kApprovedMs}, is_known))
      return std::nullopt;
    const BootNanos at = ended_.at(order);
    ended_.erase(order);
    return at;
  }
  Result<void> listen(const std::stop_token& stop, client::Connection& connection,
                      std::atomic<bool>& is_ready) {
    auto consumer = client::Consumer::open(connection);
    if (!consumer) return std::unexpected(consumer.error());
    MALLBOTS_TRY((*consumer)->assign(kOrders, {}, client::Start::end()));
    is_ready = true;
    is_ready.notify_all();
    while (!stop.stop_requested()) {
      const auto messages = (*consumer)->poll(Deadline::after_ms(100));
      if (!messages && !client::is_setback(messages.error().code))
        return std::unexpected(messages.error());
      if (messages) take(*messages);
    }
    return {};
  }

 private:
  void take(std::span<const client::Message> messages) {
    const BootNanos now = boot_now_ns();
    const std::lock_guard lock{mutex_};
    for (const client::Message& message : messages) {
      const std::string_view name = toolkit::Message{message}.name();
      const bool is_approved = name == approved_;
      if (!is_approved && name != rejected_) continue;
      constexpr std::string_view kPrefix = "order-";  // of its stream
      std::string_view id = message.key_text();
      if (id.starts_with(kPrefix)) id.remove_prefix(kPrefix.size());
      ended_.emplace(id, is_approved ? now : 0);
    }
    came_.notify_all();
  }

  const std::string approved_ = toolkit::kMessageType<ordersapi::OrderApproved>.wire_name();
  const std::string rejected_ = toolkit::kMessageType<ordersapi::OrderRejected>.wire_name();
  std::mutex mutex_;
  std::condition_variable came_;
  std::map<std::string, BootNanos, std::less<>> ended_;
};

/// One kiosk, and what its customers saw.
class Kiosk {
 public:
  Kiosk(const LoadOptions& options, Approvals& approvals, std::size_t number)
      : client_(options.kiosk),
        approvals_(&approvals),
        name_(fmt::format("load-{}-{}", boot_now_ns(), number)) {}

  Result<void> order_until(BootNanos count_from, BootNanos end) {
    while (boot_now_ns() < end) MALLBOTS_TRY(order(count_from, end));
    figures_.repetitions = client_.repetitions();
    return {};
  }
  [[nodiscard]] const LoadFigures& figures() const noexcept { return figures_; }

 private:
  /// Nothing: it was no 2xx, and is a failure.
  Result<std::optional<json>> ask(simulators::Question question) {
    if (!token_.empty()) question.headers["Cart-Token"] = token_;
    const auto answer = client_.ask(question);
    if (!answer) return std::unexpected(answer.error());
    if (answer->is_good()) return json::parse(answer->body, nullptr, false);
    failed(fmt::format("{} {}: {} {}", question.method, question.path, answer->status,
                       answer->body.substr(0, 300)));
    return std::nullopt;
  }
  void failed(std::string what) {
    if (figures_.failures++ == 0) figures_.first_failure = std::move(what);
  }
  Result<void> order(BootNanos count_from, BootNanos end) {
    const std::string key = fmt::format("{}-{:010}", name_, ++orders_);
    token_.clear();
    const auto made = ask({"POST", "/kiosk/v1/carts", "", {{"Idempotency-Key", key}}});
    if (!made) return std::unexpected(made.error());
    if (!*made) return {};
    token_ = (**made).value("token", "");
    const std::string id = (**made)["cart"].value("id", "");
    const std::string cart = "/kiosk/v1/carts/" + id;
    for (const auto& [product, quantity] : {std::pair{"load-mug", 2}, std::pair{"load-cake", 1}}) {
      const auto put =
          ask({"PUT", cart + "/items/" + product, json{{"quantity", quantity}}.dump()});
      if (!put) return std::unexpected(put.error());
      if (!*put) return {};
    }
    const json body = {{"phone", fmt::format("+447700{:06}", orders_ % 1'000'000)},
                       {"name", "Load"},
                       {"card_token", "tok_load"},
                       {"confirmed_total", {{"minor", 699}, {"currency", "GBP"}}}};
    const BootNanos begin = boot_now_ns();
    const auto submitted = ask({"POST", cart + "/submit", body.dump(), {{"Idempotency-Key", key}}});
    if (!submitted) return std::unexpected(submitted.error());
    if (!*submitted) return {};
    const BootNanos answered = boot_now_ns();
    const auto approved = approvals_->wait_for(id);
    if (!approved || *approved == 0) {
      failed(fmt::format("order {} was {}", id, approved ? "rejected" : "not approved in time"));
      return {};
    }
    if (*approved < count_from || *approved > end) return {};
    figures_.submit_us.push_back((answered - begin) / 1'000);
    figures_.approved_us.push_back((*approved - begin) / 1'000);
    return {};
  }

  HttpClient client_;
  Approvals* approvals_;
  std::string name_;
  std::string token_;
  std::uint64_t orders_ = 0;
  LoadFigures figures_;
};

/// Carts hear of new products through the broker.
Result<void> wait_for_catalogue(const LoadOptions& options) {
  HttpClient client(options.kiosk);
  const auto made = client.ask({"POST", "/kiosk/v1/carts"});
  if (!made) return std::unexpected(made.error());
  const json cart = json::parse(made->body, nullptr, false);
  if (!made->is_good() || !cart.is_object())
    return fail(ErrorCode::kRefused, "no cart: " + made->body.substr(0, 300));
  const std::string path = "/kiosk/v1/carts/" + cart["cart"].value("id", "") + "/items/load-cake";
  for (const Deadline patience = Deadline::after_ms(kCatalogueMs);;) {
    const auto put =
        client.ask({"PUT", path, R"({"quantity":1})", {{"Cart-Token", cart.value("token", "")}}});
    if (!put) return std::unexpected(put.error());
    if (put->is_good()) return {};
    if (patience.has_passed())
      return fail(ErrorCode::kTimeout, "carts do not know the products: " + put->body);
    // sleep: asked again until the catalogue has reached the carts
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
}

void add(LoadFigures& all, const LoadFigures& one) {
  all.failures += one.failures;
  all.repetitions += one.repetitions;
  if (all.first_failure.empty()) all.first_failure = one.first_failure;
  all.submit_us.insert(all.submit_us.end(), one.submit_us.begin(), one.submit_us.end());
  all.approved_us.insert(all.approved_us.end(), one.approved_us.begin(), one.approved_us.end());
}

}  // namespace

std::int64_t percentile(const std::vector<std::int64_t>& sorted, double percent) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(static_cast<double>(sorted.size()) * percent / 100);
  return sorted[std::min(at, sorted.size() - 1)];
}

Result<LoadFigures> run_load(const LoadOptions& options) {
  MALLBOTS_TRY(wait_for_catalogue(options));
  auto connection = client::Connection::open(
      {.instance = options.instance, .runtime_dir = options.runtime_dir, .name = "kiosk_load"});
  if (!connection) return std::unexpected(connection.error());
  Approvals approvals;
  Result<void> heard;
  std::atomic<bool> is_ready = false;
  std::jthread listener([&](const std::stop_token& stop) {
    heard = approvals.listen(stop, **connection, is_ready);
    is_ready = true;
    is_ready.notify_all();
  });
  is_ready.wait(false);
  const auto length = static_cast<BootNanos>(options.seconds * static_cast<double>(kSecond));
  const BootNanos count_from = boot_now_ns() + length / 10;
  const BootNanos end = count_from + length;
  std::vector<std::unique_ptr<Kiosk>> kiosks;
  std::vector<Result<void>> ended(options.kiosks);
  {
    std::vector<std::jthread> threads;
    for (std::size_t number = 0; number < options.kiosks; ++number) {
      Kiosk& kiosk = *kiosks.emplace_back(std::make_unique<Kiosk>(options, approvals, number));
      threads.emplace_back([&, number] { ended[number] = kiosk.order_until(count_from, end); });
    }
  }
  listener.request_stop();
  listener.join();
  MALLBOTS_TRY(heard);
  for (const Result<void>& one : ended) MALLBOTS_TRY(one);
  LoadFigures all{.seconds = options.seconds};
  for (const auto& kiosk : kiosks) add(all, kiosk->figures());
  std::ranges::sort(all.submit_us);
  std::ranges::sort(all.approved_us);
  return all;
}

}  // namespace mallbots::load
