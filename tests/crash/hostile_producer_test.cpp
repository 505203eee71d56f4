// A producer of a sequenced topic that writes random bytes wherever it may: the broker lives, and
// nobody else is touched. MALLBOTS_CHECK=full: a minute of it.
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <random>

#include "clients/internal/link.h"
#include "clients/internal/topic_memory.h"
#include "shm/concurrent/ingest.h"
#include "tests/clients/fixture.h"

namespace mallbots::test {
namespace {

using client::as_bytes;

constexpr uid_t kNobody = 65'534;

std::int64_t seconds() {
  const char* const check = std::getenv("MALLBOTS_CHECK");
  if (check == nullptr) return 2;
  return std::string_view{check} == "full" ? 60 : 5;
}

/// Everything that the session may write, and what it hurts there.
class Hostile {
 public:
  bool attach(const std::string& runtime_dir) {
    auto connection = client::Connection::open({.runtime_dir = runtime_dir, .name = "hostile"});
    if (!connection) return false;
    connection_ = std::move(*connection);
    const Deadline deadline = Deadline::after_ms(10'000);
    auto topic =
        client::TopicMemory::open(connection_->link(), "theirs", shm::Intent::kProduce, deadline);
    if (!topic) return false;
    topic_ = std::move(*topic);
    for (int i = 0; i < 4; ++i) {
      std::vector<shm::UniqueFd> fds;
      const auto reply = connection_->link().ask<shm::OpenRingReply>(
          shm::OpenRing{.topic_id = topic_->topic_id()}, deadline, &fds);
      if (!reply || fds.size() != 2) return false;
      auto memory = shm::Mapping::of(fds[0].get(), shm::ingest_ring_bytes(reply->data_bytes),
                                     shm::Access::kReadWrite);
      if (!memory) return false;
      rings_.push_back(std::move(*memory));
      wake_ = std::move(fds[1]);
    }
    return true;
  }
  void rage(Deadline until) {
    while (!until.has_passed()) {
      for (int i = 0; i < 2'000; ++i) {
        const shm::Mapping& ring = rings_[random_() % rings_.size()];
        if (random_() % 4 == 0)
          scribble({ring.data(), random_() % 2 == 0 ? sizeof(shm::IngestRing) : ring.size_bytes()});
        else
          nearly_right(*ring.as<shm::IngestRing>());
      }
      auto* const page = reinterpret_cast<std::byte*>(&topic_->session().memory());
      scribble({page, sizeof(shm::SessionPage)});
      const std::uint64_t one = 1;
      if (::write(wake_.get(), &one, sizeof one) != sizeof one) return;
    }
  }

 private:
  void scribble(std::span<std::byte> bytes) {
    const std::uint64_t value = random_() % 3 == 0 ? random_() : random_() % 1024;
    const std::size_t at = random_() % (bytes.size() / sizeof value) * sizeof value;
    std::memcpy(bytes.data() + at, &value, sizeof value);
  }
  /// What gets past the first checks.
  void nearly_right(shm::IngestRing& ring) {
    const std::uint64_t number = shm::first_unanswered(ring);
    shm::IngestEntry& entry = shm::entry_of(ring, number);
    auto* const data = reinterpret_cast<std::byte*>(&ring + 1);
    const auto small = [&](std::uint32_t most) {
      return static_cast<std::uint32_t>(random_() % 16 == 0 ? random_() : random_() % most);
    };
    const bool right = random_() % 2 == 0;  // as it should be, but for what is scribbled over it
    shm::IngestRecord record{.payload_bytes = small(64),
                             .key_bytes = small(16),
                             .attribute_bytes = static_cast<std::uint16_t>(small(16)),
                             .type = static_cast<std::uint8_t>(small(6)),
                             .flags = static_cast<std::uint8_t>(small(5))};
    if (right) record = {.payload_bytes = 1 + record.payload_bytes % 64, .type = 2};
    const std::uint32_t at = random_() % 1024 * 16;
    std::memcpy(data + at, &record, sizeof record);
    entry.data_at = random_() % 8 == 0 ? small(65'536) : at;
    entry.data_bytes = (small(256) + 15) / 16 * 16;
    if (right) entry.data_bytes = (sizeof record + record.payload_bytes + 15) / 16 * 16;
    entry.request_bytes = !right && random_() % 4 == 0 ? small(64) : 0;
    entry.records = right ? 1 : 1 + small(2);
    entry.kind = static_cast<std::uint16_t>(!right && random_() % 4 == 0 ? small(20) : 1);
    entry.flags = static_cast<std::uint16_t>(right ? 0 : small(3));
    entry.sequence = ring.header.last_sequence.load() + (random_() % 8 == 0 ? small(9) : 1);
    entry.expected = random_() % 8 == 0 ? random_() : kNoOffset;
    shm::hand_in(ring, number);
    if (random_() % 4 == 0) scribble({data + at, 256});  // while the broker reads it
  }

  std::minstd_rand0 random_{4711};
  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<client::TopicMemory> topic_;
  std::vector<shm::Mapping> rings_;
  shm::UniqueFd wake_;
};

class HostileProducerTest : public ClientTest {
 protected:
  HostileProducerTest()
      : ClientTest({.process = {.limit_s = static_cast<double>(seconds()) + 180}}) {}
  void SetUp() override {
    ClientTest::SetUp();
    ASSERT_EQ(::chmod(std::string{daemon_.folder() / ""}.c_str(), 0711), 0);
    connection_ = connect();
    client::TopicSetting sequenced{"ingest", "sequenced"};
    create(*connection_, "theirs", 1, {sequenced, {"produce.allow", std::to_string(kNobody)}});
    create(*connection_, "direct");
    create(*connection_, "handed_in", 1, {sequenced});
  }
  /// As a user of no rights if this one can become it.
  pid_t fork_as_nobody(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::alarm(static_cast<unsigned>(seconds()) + 60);
    if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(9);
    ::_exit(body());
  }
  static int end_of(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::unique_ptr<client::Connection> connection_;
};

TEST_F(HostileProducerTest, AStrangerHandsInAndWaitsForTheDisk) {
  const std::string runtime_dir = daemon_.runtime_dir();
  const pid_t child = fork_as_nobody([&] {
    auto connection = client::Connection::open({.runtime_dir = runtime_dir});
    if (!connection) return 1;
    auto producer = client::Producer::open(**connection, "theirs");
    if (!producer) return 2;
    for (int i = 0; i < 20; ++i) {
      const auto done = (*producer)->append({.payload = as_bytes(std::to_string(i))},
                                            {.acks = client::Acks::kDurable});
      if (!done) return 3;
    }
    if (!(*producer)->append({.payload = as_bytes("20")})) return 4;
    if (!(*producer)->flush(Deadline::after_ms(10'000))) return 5;
    const bool barred = !client::Producer::open(**connection, "direct") &&
                        !client::Producer::open(**connection, "handed_in");
    return ::geteuid() == 0 || barred ? 0 : 6;
  });
  EXPECT_EQ(end_of(child), 0);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("theirs", {}, client::Start::oldest()));
  EXPECT_EQ(read(*reader, 21), numbers(0, 21));
}

TEST_F(HostileProducerTest, RandomWritesEverywhereHurtNobodyElse) {
  const pid_t broker = daemon_.broker_pid();
  const std::string runtime_dir = daemon_.runtime_dir();
  const Deadline until = Deadline::after_ms(seconds() * 1'000);
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i)
    children.push_back(fork_as_nobody([&] {
      Hostile hostile;
      if (!hostile.attach(runtime_dir)) return 1;
      hostile.rage(until);
      return 0;
    }));
  const auto direct = producer(*connection_, "direct");
  const auto handed_in = producer(*connection_, "handed_in");
  int sent = 0;
  for (; !until.has_passed() || sent < 100; ++sent) {
    const std::string text = std::to_string(sent);
    for (client::Producer* const each : {direct.get(), handed_in.get()}) {
      const auto receipt = each->append(
          {.payload = as_bytes(text)},
          {.acks = sent % 64 == 0 ? client::Acks::kDurable : client::Acks::kCommitted});
      ASSERT_OK(receipt);
      ASSERT_EQ(receipt->offset, static_cast<Offset>(sent));
    }
  }
  // Expelled or not, the process ends by itself.
  for (const pid_t child : children) EXPECT_EQ(end_of(child), 0);
  EXPECT_EQ(daemon_.broker_pid(), broker) << daemon_.log();
  for (const char* topic : {"direct", "handed_in"}) {
    const auto reader = consumer(*connection_);
    ASSERT_OK(reader->assign(topic, {}, client::Start::oldest()));
    const auto all = read(*reader, static_cast<std::size_t>(sent), 60'000);
    EXPECT_TRUE(all == numbers(0, sent)) << topic << ": " << all.size() << " of " << sent;
  }
  // What came through on its own topic is whole and dense.
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("theirs", {}, client::Start::oldest()));
  const auto range = reader->range({"theirs", 0});
  ASSERT_OK(range);
  EXPECT_GT(range->end, 0U);
  Offset next = range->start;
  for (const Deadline limit = Deadline::after_ms(60'000); next < range->end;) {
    ASSERT_FALSE(limit.has_passed());
    const auto batch = reader->poll(Deadline::after_ms(1'000));
    ASSERT_OK(batch);
    for (const client::Message& message : *batch) ASSERT_EQ(message.offset, next++);
  }
}

}  // namespace
}  // namespace mallbots::test
