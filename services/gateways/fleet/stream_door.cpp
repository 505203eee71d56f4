#include "services/gateways/fleet/stream_door.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <chrono>
#include <vector>

#include "services/gateways/fleet/fleet.grpc.pb.h"
#include "services/runtime/read_file.h"
#include "shm/base/check.h"

namespace mallbots::fleet {
namespace {

constexpr std::size_t kRoom = 64;  ///< messages to one robot that it has not taken
constexpr int kMaxMessageBytes = 256 * 1024;
constexpr std::int64_t kLingerMs = 2'000;
constexpr std::size_t kMemoryBytes = 512 * 1024 * 1024;

grpc::Status status_of(Ending why) {
  switch (why) {
    case Ending::kGone:
      return grpc::Status::OK;
    case Ending::kNotAdmitted:
      return {grpc::StatusCode::UNAUTHENTICATED, "no such device, or not its secret"};
    case Ending::kFenced:
      return {grpc::StatusCode::ABORTED, "the robot has connected anew"};
    case Ending::kSlow:
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "too much waits for the robot"};
    case Ending::kSilent:
      return {grpc::StatusCode::DEADLINE_EXCEEDED, "nothing was heard"};
    case Ending::kOffline:
      return {grpc::StatusCode::UNAVAILABLE, "the depot missed the robot: connect again"};
    case Ending::kFull:
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "there are as many robots as may be"};
    case Ending::kCrowded:
      return {grpc::StatusCode::UNAVAILABLE,
              "too many streams without Hello from your address: connect again and say Hello"};
    case Ending::kClosing:
      return {grpc::StatusCode::UNAVAILABLE, "the gateway ends: connect again"};
  }
  return grpc::Status::OK;
}

/// "ipv4:10.0.0.7:40123" or "ipv6:%5Bfd00::7%5D:40123" without the port, which every connection has
/// anew.
std::string address_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

/// Of bytes: with messages, gRPC would end the stream at the first one that does not read.
using Reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;
using Service = fleetpb::Fleet::WithRawCallbackMethod_Connect<fleetpb::Fleet::Service>;

/// One that does not read says nothing, and is refused as such.
fleetpb::FromRobot read(grpc::ByteBuffer& bytes) {
  fleetpb::FromRobot message;
  if (!grpc::SerializationTraits<fleetpb::FromRobot>::Deserialize(&bytes, &message).ok())
    message.Clear();
  return message;
}

/// What is to be written, and when to read on. Outlives its stream: whoever starts something on the
/// stream is counted in `users_`, and Finish, after which the stream may be deleted, waits for
/// them. No lock is held while gRPC is called.
class Pipe final : public Line {
 public:
  Pipe(Reactor& stream, grpc::CallbackServerContext& context)
      : stream_(stream), context_(context) {}

  bool send(const fleetpb::ToRobot& message) override {
    std::unique_lock lock(mutex_);
    if (is_ended_) return true;
    if (queue_.size() >= kRoom) return false;
    queue_.push_back(message);
    write_next(lock);
    return true;
  }

  void end(Ending why) override {
    std::unique_lock lock(mutex_);
    if (is_ended_) return;
    is_ended_ = true;
    ended_ns_ = boot_now_ns();
    status_ = status_of(why);
    finish(lock);
  }

  /// What it was told last, and why it ended, is not taken: the stream is cut.
  void cut_if_lingering() {
    std::unique_lock lock(mutex_);
    const bool is_over = boot_now_ns() - ended_ns_ > kLingerMs * kMillisecond;
    if (is_ended_ && !is_finished_ && is_over) cut(lock);
    finish(lock);
  }
  [[nodiscard]] bool is_finished() const {
    const std::lock_guard lock(mutex_);
    return is_finished_;
  }

  // At most kMaxPending messages are read that are not done with. Each of these may be the last
  // that the caller does with the stream.
  void took_one(grpc::ByteBuffer* into) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    is_reading_ = false;
    read_next(lock, into);
  }
  void done_one(grpc::ByteBuffer* into) {
    std::unique_lock lock(mutex_);
    --waiting_;
    read_next(lock, into);
  }

  void wrote(bool is_good) {
    std::unique_lock lock(mutex_);
    is_writing_ = false;
    if (!queue_.empty()) queue_.pop_front();
    if (!is_good) queue_.clear();
    write_next(lock);
    finish(lock);
  }

 private:
  void write_next(std::unique_lock<std::mutex>& lock) {
    if (is_writing_ || queue_.empty()) return;
    is_writing_ = true;
    out_.Clear();
    bool is_ours = false;
    CHECK(grpc::SerializationTraits<fleetpb::ToRobot>::Serialize(queue_.front(), &out_, &is_ours)
              .ok());
    use(lock, [this] { stream_.StartWrite(&out_); });
  }
  void read_next(std::unique_lock<std::mutex>& lock, grpc::ByteBuffer* into) {
    if (is_reading_ || is_ended_ || waiting_ >= std::ptrdiff_t{Robots::kMaxPending}) return;
    is_reading_ = true;
    use(lock, [this, into] { stream_.StartRead(into); });
  }
  void cut(std::unique_lock<std::mutex>& lock) {
    if (queue_.size() > 1) queue_.erase(queue_.begin() + 1, queue_.end());
    if (!is_writing_) queue_.clear();
    use(lock, [this] { context_.TryCancel(); });
  }
  /// The stream is there for as long as the call takes.
  template <class Call>
  void use(std::unique_lock<std::mutex>& lock, const Call& call) {
    if (is_finished_) return;
    ++users_;
    lock.unlock();
    call();
    lock.lock();
    --users_;
    finish(lock);
  }
  /// Once everything is written and nobody is about to start something.
  void finish(std::unique_lock<std::mutex>& lock) {
    const bool is_quiet = users_ == 0 && !is_writing_ && queue_.empty();
    if (!is_ended_ || is_finished_ || !is_quiet) return;
    is_finished_ = true;
    lock.unlock();
    stream_.Finish(status_);
    lock.lock();
  }

  Reactor& stream_;
  grpc::CallbackServerContext& context_;
  mutable std::mutex mutex_;
  std::deque<fleetpb::ToRobot> queue_;  ///< the first one is being written
  grpc::ByteBuffer out_;                ///< the same
  std::size_t users_ = 0;
  std::ptrdiff_t waiting_ = 0;  ///< read, and not done with; done may be said first
  bool is_writing_ = false;
  bool is_reading_ = true;
  bool is_ended_ = false;
  bool is_finished_ = false;
  BootNanos ended_ns_ = 0;
  grpc::Status status_;
};

}  // namespace

class StreamDoor::Impl final : public Service {
 public:
  explicit Impl(Robots& robots) : robots_(robots) {}

  Reactor* Connect(grpc::CallbackServerContext* context) override;

  [[nodiscard]] Result<void> listen(const StreamDoorOptions& options);
  void tick();
  void close() {
    if (!server_) return;
    server_->Shutdown(
        std::chrono::system_clock::time_point{std::chrono::milliseconds{wall_now_ms() + 2'000}});
    server_->Wait();
    server_.reset();
  }
  [[nodiscard]] int port() const noexcept { return port_; }

 private:
  class Stream;

  Robots& robots_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Pipe>> pipes_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class StreamDoor::Impl::Stream final : public Reactor {
 public:
  Stream(Robots& robots, grpc::CallbackServerContext& context)
      : robots_(robots),
        pipe_(std::make_shared<Pipe>(*this, context)),
        session_(robots.open(pipe_, address_of(context.peer()))) {}
  /// After it was given to gRPC's care.
  void start() {
    if (session_ == nullptr) return pipe_->end(Ending::kClosing);
    StartRead(&in_);
  }
  [[nodiscard]] const std::shared_ptr<Pipe>& pipe() const noexcept { return pipe_; }

  void OnReadDone(bool is_good) override {
    if (!is_good) return robots_.ended(session_);
    // Robots hears them in order, so the next one is asked for after this one was heard.
    const std::shared_ptr<Pipe> pipe = pipe_;
    robots_.heard(session_, read(in_), [pipe, into = &in_] { pipe->done_one(into); });
    pipe->took_one(&in_);
  }
  void OnWriteDone(bool is_good) override { pipe_->wrote(is_good); }
  void OnCancel() override {
    if (session_) robots_.ended(session_);
  }
  void OnDone() override { delete this; }

 private:
  Robots& robots_;
  std::shared_ptr<Pipe> pipe_;
  std::shared_ptr<Session> session_;
  grpc::ByteBuffer in_;
};

Reactor* StreamDoor::Impl::Connect(grpc::CallbackServerContext* context) {
  auto* stream = new Stream(robots_, *context);
  {
    const std::lock_guard lock(mutex_);
    pipes_.push_back(stream->pipe());
  }
  stream->start();
  return stream;
}

Result<void> StreamDoor::Impl::listen(const StreamDoorOptions& options) {
  // "127.0.0.1.example" is a name, which may be anywhere.
  const bool is_loopback = (options.bind.starts_with("127.") &&
                            options.bind.find_first_not_of("0123456789.") == std::string::npos) ||
                           options.bind == "::1" || options.bind == "localhost";
  const bool has_tls = !options.tls_certificate.empty() || !options.tls_key.empty();
  if (!is_loopback && !has_tls) {
    return fail(ErrorCode::kBadConfig,
                fmt::format("fleet.bind={} is open to the network without TLS: set"
                            " fleet.tls_certificate and fleet.tls_key to PEM files, or bind to"
                            " 127.0.0.1",
                            options.bind));
  }
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (has_tls) {
    if (options.tls_certificate.empty() || options.tls_key.empty()) {
      return fail(ErrorCode::kBadConfig,
                  "TLS needs both fleet.tls_certificate and fleet.tls_key: one of them is not set");
    }
    const auto certificate = read_file(options.tls_certificate);
    if (!certificate) return std::unexpected(certificate.error());
    const auto key = read_file(options.tls_key);
    if (!key) return std::unexpected(key.error());
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({*key, *certificate});
    credentials = grpc::SslServerCredentials(tls);
  }
  const bool is_v6 = options.bind.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + options.bind + "]" : options.bind;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(fmt::format("{}:{}", host, options.port), credentials, &port_);
  builder.RegisterService(this);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetResourceQuota(grpc::ResourceQuota("fleet").Resize(kMemoryBytes));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, options.handshake_ms);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, options.idle_ms);
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0) {
    const std::string pem = fmt::format(
        ", or fleet.tls_certificate={} and fleet.tls_key={} are no PEM certificate and its key",
        options.tls_certificate, options.tls_key);
    return fail(ErrorCode::kBadConfig,
                fmt::format("fleet.bind={} fleet.port={}: the address or the port is not free{}",
                            options.bind, options.port, has_tls ? pem : ""));
  }
  return {};
}

void StreamDoor::Impl::tick() {
  std::vector<std::shared_ptr<Pipe>> pipes;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(pipes_, [&pipes](const std::weak_ptr<Pipe>& weak) {
      auto pipe = weak.lock();
      if (!pipe || pipe->is_finished()) return true;
      pipes.push_back(std::move(pipe));
      return false;
    });
  }
  for (const auto& pipe : pipes) pipe->cut_if_lingering();
}

Result<std::unique_ptr<StreamDoor>> StreamDoor::open(Robots& robots,
                                                     const StreamDoorOptions& options) {
  auto impl = std::make_unique<Impl>(robots);
  MALLBOTS_TRY(impl->listen(options));
  return std::unique_ptr<StreamDoor>(new StreamDoor(std::move(impl)));
}

StreamDoor::StreamDoor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StreamDoor::~StreamDoor() { close(); }
int StreamDoor::port() const noexcept { return impl_->port(); }
grpc::Service& StreamDoor::service() noexcept { return *impl_; }
void StreamDoor::tick() { impl_->tick(); }
void StreamDoor::close() { impl_->close(); }

}  // namespace mallbots::fleet
