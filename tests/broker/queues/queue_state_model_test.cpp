// QueueState against a model that keeps a list of records and looks through all of it each time.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "broker/queues/queue_state.h"

namespace mallbots::test {
namespace {

using broker::DeathReason;
using broker::DueTime;
using broker::Holder;
using broker::ItemState;
using broker::QueueState;

const bool kManyRuns = [] {
  return ::setenv("RC_PARAMS", "max_success=2000 max_size=200", 0) == 0;
}();

constexpr std::uint32_t kMaxDeliveries = 3;

struct Op {
  std::uint8_t kind;
  std::uint8_t which;
};

struct Record {
  std::uint64_t key = 0;
  ItemState state = ItemState::kWaiting;
  std::uint32_t attempts = 0;
  BootNanos time = 0;
};

class Model {
 public:
  std::vector<Record> records;

  [[nodiscard]] bool may_go(std::size_t i, bool last_chance, BootNanos now) const {
    const Record& record = records[i];
    if (record.state != ItemState::kWaiting || record.time > now) return false;
    if ((record.attempts + 1 >= kMaxDeliveries) != last_chance) return false;
    for (std::size_t j = 0; record.key != 0 && j < i; ++j)
      if (records[j].key == record.key && records[j].state != ItemState::kDone) return false;
    return true;
  }
  [[nodiscard]] std::size_t next(bool last_chance, BootNanos now) const {
    std::size_t i = 0;
    while (i < records.size() && !may_go(i, last_chance, now)) ++i;
    return i;
  }
  [[nodiscard]] Offset low() const {
    Offset low = 0;
    while (low < records.size() && records[low].state == ItemState::kDone) ++low;
    return low;
  }
  [[nodiscard]] std::vector<Offset> all_in(ItemState state) const {
    std::vector<Offset> all;
    for (Offset i = low(); i < records.size(); ++i)
      if (records[i].state == state) all.push_back(i);
    return all;
  }
};

class Pair {
 public:
  Pair() { state_.set_max_deliveries(kMaxDeliveries); }

  void run(const Op& op) {
    switch (op.kind % 10) {
      case 0:
      case 1:
        return load(op.which);
      case 2:
      case 3:
        return grant(op.which % 4 == 0);
      case 4:
        return with(ItemState::kHeld, op.which, [&](Offset at, Record& record) {
          state_.done(at);
          record.state = ItemState::kDone;
        });
      case 5:
        return with(ItemState::kHeld, op.which, [&](Offset at, Record& record) {
          const BootNanos due = op.which % 3 == 0 ? 0 : now_ + op.which;
          state_.put_back(at, {.boot_ns = due, .wall_ms = 0, .delay_ms = 1}, true, nullptr);
          record.state = ItemState::kWaiting;
          record.time = due;
        });
      case 6:
        return with(ItemState::kHeld, op.which, [&](Offset at, Record& record) {
          state_.die(at, DeathReason::kAttempts, nullptr);
          record.state = ItemState::kDead;
        });
      case 7:
        return with(ItemState::kDead, op.which, [&](Offset at, Record& record) {
          state_.bury(at, 1);
          state_.done(at);
          record.state = ItemState::kDone;
        });
      case 8:
        now_ += op.which;
        state_.wake(now_);
        while (const auto at = state_.expired(now_)) {
          RC_ASSERT(model_.records[*at].state == ItemState::kHeld);
          RC_ASSERT(model_.records[*at].time <= now_);
          state_.put_back(*at, {}, true, nullptr);
          model_.records[*at].state = ItemState::kWaiting;
          model_.records[*at].time = 0;
        }
        for (const Offset at : model_.all_in(ItemState::kHeld))
          RC_ASSERT(model_.records[at].time > now_);
        return;
      default:
        return with(ItemState::kHeld, op.which, [&](Offset at, Record& record) {
          record.time = now_ + 1 + op.which;
          state_.extend(at, record.time);
        });
    }
  }

  void check() {
    RC_ASSERT(state_.low() == model_.low());
    for (const ItemState in : {ItemState::kHeld, ItemState::kDead, ItemState::kBuried}) {
      const auto mine = model_.all_in(in);
      RC_ASSERT(state_.count(in) == mine.size());
      const auto theirs = state_.all_in(in);
      RC_ASSERT(theirs.size() == mine.size());
      for (std::size_t i = 0; i < mine.size(); ++i) RC_ASSERT(theirs[i].offset == mine[i]);
    }
    for (const bool last_chance : {false, true}) {
      const std::size_t mine = model_.next(last_chance, now_);
      // Asking for the others first lets each find its list.
      static_cast<void>(state_.next_ready(!last_chance));
      const auto theirs = state_.next_ready(last_chance);
      RC_ASSERT((theirs ? theirs->offset : model_.records.size()) == mine);
    }
  }

 private:
  void load(std::uint8_t which) {
    model_.records.push_back({.key = which % 5U});
    state_.load(model_.records.size() - 1, which % 5U);
  }
  void grant(bool last_chance) {
    const std::size_t at = model_.next(last_chance, now_);
    if (at == model_.records.size()) return;
    Record& record = model_.records[at];
    state_.grant(at, ++record.attempts, Holder{.session = 1, .token = 1}, now_ + 40);
    record.state = ItemState::kHeld;
    record.time = now_ + 40;
  }
  template <class Do>
  void with(ItemState in, std::uint8_t which, Do what) {
    const auto all = model_.all_in(in);
    if (all.empty()) return;
    const Offset at = all[which % all.size()];
    what(at, model_.records[at]);
  }

  QueueState state_;
  Model model_;
  BootNanos now_ = 1;
};

TEST(QueueStateModel, DoesWhatALookThroughTheWholeListWouldDo) {
  EXPECT_TRUE(kManyRuns || std::getenv("RC_PARAMS") != nullptr);
  EXPECT_TRUE(rc::check([](const std::vector<std::pair<std::uint8_t, std::uint8_t>>& steps) {
    Pair pair;
    for (const auto& [kind, which] : steps) {
      pair.run({kind, which});
      pair.check();
    }
  }));
}

}  // namespace
}  // namespace mallbots::test
