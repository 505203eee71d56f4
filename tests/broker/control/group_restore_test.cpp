// What a broker that finds kept memory knows of groups.
#include <gtest/gtest.h>

#include "broker/control/group_driver.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::GroupDriver;

struct Flushed final : broker::GroupStoreListener {
  void flush_done(std::uint64_t, const Error* error) override { done = error == nullptr; }
  bool done = false;
};

TEST(GroupRestore, APositionThatFoundNoPlaceInMemoryComesFromTheDisk) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", {{"slot.bytes", "128KiB", false}});
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 10);
  instance.settle();
  TempDir dir;
  const broker::DataDirectory data{.path = dir / "groups"};
  ASSERT_TRUE(instance.disk().make_folder(data.path));
  {
    Flushed flushed;
    auto store = broker::GroupStore::open(instance.disk(), data.path, flushed);
    ASSERT_TRUE(store);
    (*store)->set_generation("g", 3);
    (*store)->set({"g", topic.id(), 0}, {instance.topics().log_epoch(), 5}, 10);
    static_cast<void>((*store)->flush());
    while (!flushed.done) instance.turn();
  }
  HoldingKeeper holder;
  broker::KeeperLink keeper = holder.connect();
  {
    bool kept = true;
    ASSERT_TRUE(broker::GroupTable::open(keeper, kept));
    ASSERT_FALSE(kept);
  }
  keeper = {};
  keeper = holder.connect();
  auto poller = broker::Poller::make();
  ASSERT_TRUE(poller);
  broker::Sessions sessions{{.registry = instance.registry(), .keeper = keeper, .poller = *poller},
                            {}};
  {
    GroupDriver groups{{.disk = instance.disk(),
                        .data = data,
                        .keeper = keeper,
                        .sessions = sessions,
                        .topics = instance.topics()},
                       {}};
    ASSERT_TRUE(groups.start(true, boot_now_ns()));
    const auto known = groups.describe("g");
    ASSERT_TRUE(known) << known.error().sentence();
    ASSERT_EQ(known->partitions.size(), 1U);
    ASSERT_TRUE(known->partitions[0].position);
    EXPECT_EQ(known->partitions[0].position->offset, 5U);
    BootNanos next = INT64_MAX;
    while (!groups.drain(next)) instance.turn();
  }
  keeper = {};
}

}  // namespace
}  // namespace mallbots::test
