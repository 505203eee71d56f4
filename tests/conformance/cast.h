// What the cases are made of: messages with a number, publishers and members on threads of their
// own, and what the members received.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/cases.h"

namespace mallbots::test {

/// For what every bus must do at once.
inline constexpr std::int64_t kPatienceMs = 20'000;

/// Publishes the texts in one call, each with the key that `key_of` gives (empty: none).
Findings publish(BusUnderTest& bus, const std::string& topic, const std::vector<std::string>& texts,
                 const std::function<std::string(const std::string&)>& key_of = {});
/// "0" to "count - 1" behind a prefix.
[[nodiscard]] std::vector<std::string> numbers(int count, const std::string& prefix = {},
                                               int first = 0);
/// One of 16 keys.
[[nodiscard]] std::string key_of_number(const std::string& text);
[[nodiscard]] toolkit::SubscribeOptions group(const std::string& topic, const std::string& name);

struct Receipt {
  std::string topic;
  std::string key;
  std::string text;
  std::uint32_t attempt = 0;
  std::string position;  ///< partition and offset
  std::size_t member = 0;
};

/// Members of one group, a thread each, that acknowledge what they get.
class Crew {
 public:
  /// What a member does with a delivery; true: it acknowledges.
  using Handler = std::function<bool(const toolkit::Delivery& delivery)>;

  explicit Crew(BusUnderTest& bus) : bus_(&bus) {}
  ~Crew() { dismiss(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// One subscription, read by `threads`.
  void hire(const toolkit::SubscribeOptions& options, int threads = 1, Handler handler = {});
  /// Waits until `count` different messages were acknowledged; false: patience ended.
  bool wait_for(std::size_t count);
  /// Ends the threads and closes the subscriptions.
  void dismiss();

  /// All acknowledged deliveries, in the order in which they were handed out.
  [[nodiscard]] std::vector<Receipt> done() const;
  [[nodiscard]] std::vector<std::string> texts() const;
  /// Messages that more than one delivery acknowledged, who did and in which attempt.
  [[nodiscard]] Findings doubles() const;
  [[nodiscard]] Findings findings() const;
  void find(const std::string& finding);

 private:
  void work(toolkit::Subscription& subscription, std::size_t member, const Handler& handler);

  BusUnderTest* bus_;
  std::vector<std::unique_ptr<toolkit::Subscription>> subscriptions_;
  std::vector<std::jthread> threads_;
  std::atomic<bool> over_{false};
  mutable std::mutex mutex_;
  std::vector<Receipt> done_;
  std::set<std::string> distinct_;
  Findings findings_;
};

void add(Findings& all, const Findings& more);
/// What is missing, comes twice or was never sent.
[[nodiscard]] Findings compare(std::vector<std::string> sent, std::vector<std::string> received);
/// Receives one delivery or says why not.
[[nodiscard]] std::optional<toolkit::Delivery> receive(toolkit::Subscription& subscription,
                                                       Findings& findings,
                                                       std::int64_t patience_ms = kPatienceMs);

}  // namespace mallbots::test
