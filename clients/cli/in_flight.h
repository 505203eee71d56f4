// Records that were appended and wait for the disk, by partition and in their order. Main thread;
// knows no broker, so that its rules can be tried alone.
//
// Records that are lost before they were acknowledged (the memory went without a clean stop) are
// the last ones of their partition: from the first one lost on, all are sent again in their order.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "clients/producer.h"

namespace mallbots::client::cli {

struct Flying {
  std::uint64_t line = 0;
  std::string key;
  std::string payload;
  Receipt receipt;
  Deadline deadline = Deadline::never();
};

class InFlight {
 public:
  void add(Flying record) {
    bytes_ += record.key.size() + record.payload.size();
    ++records_;
    by_partition_[record.receipt.partition].push_back(std::move(record));
  }
  [[nodiscard]] std::size_t records() const noexcept { return records_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return records_ == 0; }

  /// Front to back; partitions without records are not in it.
  [[nodiscard]] std::map<PartitionIndex, std::deque<Flying>>& by_partition() noexcept {
    return by_partition_;
  }

  /// Takes the first record of a partition off.
  [[nodiscard]] Flying take_front(PartitionIndex partition) {
    auto& queue = by_partition_.at(partition);
    Flying record = std::move(queue.front());
    queue.pop_front();
    --records_;
    bytes_ -= record.key.size() + record.payload.size();
    if (queue.empty()) by_partition_.erase(partition);
    return record;
  }
  /// Takes all of a partition off.
  [[nodiscard]] std::deque<Flying> take_all(PartitionIndex partition) {
    std::deque<Flying> queue = std::move(by_partition_.at(partition));
    by_partition_.erase(partition);
    records_ -= queue.size();
    for (const Flying& record : queue) bytes_ -= record.key.size() + record.payload.size();
    return queue;
  }
  /// How many records at the front of the partition lie below `durable`, all of one log epoch: the
  /// last of them being durable means that all are.
  [[nodiscard]] static std::size_t candidates(const std::deque<Flying>& queue, Offset durable) {
    std::size_t count = 0;
    while (count < queue.size() && queue[count].receipt.offset < durable &&
           queue[count].receipt.log_epoch == queue.front().receipt.log_epoch)
      ++count;
    return count;
  }
  /// The partition whose first record was appended first.
  [[nodiscard]] PartitionIndex oldest() const {
    PartitionIndex best = by_partition_.begin()->first;
    for (const auto& [partition, queue] : by_partition_)
      if (queue.front().line < by_partition_.at(best).front().line) best = partition;
    return best;
  }

 private:
  std::map<PartitionIndex, std::deque<Flying>> by_partition_;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace mallbots::client::cli
