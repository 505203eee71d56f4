#include "broker/keeper/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>

#include "broker/event_log.h"
#include "broker/keeper/link_message.h"
#include "broker/service_manager.h"
#include "shm/base/check.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

constexpr int kFailed = static_cast<int>(ExitCode::kFailed);
constexpr int kDrainTries = 2;

/// One message and the descriptor that came with it.
struct Received {
  LinkMessage message;
  shm::UniqueFd fd;
  bool truncated = false;  ///< our table was full: the descriptor is lost
};

std::optional<Received> receive(int socket) {
  Received received;
  iovec piece{&received.message, sizeof received.message};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  msghdr envelope{};
  envelope.msg_iov = &piece;
  envelope.msg_iovlen = 1;
  envelope.msg_control = control.data();
  envelope.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = recvmsg(socket, &envelope, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof received.message)) return std::nullopt;
  for (cmsghdr* rights = CMSG_FIRSTHDR(&envelope); rights != nullptr;
       rights = CMSG_NXTHDR(&envelope, rights)) {
    if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    received.fd = shm::UniqueFd{fd};
  }
  received.truncated = (envelope.msg_flags & MSG_CTRUNC) != 0;
  return received;
}

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGHUP}) sigaddset(&set, signal);
  return set;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class Keeper {
 public:
  explicit Keeper(const KeeperOptions& options)
      : options_(options), policy_(options.restarts), self_(getpid()) {
    const sigset_t set = handled_signals();
    CHECK(sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
    signals_ = shm::UniqueFd{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    CHECK(signals_);
  }

  int run() {
    start_broker();
    while (!exit_code_) {
      std::array<pollfd, 2> items{pollfd{signals_.get(), POLLIN, 0},
                                  pollfd{link_.get(), POLLIN, 0}};
      poll(items.data(), items.size(), pause_ms());
      if (items[1].revents != 0) serve_link();
      if (items[0].revents != 0) handle_signals();
      if (restart_at_ && boot_now_ns() >= *restart_at_) start_broker();
    }
    return *exit_code_;
  }

 private:
  [[nodiscard]] int pause_ms() const {
    if (!restart_at_) return -1;
    const BootNanos left = std::max<BootNanos>(0, *restart_at_ - boot_now_ns());
    return static_cast<int>(left / kMillisecond) + (left > 0 ? 1 : 0);
  }

  void start_broker() {
    restart_at_.reset();
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
      return start_failed("socketpair");
    shm::UniqueFd ours{ends[0]};
    shm::UniqueFd theirs{ends[1]};
    CRASH_POINT("keeper.fork");
    const pid_t pid = fork();
    if (pid < 0) return start_failed("fork");
    if (pid == 0) {
      ours.reset();
      link_.reset();
      become_broker(std::move(theirs));
    }
    broker_ = pid;
    link_ = std::move(ours);
    if (stopping_) send_to_broker(SIGTERM);
  }

  [[noreturn]] void become_broker(shm::UniqueFd socket) {
    signals_.reset();
    prctl(PR_SET_NAME, "mallbots-broker");
    sigset_t none;
    sigemptyset(&none);
    sigaddset(&none, SIGTERM);  // the broker reads these two from its own signalfd
    sigaddset(&none, SIGINT);
    sigaddset(&none, SIGHUP);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    BrokerStart start{.link = KeeperLink{std::move(socket), std::move(store_)},
                      .keeper_pid = self_,
                      .deaths = policy_.recent_deaths(),
                      .note = note_,
                      .draining = stopping_};
    _exit(options_.broker(std::move(start)));
  }

  void start_failed(const char* call) {
    log_event(Level::kError, "broker not started", {{"call", call}, {"error", strerror(errno)}});
    schedule_restart();
  }

  /// All that the broker has said so far; also after its death, before the next one starts.
  void serve_link() {
    while (auto received = receive(link_.get())) {
      LinkMessage answer = received->message;
      const FdStore::Name name{static_cast<FdKind>(answer.kind), answer.id};
      switch (static_cast<LinkType>(answer.type)) {
        case LinkType::kPut:
          answer.failed = received->fd ? 0 : 1;
          if (received->fd) store_.put(name.first, name.second, std::move(received->fd));
          break;
        case LinkType::kRemove:
          store_.remove(name.first, name.second);
          break;
        case LinkType::kReady:
          ever_ready_ = true;
          note_ = answer.id;
          break;
        case LinkType::kAck:
          break;
      }
      answer.type = static_cast<std::uint32_t>(LinkType::kAck);
      CRASH_POINT("keeper.acknowledge");
      send(link_.get(), &answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }

  void handle_signals() {
    signalfd_siginfo info{};
    while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
          stop();
          break;
        case SIGUSR1:
          if (holding_) retry();
          break;
        case SIGCHLD:
          reap();
          break;
        default:  // SIGHUP: a closed terminal is no reason to do anything
          break;
      }
    }
  }

  void reap() {
    int status = 0;
    if (broker_ <= 0 || waitpid(broker_, &status, WNOHANG) != broker_) return;
    const pid_t pid = std::exchange(broker_, -1);
    serve_link();
    link_.reset();
    const bool exited = WIFEXITED(status);
    const int code = exited ? WEXITSTATUS(status) : kFailed;
    if (exited && (code == 0 || !ever_ready_ || stopping_)) {
      exit_code_ = code;
      return;
    }
    if (exited)
      log_event(Level::kError, "broker gave up", {{"pid", pid}, {"exit_code", code}});
    else
      log_event(Level::kError, "broker died", {{"pid", pid}, {"signal", WTERMSIG(status)}});
    if (!ever_ready_) {
      exit_code_ = kFailed;  // nothing is in memory yet that a restart could save
    } else if (stopping_) {
      drain_again();
    } else {
      schedule_restart();
    }
  }

  void schedule_restart() {
    const BootNanos now = boot_now_ns();
    const auto pause = policy_.died(now);
    if (pause) {
      restart_at_ = now + *pause;
      return;
    }
    holding_ = true;
    log_event(
        Level::kCritical, "broker died too often, memory is kept, waiting",
        {{"deaths", policy_.recent_deaths()},
         {"remedy", "look at the lines above; then `kill -USR1 " + std::to_string(self_) +
                        "` tries again with the memory as it is, `kill " + std::to_string(self_) +
                        "` ends the instance and loses what is not on disk"}});
    tell_service_manager("STATUS=broker died too often; see the log, then kill -USR1 " +
                         std::to_string(self_));
  }

  void retry() {
    holding_ = false;
    policy_.forgive();
    log_event(Level::kWarning, "another try, as asked", {});
    start_broker();
  }

  void stop() {
    if (holding_) {
      log_event(Level::kError, "stopped without a broker; what was not on disk is lost", {});
      exit_code_ = kFailed;
      return;
    }
    stopping_ = true;
    if (broker_ > 0) {
      send_to_broker(SIGTERM);
    } else {
      restart_at_ = boot_now_ns();  // a broker is due anyway: let it start to drain
    }
  }

  void drain_again() {
    if (++drain_tries_ <= kDrainTries) {
      start_broker();
      return;
    }
    log_event(Level::kCritical, "brokers die while draining; what was not on disk is lost", {});
    exit_code_ = kFailed;
  }

  void send_to_broker(int signal) const { ::kill(broker_, signal); }

  const KeeperOptions& options_;
  RestartPolicy policy_;
  pid_t self_;
  shm::UniqueFd signals_;
  shm::UniqueFd link_;
  FdStore store_;
  pid_t broker_ = -1;
  std::optional<BootNanos> restart_at_;
  std::optional<int> exit_code_;
  std::uint64_t note_ = 0;
  int drain_tries_ = 0;
  bool ever_ready_ = false;
  bool stopping_ = false;
  bool holding_ = false;
};

}  // namespace

int run_keeper(const KeeperOptions& options) {
  raise_descriptor_limit();
  prctl(PR_SET_NAME, "mallbots-keeper");
  return Keeper{options}.run();
}

}  // namespace mallbots::broker
