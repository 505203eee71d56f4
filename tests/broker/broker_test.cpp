// mallbotsd as a whole: start, refusals, deaths, restart, drain.
#include "broker/broker.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/support/control_client.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

constexpr uid_t kNobody = 65'534;

/// Runs mallbotsd until it ends by itself.
Finished mallbotsd(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{binary("mallbotsd")};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return run(words, {.limit_s = 20});
}

std::uint64_t context_switches(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::uint64_t sum = 0;
  for (std::string line; std::getline(file, line);)
    if (line.find("ctxt_switches:") != std::string::npos)
      sum += std::stoull(line.substr(line.find(':') + 1));
  return sum;
}

TEST(Mallbotsd, HelpAndVersionEndWithZeroNonsenseWithTwo) {
  const Finished help = mallbotsd({"--help"});
  EXPECT_EQ(help.ended.exit_code, 0);
  for (const char* word : {"--instance", "--check-config", "Examples", "Exit codes"})
    EXPECT_NE(help.output.find(word), std::string::npos) << word;
  EXPECT_EQ(mallbotsd({"--version"}).ended.exit_code, 0);
  EXPECT_EQ(mallbotsd({"--nonsense"}).ended.exit_code, 2);
}

TEST(Mallbotsd, CheckConfigPrintsWhatWouldBeUsedAndMakesNothing) {
  const TempDir dir;
  std::ofstream(dir / "a.toml") << "memory.max = \"1GiB\"\n";
  const Finished checked = mallbotsd({"--config", dir / "a.toml", "--data-dir", dir / "d",
                                      "--runtime-dir", dir / "r", "--check-config"});
  EXPECT_EQ(checked.ended.exit_code, 0) << checked.errors;
  EXPECT_NE(checked.output.find("memory.max = \"1GiB\"\n"), std::string::npos) << checked.output;
  EXPECT_NE(access((dir / "d").c_str(), F_OK), 0);
}

TEST(Mallbotsd, WrongConfigurationNamesFileLineReasonAndRemedy) {
  const TempDir dir;
  std::ofstream(dir / "a.toml") << "instance = \"x\"\nmemory.maxi = 3\n";
  const Finished refused = mallbotsd({"--config", dir / "a.toml", "--check-config"});
  EXPECT_EQ(refused.ended.exit_code, 2);
  for (const std::string& word : {dir / "a.toml", std::string{"line 2"}, std::string{"memory.maxi"},
                                  std::string{"correct the line named"}})
    EXPECT_NE(refused.errors.find(word), std::string::npos) << refused.errors;
  std::ofstream(dir / "b.toml") << "metrics.listen = \"0.0.0.0:1\"\n";
  const Finished open =
      mallbotsd({"--config", dir / "b.toml", "--data-dir", dir / "d", "--runtime-dir", dir / "r"});
  EXPECT_EQ(open.ended.exit_code, 2);
  EXPECT_NE(open.errors.find("0.0.0.0:1"), std::string::npos);
}

TEST(Mallbotsd, AMetricsAddressThatIsTakenIsNamed) {
  const TempDir dir;
  const shm::UniqueFd other{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(other.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(other.get(), 1), 0);
  ASSERT_EQ(getsockname(other.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string taken = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  std::ofstream(dir / "a.toml") << "metrics.listen = \"" << taken << "\"\n";
  const Finished refused =
      mallbotsd({"--config", dir / "a.toml", "--data-dir", dir / "d", "--runtime-dir", dir / "r"});
  EXPECT_EQ(refused.ended.exit_code, 1);
  EXPECT_NE(refused.errors.find("metrics.listen = '" + taken + "': Address already in use"),
            std::string::npos)
      << refused.errors;
}

TEST(Mallbotsd, SecondBrokerOnTheSameDataIsToldWhoHasIt) {
  Daemon first;
  ASSERT_TRUE(first.start()) << first.log();
  const TempDir dir;
  const Finished second = mallbotsd({"--data-dir", first.data_dir(), "--runtime-dir", dir / "run"});
  EXPECT_EQ(second.ended.exit_code, 1);
  EXPECT_NE(second.errors.find(std::to_string(first.broker_pid())), std::string::npos)
      << second.errors;
  const Finished same = mallbotsd({"--data-dir", dir / "d", "--runtime-dir", first.runtime_dir()});
  EXPECT_EQ(same.ended.exit_code, 1);
  EXPECT_NE(same.errors.find(std::to_string(first.keeper_pid())), std::string::npos) << same.errors;
  ControlClient client{first.socket_path()};
  EXPECT_TRUE(client.hello()) << "the refused ones took the socket away";
  EXPECT_EQ(first.stop().exit_code, 0);
}

TEST(Mallbotsd, DataDirectoriesThatAreNotOursAreRefused) {
  const TempDir dir;
  ASSERT_EQ(mkdir((dir / "strange").c_str(), 0700), 0);
  std::ofstream(dir / "strange/file") << "not ours";
  const Finished strange = mallbotsd({"--data-dir", dir / "strange", "--runtime-dir", dir / "run"});
  EXPECT_EQ(strange.ended.exit_code, 1) << strange.errors;
  EXPECT_NE(strange.errors.find("marker"), std::string::npos) << strange.errors;
  ASSERT_EQ(mkdir((dir / "open").c_str(), 0700), 0);
  ASSERT_EQ(chmod((dir / "open").c_str(), 0755), 0);
  const Finished open = mallbotsd({"--data-dir", dir / "open", "--runtime-dir", dir / "run"});
  EXPECT_EQ(open.ended.exit_code, 4) << open.errors;
  EXPECT_NE(open.errors.find("chmod it 0700"), std::string::npos) << open.errors;
}

TEST(Mallbotsd, OrdinaryUserNeedsNothingFromRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "runs as an ordinary user already";
  DaemonOptions options;
  options.process.run_as = kNobody;
  Daemon daemon{std::move(options)};
  ASSERT_TRUE(daemon.start()) << daemon.log();
  ControlClient root{daemon.socket_path()};
  ASSERT_TRUE(root.hello());
  EXPECT_TRUE(root.create_topic("t", 2));
  EXPECT_TRUE(daemon.kill_broker()) << daemon.log();
  EXPECT_EQ(daemon.stop().exit_code, 0) << daemon.log();
}

TEST(Mallbotsd, SessionsOutliveTheBroker) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  ControlClient client{daemon.socket_path()};
  const auto before = client.hello("robot");
  ASSERT_TRUE(before);
  ASSERT_TRUE(client.create_topic("t", 3));
  ASSERT_TRUE(daemon.kill_broker()) << daemon.log();
  EXPECT_TRUE(client.closed());

  ControlClient thief{daemon.socket_path()};
  const auto guessed = thief.hello("thief", before->reply.session, before->reply.token ^ 1);
  ASSERT_FALSE(guessed);
  EXPECT_EQ(guessed.error().code, ErrorCode::kRevoked);
  Process other = Process::call([&] {
    ControlClient stolen{daemon.socket_path()};
    const auto welcome = stolen.hello("other", before->reply.session, before->reply.token);
    return !welcome && welcome.error().code == ErrorCode::kRevoked ? 0 : 1;
  });
  EXPECT_EQ(other.wait().exit_code, 0) << "the token of another process must not do";

  ControlClient again{daemon.socket_path()};
  const auto after = again.hello("robot", before->reply.session, before->reply.token);
  ASSERT_TRUE(after) << after.error().detail;
  EXPECT_TRUE(after->reply.resumed);
  EXPECT_EQ(after->reply.session, before->reply.session);
  EXPECT_EQ(after->reply.incarnation, before->reply.incarnation + 1);
  EXPECT_EQ(after->reply.log_epoch, before->reply.log_epoch);
  struct stat first{};
  struct stat second{};
  ASSERT_EQ(fstat(before->page.get(), &first), 0);
  ASSERT_EQ(fstat(after->page.get(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino) << "it must be the same memory";
  const auto opened = again.call(shm::OpenTopic{.name = "t"});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->error(), ErrorCode::kNone);
  EXPECT_EQ(daemon.stop().exit_code, 0) << daemon.log();
}

TEST(Mallbotsd, DeadClientIsSeenByItsPidfd) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  const auto attach_and_wait = [&] {
    return Process::call([&] {
      ControlClient client{daemon.socket_path()};
      if (!client.hello("mortal")) return 1;
      dprintf(STDOUT_FILENO, "attached\n");
      pause();
      return 0;
    });
  };
  Process mortal = attach_and_wait();
  ASSERT_TRUE(mortal.says("attached"));
  mortal.send(SIGKILL);
  EXPECT_TRUE(daemon.logs("its process is dead session=0"));
  // Also while there is no broker, and for one that was stopped.
  Process stopped = attach_and_wait();
  ASSERT_TRUE(stopped.says("attached"));
  stopped.send(SIGSTOP);
  ASSERT_TRUE(daemon.kill_broker());
  EXPECT_EQ(daemon.log().find("its process is dead session=1"), std::string::npos);
  stopped.send(SIGKILL);
  EXPECT_TRUE(daemon.logs("its process is dead session=1"));
  EXPECT_EQ(daemon.stop().exit_code, 0);
}

TEST(Mallbotsd, SessionWithoutConnectionIsRevokedThoughItsProcessLives) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  ControlClient client{daemon.socket_path()};
  const auto welcome = client.hello("leaver");
  ASSERT_TRUE(welcome);
  client.close();
  EXPECT_TRUE(daemon.logs("it had no connection for too long"));
  ControlClient again{daemon.socket_path()};
  EXPECT_FALSE(again.hello("leaver", welcome->reply.session, welcome->reply.token));
  const auto fresh = again.hello("leaver");  // on the same connection
  ASSERT_TRUE(fresh);
  EXPECT_NE(fresh->reply.session, welcome->reply.session);
  EXPECT_EQ(daemon.stop().exit_code, 0);
}

TEST(Mallbotsd, CleanStopIsACleanStart) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  {
    ControlClient client{daemon.socket_path()};
    ASSERT_TRUE(client.hello());
    ASSERT_TRUE(client.create_topic("kept", 7, {{"slots", "3"}}));
  }
  EXPECT_EQ(daemon.stop().exit_code, 0) << daemon.log();
  ASSERT_TRUE(daemon.start()) << daemon.log();
  EXPECT_TRUE(daemon.logs("memory_kept=false log_epoch=1 topics=1")) << daemon.log();
  EXPECT_EQ(daemon.stop().exit_code, 0);
}

TEST(Mallbotsd, BrokerWithoutKeeperDrainsAndItsHeirWaitsForIt) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  {
    ControlClient client{daemon.socket_path()};
    ASSERT_TRUE(client.hello());
    ASSERT_TRUE(client.create_topic("kept", 2));
  }
  const pid_t orphan = daemon.broker_pid();
  Process old = std::move(daemon.process());
  old.send(SIGKILL);
  EXPECT_EQ(old.wait().signal, SIGKILL);
  ASSERT_TRUE(daemon.start()) << daemon.log();
  EXPECT_TRUE(old.says("drained"));
  EXPECT_NE(old.errors().find("the keeper is gone"), std::string::npos);
  EXPECT_NE(daemon.broker_pid(), orphan);
  EXPECT_TRUE(daemon.logs("log_epoch=1 topics=1")) << daemon.log();
  EXPECT_EQ(daemon.stop().exit_code, 0);
}

TEST(Mallbotsd, DeathOfBothRaisesTheLogEpoch) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  {
    ControlClient client{daemon.socket_path()};
    ASSERT_TRUE(client.hello());
    ASSERT_TRUE(client.create_topic("kept", 2));
  }
  daemon.process().kill_all();
  ASSERT_TRUE(daemon.start()) << daemon.log();
  EXPECT_TRUE(daemon.logs("memory_kept=false log_epoch=2")) << daemon.log();
  EXPECT_EQ(daemon.stop().exit_code, 0);
}

TEST(Mallbotsd, ServiceManagerHearsReadyAndStopping) {
  const TempDir dir;
  const std::string path = dir / "notify";
  const shm::UniqueFd manager{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(manager.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  DaemonOptions options;
  options.process.environment = {{"NOTIFY_SOCKET", path}};
  Daemon daemon{std::move(options)};
  ASSERT_TRUE(daemon.start()) << daemon.log();
  const auto heard = [&] {
    char text[512] = {};
    return recv(manager.get(), text, sizeof text - 1, 0) > 0 ? std::string{text} : "";
  };
  const std::string ready = heard();
  EXPECT_NE(ready.find("READY=1"), std::string::npos);
  EXPECT_NE(ready.find("MAINPID=" + std::to_string(daemon.keeper_pid())), std::string::npos);
  EXPECT_EQ(daemon.stop().exit_code, 0);
  const std::string stopping = heard();
  EXPECT_NE(stopping.find("STOPPING=1"), std::string::npos);
  EXPECT_NE(stopping.find("EXTEND_TIMEOUT_USEC="), std::string::npos);
}

TEST(Mallbotsd, SleepsWhileNobodyDoesAnything) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  ControlClient client{daemon.socket_path()};
  ASSERT_TRUE(client.hello("idle"));
  ASSERT_TRUE(client.create_topic("t", 100));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const std::uint64_t before = context_switches(daemon.broker_pid());
  std::this_thread::sleep_for(std::chrono::seconds(3));
  EXPECT_LT(context_switches(daemon.broker_pid()) - before, 30U) << "10 wake-ups a second";
  EXPECT_EQ(daemon.stop().exit_code, 0);
}

}  // namespace
}  // namespace mallbots::test
