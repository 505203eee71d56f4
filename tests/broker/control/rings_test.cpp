#include "broker/control/rings.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/concurrent/ingest.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::HandedIn;
using broker::Rings;

class Taking final : public broker::Admission {
 public:
  broker::Verdict admit(HandedIn&) override { return broker::Verdict::accepted(); }
  void appended(const HandedIn&, Offset, UnixMillis,
                std::span<std::uint64_t, shm::kIngestExtras>) override {}
  void recalled(const HandedIn&, Offset, std::span<std::uint64_t, shm::kIngestExtras>) override {}
};

/// One session, and the rings that brokers one after the other have for it.
class RingsTest : public testing::Test {
 protected:
  std::unique_ptr<Rings> rings(bool streams_can_be_read) {
    link_ = {};
    link_ = keeper_.connect();
    auto made = Rings::make({.keeper = link_,
                             .registry = instance_.registry(),
                             .sessions = sessions_,
                             .topics = instance_.topics(),
                             .broker_eventfd = wake_.get()},
                            {});
    if (!made) throw std::runtime_error(made.error().sentence());
    (*made)->on_partition([=](broker::Topic&, PartitionIndex) {
      return streams_can_be_read ? std::make_shared<Taking>() : nullptr;
    });
    return std::move(*made);
  }
  /// A client's view of a new ring.
  shm::Mapping open(Rings& rings, broker::Topic& topic) {
    const auto opened = rings.open(who_, topic, {});
    if (!opened) throw std::runtime_error(opened.error().sentence());
    producer_id_ = opened->reply.producer_id;
    return shm::Mapping::of(opened->memory.get(), shm::ingest_ring_bytes(opened->reply.data_bytes),
                            shm::Access::kReadWrite)
        .value();
  }

  LogInstance instance_;
  HoldingKeeper keeper_;
  broker::KeeperLink link_, no_link_;
  shm::UniqueFd wake_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  broker::Poller poller_ = broker::Poller::make().value();
  broker::Sessions sessions_{
      {.registry = instance_.registry(), .keeper = no_link_, .poller = poller_}, {}};
  broker::Session& who_ =
      *sessions_
           .open({.pid = getpid(),
                  .uid = geteuid(),
                  .pidfd = shm::UniqueFd{static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))}},
                 "client")
           .value();
  std::uint64_t producer_id_ = 0;
};

TEST_F(RingsTest, AnHeirClosesTheRingsOfAPartitionThatIsGone) {
  auto first = rings(true);
  const shm::Mapping ring = open(*first, instance_.make("t", {{"ingest", "sequenced", false}}));
  first.reset();
  ASSERT_TRUE(instance_.topics().remove("t"));
  const auto second = rings(true);
  ASSERT_TRUE(second->restore());
  EXPECT_TRUE(shm::is_closed(*ring.as<shm::IngestRing>()));
  EXPECT_EQ(second->count(), 0U);
}

TEST_F(RingsTest, AnHeirThatCannotReadTheStreamsClosesTheirRingsAndLeavesNoEntryInDoubtUnsaid) {
  broker::Topic& topic = instance_.make("t", {{"type", "events", false}});
  auto first = rings(true);
  const shm::Mapping memory = open(*first, topic);
  auto& ring = *memory.as<shm::IngestRing>();
  first.reset();
  // Died between the append and the answer.
  const auto client = instance_.attach(topic);
  client->seat.author.producer_id = producer_id_;
  shm::Appender appender{client->parts, client->seat};
  append_all(instance_, appender, 0, 1);
  shm::entry_of(ring, 0).sequence = 1;
  shm::hand_in(ring, 0);
  ASSERT_TRUE(shm::take(ring, 0));
  const auto second = rings(false);
  ASSERT_TRUE(second->restore());
  EXPECT_TRUE(shm::is_closed(ring));
  const auto answer = shm::load_answer(ring, 0);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, static_cast<std::uint32_t>(ErrorCode::kInDoubt));
}

}  // namespace
}  // namespace mallbots::test
