#include <map>
#include <vector>

#include "clients/consumer.h"
#include "tests/soak/worker.h"

namespace mallbots::test {
namespace {

using client::Message;
using client::TopicPartition;

constexpr std::uint32_t kMaxPollIntervalMs = 1'500;

class Member {
 public:
  explicit Member(Stage& stage)
      : stage_(stage), of_(' ' + stage.order.topic + ' ' + stage.order.group + ' ') {}

  int run();

 private:
  void note_assignment(std::span<const TopicPartition> gained,
                       std::span<const TopicPartition> lost);
  void note_commit(PartitionIndex partition, Offset offset);
  void take(BootNanos begin_ns, std::span<const Message> batch);
  void commit_all();
  void commit_one(const Message& message);

  Stage& stage_;
  std::string of_;
  std::unique_ptr<client::Consumer> consumer_;
  std::map<PartitionIndex, Offset> given_;  ///< next offset, of what is not committed
};

void Member::note_assignment(std::span<const TopicPartition> gained,
                             std::span<const TopicPartition> lost) {
  for (const auto& partition : lost) {
    stage_.notes.add(boot_now_ns(), "dropped" + of_ + std::to_string(partition.partition));
    given_.erase(partition.partition);
  }
  for (const auto& partition : gained) {
    stage_.notes.add(boot_now_ns(), "gained" + of_ + std::to_string(partition.partition));
    given_.erase(partition.partition);
  }
  stage_.notes.write();
}

void Member::note_commit(PartitionIndex partition, Offset offset) {
  stage_.notes.add(boot_now_ns(),
                   "committed" + of_ + std::to_string(partition) + ' ' + std::to_string(offset));
}

void Member::take(BootNanos begin_ns, std::span<const Message> batch) {
  for (const Message& message : batch) {
    stage_.notes.add_delivery(begin_ns, "given" + of_ + place_of(message) + ' ' +
                                            value_of(message) + ' ' + key_of(message));
    given_[message.partition] = message.offset + 1;
  }
  stage_.notes.write();
  if (batch.empty() || stage_.roll(3) == 0)
    commit_all();
  else if (stage_.roll(3) == 0)
    commit_one(batch[static_cast<std::size_t>(stage_.roll(static_cast<int>(batch.size())))]);
}

void Member::commit_all() {
  if (given_.empty()) return;
  auto done = consumer_->commit();
  if (done && stage_.roll(4) == 0)
    done = consumer_->commit_durable(Deadline::after_ms(kPatienceMs));
  if (!done && done.error().code != ErrorCode::kFenced) give_up("commit", done.error());
  if (done)
    for (const auto& [partition, next] : given_) note_commit(partition, next);
  stage_.notes.write();
  given_.clear();
}

void Member::commit_one(const Message& message) {
  const auto done = consumer_->commit(message);
  if (!done && done.error().code != ErrorCode::kFenced) give_up("commit", done.error());
  if (done) note_commit(message.partition, message.offset + 1);
  stage_.notes.write();
}

int Member::run() {
  const auto told = [this](auto gained, auto lost) { note_assignment(gained, lost); };
  consumer_ = must("open", client::Consumer::open(*stage_.connection,
                                                  {.max_poll_interval_ms = kMaxPollIntervalMs,
                                                   .on_assignment = told}));
  const std::vector topics{stage_.order.topic};
  must("subscribe", consumer_->subscribe(topics, stage_.order.group));
  while (!asked_to_end()) {
    const BootNanos begin = boot_now_ns();
    const auto batch = consumer_->poll(Deadline::after_ms(100), 64);
    if (batch) {
      take(begin, *batch);
      continue;
    }
    if (batch.error().code != ErrorCode::kFenced) give_up("poll", batch.error());
    note_assignment({}, consumer_->assignment());  // it stood for too long
    given_.clear();
    must("subscribe", consumer_->subscribe(topics, stage_.order.group));
  }
  commit_all();
  return 0;
}

}  // namespace

int consume(Stage& stage) { return Member{stage}.run(); }

}  // namespace mallbots::test
