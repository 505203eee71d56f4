#include "clients/internal/link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace mallbots::client {
namespace {

constexpr BootNanos kTendEvery = 50 * kMillisecond;
constexpr BootNanos kConnectEvery = 10 * kMillisecond;
constexpr BootNanos kShortestRequest = 100 * kMillisecond;

std::string own_name() { return program_invocation_short_name; }

/// True if both name the same memory.
bool same_memory(int first, int second) {
  struct stat a{};
  struct stat b{};
  return fstat(first, &a) == 0 && fstat(second, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

Deadline sooner(Deadline deadline, BootNanos limit_ns) {
  return deadline.remaining_ns() < limit_ns ? deadline : Deadline::after_ns(limit_ns);
}

std::string socket_path(const ConnectionOptions& options) {
  return options.runtime_dir + "/control.sock";
}

}  // namespace

Link::Link(ConnectionOptions options) : options_(std::move(options)) {
  if (options_.runtime_dir.empty()) options_.runtime_dir = default_runtime_dir(options_.instance);
  if (options_.name.empty()) options_.name = own_name();
  buffer_.resize(shm::kMaxMessageBytes);
}

Result<std::unique_ptr<Link>> Link::open(ConnectionOptions options) {
  if (options.name.size() > shm::kMaxNameBytes)
    return fail(ErrorCode::kBadArgument, "the connection's name has " +
                                             std::to_string(options.name.size()) +
                                             " bytes; at most 200 are allowed");
  std::unique_ptr<Link> link{new Link(std::move(options))};
  {
    // A broker that is not there is an answer here; later it is something to wait for.
    const std::scoped_lock lock{link->lock_};
    const auto connected = link->connect();
    if (!connected && connected.error().code != ErrorCode::kConnectionLost)
      return std::unexpected(connected.error());
  }
  MALLBOTS_TRY(link->ensure(Deadline::after_ms(link->options_.reconnect_timeout_ms)));
  return link;
}

Link::~Link() {
  if (!is_attached()) return;
  // Nobody else holds the session any more if all was closed in order; then its index may be given
  // to others at once.
  if (session_.use_count() == 1)
    static_cast<void>(ask_on<shm::Empty>(attachment(), shm::Goodbye{}, Deadline::after_ms(1'000)));
}

shm::WaitStrategy Link::strategy() const noexcept {
  switch (options_.waiting) {
    case Waiting::kSpin:
      return shm::WaitStrategy::kSpin;
    case Waiting::kBlock:
      return shm::WaitStrategy::kBlock;
    case Waiting::kHybrid:
      break;
  }
  return shm::WaitStrategy::kHybrid;
}

Attachment Link::current() const {
  const std::scoped_lock lock{lock_};
  return {number_.load(), session_};
}

std::uint32_t Link::next_request() noexcept {
  std::uint32_t id = 0;
  while (id == 0) id = ++request_id_;
  return id;
}

// Socket
// -----------------------------------------------------------------------------------------

/// Connects and says Hello; the answer comes later (the listening socket is the keeper's, so a
/// connection is made even while no broker serves).
Result<void> Link::connect() {
  const std::string path = socket_path(options_);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(ErrorCode::kBadArgument, "the socket's path " + path + " is longer than " +
                                             std::to_string(sizeof address.sun_path - 1) +
                                             " bytes; use another --runtime-dir");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  shm::UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) return fail(ErrorCode::kLimitReached, std::string{"socket: "} + strerror(errno));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int why = errno;
    const ErrorCode code = why == EACCES || why == EPERM ? ErrorCode::kNotPermitted
                           : why == EAGAIN               ? ErrorCode::kConnectionLost
                                                         : ErrorCode::kNoBroker;
    return fail(code, "connecting to " + path + ": " + strerror(why));
  }
  socket_ = std::move(socket);
  // Who called listen() is the same as long as one keeper holds the memory.
  ucred peer{};
  socklen_t peer_bytes = sizeof peer;
  getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes);
  if (listener_pid_ != 0 && peer.pid != 0 && peer.pid != listener_pid_) memory_lost_.store(true);
  greeted_pid_ = peer.pid;
  shm::Hello hello{.layout_version = shm::kLayoutVersion, .name = options_.name};
  if (session_) {
    hello.session = session_->index;
    hello.token = session_->token;
  }
  hello_id_ = next_request();
  const shm::UniqueFd pidfd{static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))};
  if (!send(shm::encode_packet(shm::Hello::kType, hello_id_, hello), pidfd.get())) {
    socket_.reset();
    return fail(ErrorCode::kConnectionLost, "the broker at " + path + " hung up at once");
  }
  state_ = State::kGreeting;
  return {};
}

bool Link::send(std::span<const std::byte> packet, int fd) {
  iovec part{const_cast<std::byte*>(packet.data()), packet.size()};
  alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  for (;;) {
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent >= 0) return true;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    // The broker reads every client's packets in turn; one that is full for a second is not alive.
    pollfd writable{socket_.get(), POLLOUT, 0};
    if (poll(&writable, 1, 1'000) <= 0) return false;
  }
}

/// Takes one packet without waiting. kReply: it answers `request_id`.
Link::Arrived Link::receive(std::uint32_t request_id, Packet& packet) {
  iovec part{buffer_.data(), buffer_.size()};
  alignas(cmsghdr) std::byte control[CMSG_SPACE(shm::kMaxMessageFds * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Arrived::kNothing;
  if (got <= 0) return Arrived::kHangUp;
  packet.fds.clear();
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  const std::span<const std::byte> bytes{buffer_.data(), static_cast<std::size_t>(got)};
  const auto header = shm::packet_header(bytes);
  if (!header) return Arrived::kHangUp;  // not our broker: nothing it says can be trusted
  packet.header = *header;
  packet.body = bytes.subspan(sizeof(shm::MessageHeader));
  if (header->type == static_cast<std::uint16_t>(shm::MessageType::kReply))
    return header->request_id == request_id ? Arrived::kReply : Arrived::kOther;
  keep_push(packet);
  return Arrived::kOther;
}

void Link::wait_for_socket(Deadline deadline) const {
  pollfd readable{socket_.get(), POLLIN, 0};
  const BootNanos left = std::min<BootNanos>(deadline.remaining_ns(), kSecond);
  const timespec timeout{.tv_sec = left / kSecond, .tv_nsec = left % kSecond};
  ppoll(&readable, socket_ ? 1 : 0, &timeout, nullptr);
}

void Link::hang_up() {
  if (state_ == State::kAttached) {
    lost_since_ = boot_now_ns();
    next_connect_ = 0;
  } else {
    next_connect_ = boot_now_ns() + kConnectEvery;
  }
  state_ = State::kDown;
  attached_.store(false);
  socket_.reset();
}

// Attaching
// -----------------------------------------------------------------------------------------

/// The answer to Hello.
Result<void> Link::welcome(Packet packet) {
  const auto code = static_cast<ErrorCode>(packet.header.error);
  if (code != ErrorCode::kNone) {
    const auto detail = shm::decode<std::string>(packet.body);
    hang_up();
    if (code == ErrorCode::kRevoked && session_) {
      // Too long away, or the memory is gone: a new session, and all that hangs on it anew.
      session_.reset();
      next_connect_ = 0;
      return {};
    }
    // No memory for it now, or on its way out: the next try may do.
    if (code == ErrorCode::kDraining) return {};
    return fail(code, detail ? *detail : std::string{});
  }
  const auto reply = shm::decode<shm::HelloReply>(packet.body);
  if (!reply || packet.fds.size() != 2) {
    hang_up();
    return fail(ErrorCode::kBadMessage, "the broker's answer to Hello has another form");
  }
  const bool resumed =
      reply->resumed && session_ && same_memory(session_->page_fd.get(), packet.fds[0].get());
  if (resumed) {
    // Appenders hold the number of the eventfd.
    if (dup3(packet.fds[1].get(), session_->eventfd.get(), O_CLOEXEC) < 0) {
      hang_up();
      return fail(ErrorCode::kLimitReached, std::string{"dup3: "} + strerror(errno));
    }
  } else {
    auto session = std::make_shared<Session>();
    session->index = static_cast<SessionIndex>(reply->session);
    session->token = reply->token;
    auto page =
        shm::Mapping::of(packet.fds[0].get(), sizeof(shm::SessionPage), shm::Access::kReadWrite);
    Result<void> usable = page ? shm::check_memory(packet.fds[0].get(), sizeof(shm::SessionPage))
                               : std::unexpected(page.error());
    if (usable) usable = page->populate(0, sizeof(shm::SessionPage));
    if (!usable) {
      hang_up();
      return usable;
    }
    session->page = std::move(*page);
    session->page_fd = std::move(packet.fds[0]);
    session->eventfd = std::move(packet.fds[1]);
    const auto& header = session->header();
    if (header.page.magic != shm::kSessionMagic ||
        header.page.layout_version != shm::kLayoutVersion) {
      hang_up();
      return fail(ErrorCode::kWrongVersion, "the session page has another layout");
    }
    session_ = std::move(session);
    assignments_.clear();
    queue_pushes_.clear();
  }
  incarnation_.store(reply->incarnation);
  listener_pid_ = greeted_pid_;
  memory_lost_.store(false);
  state_ = State::kAttached;
  lost_since_ = 0;
  ++number_;
  attached_.store(true);
  return {};
}

/// Tries to connect, if it is time to; an error only if it cannot get better by waiting.
Result<void> Link::connect_again() {
  const BootNanos now = boot_now_ns();
  if (now < next_connect_) return {};
  next_connect_ = now + kConnectEvery;
  const auto connected = connect();
  if (connected) return {};
  const ErrorCode code = connected.error().code;
  // The keeper listens as long as it holds the memory.
  if (code == ErrorCode::kNoBroker) memory_lost_.store(true);
  const bool may_come = code == ErrorCode::kNoBroker || code == ErrorCode::kConnectionLost ||
                        code == ErrorCode::kLimitReached;
  return may_come ? Result<void>{} : connected;
}

/// One step towards being attached, or towards knowing that it is not.
Result<void> Link::step() {
  Packet packet;
  while (state_ == State::kAttached) {
    switch (receive(0, packet)) {
      case Arrived::kNothing:
        return {};
      case Arrived::kHangUp:
        hang_up();
        break;
      default:
        break;
    }
  }
  if (state_ == State::kDown) MALLBOTS_TRY(connect_again());
  while (state_ == State::kGreeting) {
    switch (receive(hello_id_, packet)) {
      case Arrived::kNothing:
        return {};
      case Arrived::kHangUp:
        hang_up();
        return {};
      case Arrived::kReply:
        return welcome(std::move(packet));
      case Arrived::kOther:
        break;
    }
  }
  return {};
}

bool Link::lost_for_too_long() const noexcept {
  return state_ != State::kAttached && lost_since_ != 0 &&
         boot_now_ns() - lost_since_ >= options_.reconnect_timeout_ms * kMillisecond;
}

bool Link::is_lost() const {
  const std::scoped_lock lock{lock_};
  return lost_for_too_long();
}

Result<void> Link::ensure(Deadline deadline) {
  if (is_attached()) return {};
  std::unique_lock lock{lock_};
  if (lost_since_ == 0) lost_since_ = boot_now_ns();
  for (;;) {
    MALLBOTS_TRY(step());
    if (state_ == State::kAttached) return {};
    if (deadline.has_passed() || lost_for_too_long())
      return fail(ErrorCode::kConnectionLost, "no answer at " + socket_path(options_));
    wait_for_socket(state_ == State::kGreeting ? deadline : sooner(deadline, kConnectEvery));
  }
}

void Link::tend() {
  const std::scoped_lock lock{lock_};
  // An error here is told by the next call that must have the broker.
  static_cast<void>(step());
}

void Link::tend_now_and_then() {
  const BootNanos now = boot_now_ns();
  if (now - tended_.load() < kTendEvery) return;
  tended_.store(now);
  tend();
}

// Requests
// -----------------------------------------------------------------------------------------

Result<std::vector<std::byte>> Link::exchange(std::uint64_t attachment,
                                              std::vector<std::byte> packet, Deadline deadline,
                                              std::vector<shm::UniqueFd>* fds) {
  if (packet.size() > shm::kMaxMessageBytes)
    return fail(ErrorCode::kTooLarge, "a control message of " + std::to_string(packet.size()) +
                                          " bytes; at most 65536 are allowed");
  if (deadline.remaining_ns() < kShortestRequest) deadline = Deadline::after_ns(kShortestRequest);
  const std::scoped_lock lock{lock_};
  const auto lost = [&] {
    return fail(ErrorCode::kConnectionLost, "the broker at " + options_.runtime_dir + " hung up");
  };
  if (state_ != State::kAttached || number_.load() != attachment) return lost();
  if (!send(packet, -1)) {
    hang_up();
    return lost();
  }
  const std::uint32_t request_id = shm::packet_header(packet)->request_id;
  Packet answer;
  for (;;) {
    switch (receive(request_id, answer)) {
      case Arrived::kReply: {
        if (const auto code = static_cast<ErrorCode>(answer.header.error);
            code != ErrorCode::kNone) {
          const auto detail = shm::decode<std::string>(answer.body);
          return fail(code, detail ? *detail : std::string{});
        }
        if (fds != nullptr) *fds = std::move(answer.fds);
        return std::vector<std::byte>{answer.body.begin(), answer.body.end()};
      }
      case Arrived::kOther:
        break;
      case Arrived::kHangUp:
        hang_up();
        return lost();
      case Arrived::kNothing:
        if (deadline.has_passed())
          return fail(ErrorCode::kTimeout, "the broker did not answer in time");
        wait_for_socket(deadline);
        break;
    }
  }
}

bool Link::may_ask_again(ErrorCode met, std::uint64_t attachment, Deadline deadline) {
  if (met != ErrorCode::kDraining) return met == ErrorCode::kConnectionLost;
  for (;;) {
    tend();
    if (!is_attached() || number_.load() != attachment) return true;
    if (deadline.has_passed()) return false;
    // sleep: without the lock, which others of the connection need while their broker drains
    std::this_thread::sleep_for(
        std::chrono::nanoseconds{sooner(deadline, kConnectEvery).remaining_ns()});
  }
}

Result<void> Link::send_only(std::uint64_t attachment, std::vector<std::byte> packet) {
  const std::scoped_lock lock{lock_};
  if (number_.load() == attachment && state_ == State::kAttached && send(packet, -1)) return {};
  return fail(ErrorCode::kConnectionLost, "the broker at " + options_.runtime_dir + " hung up");
}

}  // namespace mallbots::client
