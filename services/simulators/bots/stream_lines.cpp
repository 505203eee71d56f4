#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>

#include "services/gateways/fleet/fleet.grpc.pb.h"
#include "services/simulators/bots/lines.h"

namespace mallbots::bots {
namespace {

using Reactor = grpc::ClientBidiReactor<fleetpb::FromRobot, fleetpb::ToRobot>;

/// How many streams there are.
class Living {
 public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  void remove() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void wait_for_none() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::size_t count_ = 0;
};

/// Lives until its line has let it go (the hold) and gRPC is done with it.
class Stream final : public Reactor {
 public:
  Stream(fleetpb::Fleet::Stub& stub, Inbox& inbox, Living& living, std::uint32_t robot,
         std::uint64_t line)
      : inbox_(inbox), living_(living), robot_(robot), line_(line) {
    living_.add();
    stub.async()->Connect(&context_, this);
    AddHold();
    StartRead(&in_);
    StartCall();
  }

  void send(const fleetpb::FromRobot& message) {
    const std::lock_guard lock(mutex_);
    if (is_over_) return;
    queue_.push_back(message);
    write_next();
  }
  /// The last call from its line.
  void let_go() {
    context_.TryCancel();
    RemoveHold();
  }

  void OnReadDone(bool is_good) override {
    if (!is_good) return inbox_.put({robot_, line_, std::nullopt});
    inbox_.put({robot_, line_, std::move(in_)});
    in_.Clear();
    StartRead(&in_);
  }
  void OnWriteDone(bool is_good) override {
    const std::lock_guard lock(mutex_);
    is_writing_ = false;
    queue_.pop_front();
    if (!is_good) is_over_ = true;
    if (!is_over_) write_next();
  }
  void OnDone(const grpc::Status&) override {
    Living& living = living_;
    delete this;
    living.remove();
  }

 private:
  // With the lock: gRPC never calls back from within.
  void write_next() {
    if (is_writing_ || queue_.empty()) return;
    is_writing_ = true;
    StartWrite(&queue_.front());
  }

  Inbox& inbox_;
  Living& living_;
  std::uint32_t robot_;
  std::uint64_t line_;
  grpc::ClientContext context_;
  fleetpb::ToRobot in_;
  std::mutex mutex_;
  std::deque<fleetpb::FromRobot> queue_;
  bool is_writing_ = false;
  bool is_over_ = false;
};

class StreamLine final : public Line {
 public:
  explicit StreamLine(Stream* stream) : stream_(stream) {}
  ~StreamLine() override { stream_->let_go(); }
  void send(const fleetpb::FromRobot& message) override { stream_->send(message); }

 private:
  Stream* stream_;
};

}  // namespace

class StreamLines::Impl {
 public:
  Impl(const Options& options, Inbox& inbox) : inbox_(inbox) {
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (!options.root_certificate.empty()) {
      credentials = grpc::SslCredentials({.pem_root_certs = options.root_certificate});
    }
    for (std::size_t i = 0; i < std::max<std::size_t>(options.connections, 1); ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // else all share one connection
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
      stubs_.push_back(fleetpb::Fleet::NewStub(
          grpc::CreateCustomChannel(options.address, credentials, arguments)));
    }
  }
  ~Impl() { living_.wait_for_none(); }

  std::unique_ptr<Line> open(std::uint32_t robot, std::uint64_t line) {
    return std::make_unique<StreamLine>(
        new Stream(*stubs_[robot % stubs_.size()], inbox_, living_, robot, line));
  }

 private:
  Inbox& inbox_;
  Living living_;
  std::vector<std::unique_ptr<fleetpb::Fleet::Stub>> stubs_;
};

StreamLines::StreamLines(const Options& options, Inbox& inbox)
    : impl_(std::make_unique<Impl>(options, inbox)) {}
StreamLines::~StreamLines() = default;
std::unique_ptr<Line> StreamLines::open(std::uint32_t robot, std::uint64_t line) {
  return impl_->open(robot, line);
}

}  // namespace mallbots::bots
