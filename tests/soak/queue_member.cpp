#include <map>
#include <vector>

#include "clients/queue_consumer.h"
#include "tests/soak/worker.h"

namespace mallbots::test {
namespace {

using client::QueueMessage;
using client::QueueToken;

constexpr std::uint32_t kLockMs = 2'000;

class QueueMember {
 public:
  explicit QueueMember(Stage& stage)
      : stage_(stage), of_(' ' + stage.order.topic + ' ' + stage.order.group + ' ') {}

  int run();

 private:
  void note(const char* what, const QueueToken& token, const std::string& how) {
    stage_.notes.add(boot_now_ns(), what + of_ + std::to_string(token.partition) + ' ' +
                                        std::to_string(token.offset) + ' ' + how + ' ' +
                                        std::to_string(token.attempt));
  }
  void settle(const QueueToken& token, const std::string& how);
  void settle_some(bool all);
  void hear();

  Stage& stage_;
  std::string of_;
  std::unique_ptr<client::QueueConsumer> consumer_;
  std::vector<QueueToken> held_;
  std::map<QueueToken, std::string> asked_;  ///< not confirmed yet, and how
};

void QueueMember::settle(const QueueToken& token, const std::string& how) {
  note("settling", token, how);
  stage_.notes.write();
  const auto done = how == "ack" ? consumer_->ack(token)
                    : how == "nack"
                        ? consumer_->nack(token, static_cast<std::uint32_t>(stage_.roll(300)))
                        : consumer_->reject(token, {.type = "Soak"});
  if (done)
    asked_[token] = how;
  else
    note("refused", token, how);
}

/// Most at once, in the order in which they came; some wait, some so long that their lock ends.
void QueueMember::settle_some(bool all) {
  std::vector<QueueToken> kept;
  for (const QueueToken& token : held_) {
    const int luck = stage_.roll(100);
    if (luck < 15 && !all)
      kept.push_back(token);
    else
      settle(token, luck < 25 ? "nack" : luck < 26 ? "reject" : "ack");
  }
  held_ = std::move(kept);
}

/// Notes what was confirmed, and what was not accepted.
void QueueMember::hear() {
  for (const auto& failure : consumer_->take_failures()) {
    const auto found = asked_.find(failure.token);
    if (found == asked_.end()) continue;
    if (failure.code != ErrorCode::kAlreadySettled) note("refused", found->first, found->second);
    asked_.erase(found);
  }
  std::erase_if(asked_, [this](const auto& asked) {
    if (consumer_->is_unconfirmed(asked.first)) return false;
    note("settled", asked.first, asked.second);
    return true;
  });
  stage_.notes.write();
}

int QueueMember::run() {
  stage_.notes.write("locks" + of_ + std::to_string(kLockMs));
  consumer_ = must("open", client::QueueConsumer::open(
                               *stage_.connection,
                               {.max_in_flight = 32, .lock_ms = kLockMs, .max_deliveries = 0}));
  must("subscribe", consumer_->subscribe(std::vector{stage_.order.topic}, stage_.order.group));
  while (!asked_to_end()) {
    const auto batch = must("poll", consumer_->poll(Deadline::after_ms(100), 16));
    for (const QueueMessage& one : batch) {
      stage_.notes.add_delivery(
          boot_now_ns(), "held" + of_ + place_of(*one) + ' ' + value_of(*one) + ' ' + key_of(*one) +
                             ' ' + std::to_string(one.attempt) + ' ' +
                             std::to_string(one.lock_until_ns - kLockMs * kMillisecond));
      held_.push_back(one.token());
    }
    stage_.notes.write();
    settle_some(false);
    if (stage_.roll(2) == 0)
      static_cast<void>(consumer_->flush(Deadline::after_ms(kPatienceMs)));  // hear() tells
    hear();
  }
  settle_some(true);
  static_cast<void>(consumer_->flush(Deadline::after_ms(kPatienceMs)));
  hear();
  return 0;
}

}  // namespace

int consume_queue(Stage& stage) { return QueueMember{stage}.run(); }

}  // namespace mallbots::test
