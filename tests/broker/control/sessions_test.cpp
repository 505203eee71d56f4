#include "broker/control/sessions.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "shm/region/memory.h"
#include "tests/support/process.h"

namespace mallbots::broker {
namespace {

constexpr uid_t kStranger = 4242;

class SessionTable : public testing::Test {
 protected:
  SessionTable()
      : registry_fd_(shm::create_memory("registry", sizeof(shm::Registry)).value()),
        registry_map_(
            shm::Mapping::of(registry_fd_.get(), sizeof(shm::Registry), shm::Access::kReadWrite)
                .value()),
        poller_(Poller::make().value()),
        sessions_({.registry = registry(), .keeper = keeper_, .poller = poller_},
                  {.per_user = 3, .restart_grace_ns = 10 * kSecond, .detach_grace_ns = kSecond}) {}

  shm::Registry& registry() { return *registry_map_.as<shm::Registry>(); }
  static Peer peer(uid_t uid = geteuid()) {
    return {.pid = getpid(),
            .uid = uid,
            .pidfd = shm::UniqueFd{static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))}};
  }
  /// Attaches the session and returns the client's end.
  shm::UniqueFd attach(Session& session) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    EXPECT_TRUE(sessions_.attach(session, std::make_unique<PacketSocket>(shm::UniqueFd{ends[0]})));
    return shm::UniqueFd{ends[1]};
  }
  shm::SessionState state_of(SessionIndex index) {
    return static_cast<shm::SessionState>(registry().sessions[index].state.load());
  }

  shm::UniqueFd registry_fd_;
  shm::Mapping registry_map_;
  KeeperLink keeper_;
  Poller poller_;
  Sessions sessions_;
};

TEST_F(SessionTable, NewSessionIsInTheRegistryAndItsPageSaysWhoItIs) {
  const auto opened = sessions_.open(peer(), "robot");
  ASSERT_TRUE(opened);
  const Session& session = **opened;
  EXPECT_EQ(state_of(session.index), shm::SessionState::kLive);
  EXPECT_STREQ(registry().sessions[session.index].name, "robot");
  EXPECT_EQ(session.memory().header.session, session.index);
  EXPECT_EQ(session.memory().header.page.magic, shm::kSessionMagic);
}

TEST_F(SessionTable, RingingAllWakesEverySleeper) {
  std::vector<std::uint32_t> keys;
  std::vector<std::atomic<std::uint32_t>*> doorbells;
  for (const char* name : {"one", "two"}) {
    doorbells.push_back(&(*sessions_.open(peer(), name))->memory().header.doorbell);
    keys.push_back(doorbells.back()->load());
  }
  sessions_.ring_all();
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_NE(doorbells[i]->load(), keys[i]);
}

TEST_F(SessionTable, ResumesOnlyTheSameProcessWithTheToken) {
  Session& session = **sessions_.open(peer(), "robot");
  const std::uint64_t token = session.entry->token;
  EXPECT_TRUE(sessions_.resume(peer(), session.index, token));
  EXPECT_FALSE(sessions_.resume(peer(), session.index, token + 1));
  EXPECT_FALSE(sessions_.resume(peer(), SessionIndex{99}, token));
  EXPECT_FALSE(sessions_.resume(peer(kStranger), session.index, token));
  test::Process other = test::Process::start({"sleep", "30"});
  Peer foreign{.pid = other.pid(),
               .uid = geteuid(),
               .pidfd = shm::UniqueFd{static_cast<int>(syscall(SYS_pidfd_open, other.pid(), 0))}};
  EXPECT_FALSE(sessions_.resume(foreign, session.index, token));
}

TEST_F(SessionTable, ExpelledSessionIsRevokedToldAndKeepsItsIndex) {
  Session& session = **sessions_.open(peer(), "robot");
  const shm::UniqueFd client = attach(session);
  sessions_.expel(session.index, "a test");
  EXPECT_EQ(session.memory().header.revoked.load(), 1U);
  EXPECT_EQ(state_of(session.index), shm::SessionState::kGone);
  EXPECT_EQ(sessions_.take_expelled(), std::vector<SessionIndex>{session.index});
  std::array<std::byte, 4096> packet;
  const ssize_t got = recv(client.get(), packet.data(), packet.size(), 0);
  ASSERT_GT(got, 0);
  const auto notice = shm::decode<shm::Notice>(std::span{packet}.subspan(
      sizeof(shm::MessageHeader), static_cast<std::size_t>(got) - sizeof(shm::MessageHeader)));
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->code, ErrorCode::kRevoked);
  EXPECT_EQ(notice->detail, "a test");
  EXPECT_EQ(recv(client.get(), packet.data(), packet.size(), 0), 0);
  EXPECT_FALSE(sessions_.resume(peer(), session.index, session.entry->token));
  for (int i = 0; i < 100; ++i) EXPECT_NE((*sessions_.open(peer(), "x"))->index, session.index);
}

TEST_F(SessionTable, AnExpulsionThatABrokerDiedInIsFinishedByItsHeir) {
  constexpr SessionIndex kGone = 5;
  auto page = shm::create_memory("session", sizeof(shm::SessionPage)).value();
  const auto memory =
      shm::Mapping::of(page.get(), sizeof(shm::SessionPage), shm::Access::kReadWrite).value();
  registry().sessions[kGone].state.store(static_cast<std::uint32_t>(shm::SessionState::kGone));
  FdStore left;
  left.put(FdKind::kSessionPage, kGone, std::move(page));
  left.put(FdKind::kSessionPidfd, kGone, std::move(peer().pidfd));
  KeeperLink link{shm::UniqueFd{}, std::move(left)};
  Sessions heir{{.registry = registry(), .keeper = link, .poller = poller_}, {}};
  ASSERT_TRUE(heir.restore(kSecond));
  EXPECT_EQ(memory.as<shm::SessionPage>()->header.revoked.load(), 1U);
  EXPECT_EQ(heir.take_expelled(), std::vector<SessionIndex>{kGone});
}

TEST_F(SessionTable, WhoStaysAwayIsExpelledWhoComesBackIsNot) {
  Session& away = **sessions_.open(peer(), "away");
  Session& back = **sessions_.open(peer(), "back");
  attach(away);
  attach(back);
  sessions_.detach(away, 5 * kSecond);
  sessions_.detach(back, 5 * kSecond);
  EXPECT_EQ(sessions_.expel_absent(5 * kSecond), 6 * kSecond);
  const shm::UniqueFd client = attach(back);
  EXPECT_EQ(sessions_.expel_absent(6 * kSecond), INT64_MAX);
  EXPECT_TRUE(away.gone);
  EXPECT_FALSE(back.gone);
}

TEST_F(SessionTable, StrangersHaveALimit) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(sessions_.open(peer(kStranger), "stranger"));
  const auto refused = sessions_.open(peer(kStranger), "stranger");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kLimitReached);
  EXPECT_TRUE(sessions_.open(peer(), "own"));
}

TEST_F(SessionTable, StrangersGetAnEventfdOfTheirOwn) {
  EXPECT_TRUE((*sessions_.open(peer(kStranger), "stranger"))->wake);
  EXPECT_FALSE((*sessions_.open(peer(), "own"))->wake);
}

TEST_F(SessionTable, CellsAreGivenOutOnceAndAgainWhenClosed) {
  Session& session = **sessions_.open(peer(), "robot");
  const auto first = sessions_.open_cell(session.index);
  const auto second = sessions_.open_cell(session.index);
  ASSERT_TRUE(first && second);
  EXPECT_NE(*first, *second);
  session.memory().cells[*first].reader.pins[0].store(7);
  sessions_.use_cell(session.index, *first, CellUse::kReader);
  sessions_.close_cell(session.index, *first);
  sessions_.close_cell(session.index, *first);
  EXPECT_EQ(sessions_.use_of(session.index, *first), CellUse::kFree);
  EXPECT_EQ(sessions_.open_cell(session.index), first);
  EXPECT_EQ(session.memory().cells[*first].reader.pins[0].load(), 0U);
  std::uint32_t given = 2;
  while (sessions_.open_cell(session.index)) ++given;
  EXPECT_EQ(given, shm::kSessionCells);
}

TEST_F(SessionTable, ClientThatDoesNotReadIsExpelled) {
  Session& session = **sessions_.open(peer(), "sleeper");
  const shm::UniqueFd client = attach(session);
  const shm::Notice notice{.code = ErrorCode::kTopicGone, .detail = std::string(4000, 'x')};
  for (int i = 0; i < 5000 && !session.gone; ++i) sessions_.push(session, notice);
  EXPECT_TRUE(session.gone);
}

TEST_F(SessionTable, EndedSessionIsFreeInTheRegistry) {
  Session& session = **sessions_.open(peer(), "robot");
  const SessionIndex index = session.index;
  sessions_.end(index);
  EXPECT_EQ(sessions_.find(index), nullptr);
  EXPECT_EQ(state_of(index), shm::SessionState::kFree);
  sessions_.end(index);  // an event of its pidfd may still be on its way
}

}  // namespace
}  // namespace mallbots::broker
