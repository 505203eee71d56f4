#include "services/runtime/outboxes.h"

#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "services/runtime/host_api.grpc.pb.h"
#include "shm/base/clock.h"

namespace mallbots {
namespace {

using runtimepb::HostService;
using runtimepb::OutboxesRequest;
using runtimepb::OutboxesResponse;

constexpr std::int64_t kPatienceMs = 500;
constexpr std::size_t kMaxTextBytes = 500;

void add(runtimepb::OutboxBacklog& backlog, const toolkit::RefusedMessage& message) {
  runtimepb::RefusedMessage& row = *backlog.add_newest_refused();
  row.set_row(message.row);
  row.set_topic(message.topic.substr(0, kMaxTextBytes));
  row.set_key(message.key.substr(0, kMaxTextBytes));
  row.set_reason(message.reason.substr(0, kMaxTextBytes));
  row.set_added_ms(message.added_ms);
}

OutboxBacklog backlog_of(const runtimepb::OutboxBacklog& told, bool is_current) {
  OutboxBacklog backlog{.service = told.service(),
                        .waiting = told.waiting(),
                        .oldest_ms = told.oldest_ms(),
                        .refused = told.refused(),
                        .is_current = is_current};
  for (const auto& row : told.newest_refused())
    backlog.newest_refused.push_back(
        {row.row(), row.topic(), row.key(), row.reason(), row.added_ms()});
  return backlog;
}

class HostApi final : public HostService::CallbackService {
 public:
  HostApi(std::shared_ptr<prometheus::Registry> metrics, RefusedOf refused_of)
      : metrics_(std::move(metrics)), refused_of_(std::move(refused_of)) {}

  grpc::ServerUnaryReactor* Outboxes(grpc::CallbackServerContext* context, const OutboxesRequest*,
                                     OutboxesResponse* response) override {
    std::map<std::string, runtimepb::OutboxBacklog> by_service;
    for (const auto& family : metrics_->Collect()) {
      if (!family.name.starts_with("outbox_")) continue;
      for (const auto& metric : family.metric) {
        if (metric.label.empty()) continue;
        auto& backlog = by_service[metric.label[0].value];
        backlog.set_service(metric.label[0].value);
        const double value = metric.gauge.value;
        if (family.name == "outbox_messages_waiting") {
          backlog.set_waiting(static_cast<std::int64_t>(value));
        } else if (family.name == "outbox_oldest_seconds") {
          backlog.set_oldest_ms(static_cast<std::int64_t>(value * 1'000));
        } else if (family.name == "outbox_messages_refused") {
          backlog.set_refused(static_cast<std::int64_t>(value));
        }
      }
    }
    for (auto& [service, backlog] : by_service) {
      if (backlog.refused() > 0)
        for (const auto& message : refused_of_(service)) add(backlog, message);
      *response->add_outboxes() = backlog;
    }
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  std::shared_ptr<prometheus::Registry> metrics_;
  RefusedOf refused_of_;
};

/// One question under way.
struct Question {
  std::string socket;
  grpc::ClientContext context{};
  OutboxesResponse response{};
  grpc::Status status{};
  std::unique_ptr<grpc::ClientAsyncResponseReader<OutboxesResponse>> reader{};
};

}  // namespace

std::shared_ptr<grpc::Service> make_host_api(std::shared_ptr<prometheus::Registry> metrics,
                                             RefusedOf refused_of) {
  return std::make_shared<HostApi>(std::move(metrics), std::move(refused_of));
}

class OutboxWatch::Impl {
 public:
  explicit Impl(std::string socket_dir) : socket_dir_(std::move(socket_dir)) {}

  [[nodiscard]] std::vector<OutboxBacklog> ask() {
    const std::scoped_lock lock(mutex_);
    find_sockets();
    std::set<std::string> answered;
    ask_all(answered);
    std::map<std::string, OutboxBacklog> by_service;
    for (const bool is_current : {false, true})
      for (const auto& [socket, outboxes] : told_)
        for (const auto& one : outboxes)
          if (answered.contains(socket) == is_current)
            by_service[one.service()] = backlog_of(one, is_current);
    std::vector<OutboxBacklog> all;
    for (auto& [service, backlog] : by_service) all.push_back(std::move(backlog));
    return all;
  }

 private:
  void find_sockets() {
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator(socket_dir_, gone)) {
      const std::string path = entry.path().string();
      if (!path.ends_with(".sock") || stubs_.contains(path)) continue;
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
      stubs_[path] = HostService::NewStub(
          grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments));
    }
  }

  void ask_all(std::set<std::string>& answered) {
    const auto until = std::chrono::system_clock::time_point{
        std::chrono::milliseconds{wall_now_ms() + kPatienceMs}};
    grpc::CompletionQueue queue;
    std::deque<Question> questions;
    for (const auto& [socket, stub] : stubs_) {
      Question& question = questions.emplace_back();
      question.socket = socket;
      question.context.set_deadline(until);
      question.reader = stub->PrepareAsyncOutboxes(&question.context, {}, &queue);
      question.reader->StartCall();
      question.reader->Finish(&question.response, &question.status, &question);
    }
    for (std::size_t left = questions.size(); left > 0; --left) {
      void* tag = nullptr;
      bool is_done = false;
      if (!queue.Next(&tag, &is_done)) break;
      const auto& question = *static_cast<Question*>(tag);
      if (!is_done || !question.status.ok()) continue;
      answered.insert(question.socket);
      const auto& outboxes = question.response.outboxes();
      told_[question.socket] = {outboxes.begin(), outboxes.end()};
    }
  }

  std::string socket_dir_;
  std::mutex mutex_;  // all below
  std::map<std::string, std::unique_ptr<HostService::Stub>> stubs_;
  std::map<std::string, std::vector<runtimepb::OutboxBacklog>> told_;
};

OutboxWatch::OutboxWatch(std::string socket_dir)
    : impl_(std::make_unique<Impl>(std::move(socket_dir))) {}
OutboxWatch::~OutboxWatch() = default;
std::vector<OutboxBacklog> OutboxWatch::ask() { return impl_->ask(); }

}  // namespace mallbots
