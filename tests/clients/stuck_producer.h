// StuckProducer: has taken the word of partition 0 as one that is about to write, and stays there
// until it is fenced. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "clients/connection.h"
#include "clients/internal/link.h"
#include "clients/internal/slot_cache.h"
#include "clients/internal/topic_memory.h"
#include "shm/concurrent/slot_word.h"

namespace mallbots::test {

class StuckProducer {
 public:
  StuckProducer(client::Connection& connection, const std::string& name)
      : session_(connection.session()) {
    const Deadline soon = Deadline::after_ms(5'000);
    auto topic = client::TopicMemory::open(connection.link(), name, shm::Intent::kProduce, soon);
    if (!topic) return;
    topic_ = std::move(*topic);
    slots_.emplace(*topic_, 0, shm::Access::kReadWrite);
    slots_->may_ask(soon);
    while (!is_inside_ && !soon.has_passed()) try_to_enter();
  }

  [[nodiscard]] bool is_inside() const noexcept { return is_inside_; }
  /// Commits what it never wrote. False: it was fenced, as it must be.
  [[nodiscard]] bool commits() const {
    return shm::commit(*slot_.header, held_, held_.tail_units() + 4);
  }

 private:
  void try_to_enter() {
    const shm::PartitionBoard& board = topic_->board(0);
    const SlotGen open = board.open_hint.load();
    const auto& entry = board.entries[open % topic_->header().slots];
    slot_ = slots_->map_slot(entry.slot_id.load());
    if (slot_.header == nullptr) return;  // it was replaced under our eyes
    const shm::Word seen = shm::load_word(*slot_.header);
    if (!seen.sealed() && !seen.owned() && shm::try_acquire(*slot_.header, seen, session_)) {
      held_ = seen.acquired_by(session_);
      is_inside_ = true;
    } else {
      slots_->drop_slot(slot_);
    }
  }

  SessionIndex session_;
  std::unique_ptr<client::TopicMemory> topic_;
  std::optional<client::SlotCache> slots_;
  shm::SlotMemory slot_{};
  shm::Word held_{};
  bool is_inside_ = false;
};

}  // namespace mallbots::test
