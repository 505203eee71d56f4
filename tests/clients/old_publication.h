// OldPublication: the publication line of a partition's first slot as it is now, to be stored once
// more later: as a producer does that stood still between its commit and its publication while
// others went on.
#pragma once

#include <memory>

#include "clients/connection.h"
#include "clients/internal/slot_cache.h"
#include "clients/internal/topic_memory.h"
#include "shm/concurrent/slot_word.h"

namespace mallbots::test {

class OldPublication {
 public:
  OldPublication(client::Connection& connection, const std::string& topic, PartitionIndex partition)
      : topic_(std::move(client::TopicMemory::open(connection.link(), topic, shm::Intent::kProduce,
                                                   Deadline::after_ms(5'000))
                             .value())),
        slots_(*topic_, partition, shm::Access::kReadWrite) {
    slots_.may_ask(Deadline::after_ms(5'000));
    slot_ = slots_.map_slot(shm::slot_on_board(topic_->parts(partition, slots_), 0).value());
    word_ = shm::load_word(*slot_.header);
  }
  void store() const { shm::publish(*slot_.header, 0, word_); }

 private:
  std::unique_ptr<client::TopicMemory> topic_;
  client::SlotCache slots_;
  shm::SlotMemory slot_;
  shm::Word word_;
};

}  // namespace mallbots::test
