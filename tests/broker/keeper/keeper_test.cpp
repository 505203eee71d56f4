#include "broker/keeper/keeper.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/event_log.h"
#include "tests/support/process.h"

namespace mallbots::broker {
namespace {

using test::Process;

void say(const std::string& word) { dprintf(STDOUT_FILENO, "%s\n", word.c_str()); }

/// A keeper in a child process whose brokers do what `body` says.
Process keeper_of(std::function<int(BrokerStart)> body, RestartLimits limits = {}) {
  return Process::call([body = std::move(body), limits] {
    start_event_log(Level::kInfo, "keeper");
    return run_keeper({.restarts = limits, .broker = body});
  });
}

shm::UniqueFd memory_with(const std::string& text) {
  shm::UniqueFd fd{memfd_create("kept", MFD_CLOEXEC)};
  EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

std::string text_in(const shm::UniqueFd& fd) {
  char text[64] = {};
  return fd && pread(fd.get(), text, sizeof text - 1, 0) > 0 ? text : "nothing";
}

int wait_for_sigterm() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  int signal = 0;
  sigwait(&set, &signal);
  return signal;
}

[[noreturn]] void die() {
  raise(SIGKILL);
  abort();
}

TEST(Keeper, DescriptorsSurviveTheDeathOfABroker) {
  Process keeper = keeper_of([](BrokerStart start) {
    if (start.link.left(FdKind::kSlot).empty()) {
      const shm::UniqueFd kept = memory_with("kept");
      const shm::UniqueFd removed = memory_with("removed");
      EXPECT_TRUE(start.link.put(FdKind::kSlot, 5, kept.get()));
      EXPECT_TRUE(start.link.put(FdKind::kSlot, 6, removed.get()));
      EXPECT_TRUE(start.link.put(FdKind::kBoard, 5, removed.get()));
      EXPECT_TRUE(start.link.remove(FdKind::kSlot, 6));
      EXPECT_TRUE(start.link.ready(77));
      die();
    }
    say("slot " + text_in(start.link.take(FdKind::kSlot, 5)));
    say("removed " + text_in(start.link.take(FdKind::kSlot, 6)));
    say("note " + std::to_string(start.note) + " deaths " + std::to_string(start.deaths));
    say("dropped " + std::to_string(start.link.drop_rest().value_or(99)));
    return 0;
  });
  EXPECT_EQ(keeper.wait().exit_code, 0);
  EXPECT_EQ(keeper.output(), "slot kept\nremoved nothing\nnote 77 deaths 1\ndropped 1\n");
}

TEST(Keeper, DroppedDescriptorsAreNotGivenToTheNext) {
  Process keeper = keeper_of([](BrokerStart start) {
    const auto left = start.link.left(FdKind::kSlot).size();
    say("left " + std::to_string(left));
    if (start.deaths == 0) {
      EXPECT_TRUE(start.link.put(FdKind::kSlot, 1, STDIN_FILENO));
    }
    if (start.deaths == 1) {
      EXPECT_TRUE(start.link.drop_rest());
    }
    EXPECT_TRUE(start.link.ready(0));
    if (start.deaths < 2) die();
    return 0;
  });
  EXPECT_EQ(keeper.wait().exit_code, 0);
  EXPECT_EQ(keeper.output(), "left 0\nleft 1\nleft 0\n");
}

TEST(Keeper, PutFailsWhenTheKeeperCanHoldNoMore) {
  Process keeper = Process::call([] {
    const rlimit few{.rlim_cur = 24, .rlim_max = 24};
    setrlimit(RLIMIT_NOFILE, &few);
    return run_keeper({.restarts = {}, .broker = [](BrokerStart start) {
                         for (std::uint64_t id = 0; id < 100; ++id) {
                           const auto put = start.link.put(FdKind::kSlot, id, STDIN_FILENO);
                           if (put) continue;
                           say(std::string{error_entry(put.error().code).name});
                           // There is room again once something goes.
                           EXPECT_TRUE(start.link.remove(FdKind::kSlot, 0));
                           EXPECT_TRUE(start.link.put(FdKind::kSlot, id, STDIN_FILENO));
                           return 0;
                         }
                         return 1;
                       }});
  });
  EXPECT_EQ(keeper.wait().exit_code, 0);
  EXPECT_EQ(keeper.output(), "LimitReached\n");
}

TEST(Keeper, FirstBrokersExitCodeIsItsOwn) {
  Process keeper = keeper_of([](BrokerStart) { return 6; });
  EXPECT_EQ(keeper.wait().exit_code, 6);
}

TEST(Keeper, BrokerThatDiesBeforeItWasReadyIsNotRestarted) {
  Process keeper = keeper_of([](BrokerStart) -> int { die(); });
  EXPECT_EQ(keeper.wait().exit_code, 1);
}

TEST(Keeper, SigtermGoesToTheBrokerWhoseExitCodeCounts) {
  Process keeper = keeper_of([](BrokerStart start) {
    EXPECT_TRUE(start.link.ready(0));
    say("ready");
    return wait_for_sigterm() == SIGTERM ? 0 : 9;
  });
  ASSERT_TRUE(keeper.says("ready"));
  keeper.send(SIGHUP);  // a closed terminal stops nothing
  keeper.send(SIGTERM);
  EXPECT_EQ(keeper.wait().exit_code, 0);
}

TEST(Keeper, AnotherBrokerDrainsWhenOneDiesWhileDraining) {
  Process keeper = keeper_of([](BrokerStart start) -> int {
    EXPECT_TRUE(start.link.ready(0));
    say(start.draining ? "drains" : "ready");
    wait_for_sigterm();
    if (!start.draining) die();
    return 0;
  });
  ASSERT_TRUE(keeper.says("ready"));
  keeper.send(SIGTERM);
  EXPECT_EQ(keeper.wait().exit_code, 0);
  EXPECT_EQ(keeper.output(), "ready\ndrains\n");
}

TEST(Keeper, TooManyDeathsAndItKeepsTheMemoryAndWaits) {
  Process keeper = keeper_of(
      [](BrokerStart start) -> int {
        const auto left = start.link.left(FdKind::kRegistry).size();
        if (left == 0) {
          const shm::UniqueFd fd = memory_with("precious");
          EXPECT_TRUE(start.link.put(FdKind::kRegistry, 0, fd.get()));
        }
        EXPECT_TRUE(start.link.ready(0));
        say("has " + text_in(start.link.take(FdKind::kRegistry, 0)));
        die();
      },
      {.deaths = 3, .window_ns = 60 * kSecond, .first_pause_ns = kMillisecond});
  ASSERT_TRUE(keeper.says("memory is kept, waiting"));
  EXPECT_EQ(keeper.output(), "has nothing\nhas precious\nhas precious\n");
  EXPECT_TRUE(keeper.running());
  EXPECT_TRUE(keeper.says("kill -USR1"));
  keeper.send(SIGUSR1);
  EXPECT_TRUE(test::eventually([&] {
    return keeper.output().size() > std::string{"has nothing\nhas precious\nhas precious\n"}.size();
  }));
  keeper.send(SIGTERM);
  EXPECT_TRUE(keeper.wait().in_time);
}

TEST(Keeper, SigtermEndsAWaitingKeeper) {
  Process keeper = keeper_of(
      [](BrokerStart start) -> int {
        EXPECT_TRUE(start.link.ready(0));
        die();
      },
      {.deaths = 1, .window_ns = 60 * kSecond, .first_pause_ns = 0});
  ASSERT_TRUE(keeper.says("memory is kept, waiting"));
  keeper.send(SIGTERM);
  EXPECT_EQ(keeper.wait().exit_code, 1);
  EXPECT_NE(keeper.errors().find("what was not on disk is lost"), std::string::npos);
}

TEST(Keeper, BrokerSeesTheDeathOfItsKeeper) {
  Process keeper = keeper_of([](BrokerStart start) {
    EXPECT_TRUE(start.link.ready(0));
    say("ready");
    pollfd link{start.link.fd(), POLLIN, 0};
    poll(&link, 1, 20'000);
    say("orphan");
    return 0;
  });
  ASSERT_TRUE(keeper.says("ready"));
  keeper.send(SIGKILL);
  EXPECT_TRUE(test::eventually([&] { return keeper.output() == "ready\norphan\n"; }));
}

}  // namespace
}  // namespace mallbots::broker
