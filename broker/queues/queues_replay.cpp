// Queues: the way back from the journal.
#include <algorithm>

#include "broker/queues/queues.h"

namespace mallbots::broker {

/// Carries out the journal's entries. A queue that is written whole counts from its end: one that a
/// crash cut short leaves what stood before.
class Queues::Replayer final : public QueueChanges {
 public:
  Replayer(Queues& queues, bool same_boot, BootNanos now)
      : queues_(queues), same_boot_(same_boot), now_(now) {}

  void granted(QueueNumber number, Offset offset, std::uint32_t attempt,
               const Holder& holder) override {
    if (Queue* queue = find(number)) queue->state.grant(offset, attempt, holder, INT64_MAX);
  }
  void done(QueueNumber number, Offset offset) override {
    if (Queue* queue = find(number)) queue->state.done(offset);
  }
  void put_back(QueueNumber number, Offset offset, const DueTime& due, bool counts,
                const DeliveryFailure* failure) override {
    if (Queue* queue = find(number)) queue->state.put_back(offset, today(due), counts, failure);
  }
  void died(QueueNumber number, Offset offset, DeathReason reason,
            const DeliveryFailure* failure) override {
    if (Queue* queue = find(number)) queue->state.die(offset, reason, failure);
  }
  void buried(QueueNumber number, Offset offset, Offset letter) override {
    if (Queue* queue = find(number)) queue->state.bury(offset, letter);
  }
  void low_moved(QueueNumber number, Position low) override {
    if (Queue* queue = find(number)) {
      queue->epoch = low.log_epoch;
      queue->state.move_low(low.offset);
    }
  }
  void begin(QueueNumber number, const QueueIdentity& identity, Position low) override {
    queues_.next_number_ = std::max(queues_.next_number_, number + 1);
    auto& shadow = queues_.shadows_[number];
    shadow = std::make_unique<Queue>();
    shadow->number = number;
    shadow->identity = identity;
    shadow->epoch = low.log_epoch;
    shadow->state = QueueState{low.offset};
  }
  void done_bits(QueueNumber number, Offset first, const std::vector<bool>& bits) override {
    Queue* const shadow = shadow_of(number);
    if (shadow == nullptr) return;
    for (std::size_t i = 0; i < bits.size(); ++i)
      if (bits[i]) shadow->state.done(first + i);
  }
  void item(QueueNumber number, const ItemView& item) override {
    Queue* const shadow = shadow_of(number);
    if (shadow == nullptr) return;
    ItemView here = item;
    here.due = today(item.due);
    shadow->state.restore(here);
  }
  void end(QueueNumber number) override {
    const auto found = queues_.shadows_.find(number);
    if (found == queues_.shadows_.end()) return;
    const QueueIdentity identity = found->second->identity;
    auto& queue = queues_.add_group(identity.group).queues[{identity.topic, identity.partition}];
    if (queue) queues_.by_number_.erase(queue->number);
    queue = std::move(found->second);
    queues_.by_number_[number] = queue.get();
    queues_.shadows_.erase(found);
  }
  void limits(const std::string& group, std::uint32_t max_deliveries) override {
    queues_.add_group(group).max_deliveries = max_deliveries;
  }
  void forgotten(const std::string& group) override {
    const auto found = queues_.groups_.find(group);
    if (found == queues_.groups_.end()) return;
    for (const auto& [key, queue] : found->second->queues) queues_.by_number_.erase(queue->number);
    queues_.groups_.erase(found);
  }
  void topic_forgotten(TopicId topic) override {
    for (const auto& [name, group] : queues_.groups_)
      std::erase_if(group->queues, [&](const auto& one) {
        if (one.first.first != topic) return false;
        queues_.by_number_.erase(one.second->number);
        return true;
      });
  }

 private:
  [[nodiscard]] Queue* find(QueueNumber number) const {
    const auto found = queues_.by_number_.find(number);
    return found == queues_.by_number_.end() ? nullptr : found->second;
  }
  [[nodiscard]] Queue* shadow_of(QueueNumber number) const {
    const auto found = queues_.shadows_.find(number);
    return found == queues_.shadows_.end() ? nullptr : found->second.get();
  }
  /// Boot times of another boot mean nothing: what is left of the delay by the wall clock, which
  /// may have jumped, but never more than the delay itself.
  [[nodiscard]] DueTime today(const DueTime& due) const {
    if (due.boot_ns == 0 || same_boot_) return due;
    const std::int64_t left_ms = std::clamp<std::int64_t>(due.wall_ms - queues_.host_.wall_ms(), 0,
                                                          static_cast<std::int64_t>(due.delay_ms));
    DueTime here = due;
    here.boot_ns = now_ + left_ms * kMillisecond;
    return here;
  }

  Queues& queues_;
  bool same_boot_;
  BootNanos now_;
};

Result<void> Queues::replay(std::span<const std::byte> payload, bool same_boot, BootNanos now) {
  bytes_since_round_ += payload.size();
  Replayer replayer{*this, same_boot, now};
  return read_queue_changes(payload, replayer);
}

void Queues::started(bool memory_kept, BootNanos now) {
  shadows_.clear();
  std::set<TopicId> gone;
  for (const auto& [name, group] : groups_) {
    for (const auto& [key, queue] : group->queues) {
      const auto topic = topics_.find(key.first);
      const bool is_gone = topic == topics_.end() || key.second >= topic->second.partitions ||
                           (topic->second.memory_only && !memory_kept);
      if (is_gone) gone.insert(key.first);
    }
  }
  for (const TopicId topic : gone) {
    Replayer{*this, memory_kept, now}.topic_forgotten(topic);
    writer_.topic_forgotten(topic);
  }
  for (const auto& [name, group] : groups_) {
    for (const auto& [key, queue] : group->queues) {
      queue->state.set_max_deliveries(group->max_deliveries);
      const LogState log = host_.log(key.first, key.second);
      const Offset low = host_.settle(key.first, key.second, {queue->epoch, queue->state.low()});
      const Offset before = queue->state.low();
      if (low != before) {
        host_.report(queue->identity,
                     "set back to offset " + std::to_string(low) + ": records behind it were lost");
        queue->state.move_low(low);
      }
      // The epoch of what is acknowledged from now on has to be known to the start after this one.
      if (low != before || queue->epoch != log.epoch) {
        writer_.low_moved(queue->number, {log.epoch, low});
      }
      queue->epoch = log.epoch;
      for (const ItemView& item : queue->state.all_in(ItemState::kBuried)) {
        // The power took the letter, or its topic was deleted, and not the journal's word of it.
        if (!host_.has_letter(queue->identity, item.letter)) lose_letter(*queue, item);
      }
      for (const ItemView& item : queue->state.all_in(ItemState::kHeld)) {
        if (!memory_kept) {
          // The power went, not the consumer.
          queue->state.put_back(item.offset, {}, true, nullptr);
          writer_.put_back(queue->number, item.offset, {}, true, nullptr);
          continue;
        }
        if (host_.is_alive(item.holder)) {
          Member& member = group->members[item.holder.session];
          member.holder = item.holder;
          ++member.held;
          queue->state.extend(item.offset, now + options_.restart_lock_ns);
          continue;
        }
        fail_item(*group, *queue, item,
                  {.type = "ConsumerDied",
                   .text = "the session that held the message ended",
                   .handler = {},
                   .time_ms = host_.wall_ms()},
                  {});
      }
    }
  }
}

}  // namespace mallbots::broker
