#include "services/runtime/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/support/server_interceptor.h>

#include <algorithm>
#include <chrono>
#include <mutex>

#include "shm/base/clock.h"

namespace mallbots {
namespace {

/// A context that is not there yet, or again, is waited for until the call's deadline. A call whose
/// answer was lost is made again; its request id makes that harmless.
constexpr const char* kServiceConfig = R"({"methodConfig": [{
  "name": [{}],
  "waitForReady": true,
  "retryPolicy": {
    "maxAttempts": 5,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2.0,
    "retryableStatusCodes": ["UNAVAILABLE"]
  }
}]})";

/// gRPC answers a message that does not read as if there were no such method, without a word.
class Unread final : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (batch->QueryInterceptionHookPoint(Point::PRE_SEND_STATUS) &&
        batch->GetSendStatus().error_code() == grpc::StatusCode::UNIMPLEMENTED)
      batch->ModifySendStatus(
          {grpc::StatusCode::INVALID_ARGUMENT,
           "the message does not read: other fields, or text that is no UTF-8"});
    batch->Proceed();
  }
};

class UnreadFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* call) override {
    using Type = grpc::experimental::ServerRpcInfo::Type;
    return call->type() == Type::UNARY ? new Unread : nullptr;  // what is unknown is a stream
  }
};

void enable_plugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

}  // namespace

RpcServer::RpcServer() = default;

RpcServer::~RpcServer() { stop(0); }

void RpcServer::announce(const std::string& name) {
  if (std::ranges::find(names_, name) == names_.end()) names_.push_back(name);
}

void RpcServer::serve(const std::string& name, grpc::Service& service) {
  announce(name);
  services_.push_back(&service);
}

Result<void> RpcServer::start(const std::string& folder) {
  if (names_.empty()) return {};
  enable_plugins();
  grpc::ServerBuilder builder;
  // Two servers on one socket would take each other's calls; the databases refuse the second one.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  for (const std::string& name : names_)
    builder.AddListeningPort("unix:" + folder + "/" + name + ".sock",
                             grpc::InsecureServerCredentials());
  for (grpc::Service* service : services_) builder.RegisterService(service);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<UnreadFactory>());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  server_ = builder.BuildAndStart();
  if (!server_)
    return fail(ErrorCode::kIo, "cannot listen on the sockets of '" + names_.front() + "' in '" +
                                    folder + "'; is the folder yours, and its name short enough?");
  set_serving(false);
  return {};
}

void RpcServer::set_serving(bool is_serving) {
  if (!server_) return;
  auto* health = server_->GetHealthCheckService();
  if (health == nullptr) return;
  health->SetServingStatus(is_serving);  // all names that are known, and ""
  for (const std::string& name : names_) health->SetServingStatus(name, is_serving);
}

void RpcServer::stop(std::int64_t grace_ms) {
  if (!server_) return;
  server_->Shutdown(
      std::chrono::system_clock::time_point{std::chrono::milliseconds{wall_now_ms() + grace_ms}});
  server_->Wait();
  server_.reset();
}

/// grpc.health.v1 is two messages of one field each, written and read here.
bool RpcServer::is_serving(const std::string& folder, const std::string& name) {
  constexpr std::string_view kServing = "\x08\x01";  // status = SERVING
  constexpr std::int64_t kPatienceMs = 1'000;
  grpc::GenericStub stub{grpc::CreateChannel("unix:" + folder + "/" + name + ".sock",
                                             grpc::InsecureChannelCredentials())};
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::time_point{
      std::chrono::milliseconds{wall_now_ms() + kPatienceMs}});
  const grpc::Slice question{"\x0a" + std::string(1, static_cast<char>(name.size())) + name};
  const grpc::ByteBuffer request{&question, 1};
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool is_done = false;
  queue.Next(&tag, &is_done);
  std::vector<grpc::Slice> slices;
  if (!is_done || !status.ok() || !response.Dump(&slices).ok()) return false;
  std::string answer;
  for (const grpc::Slice& slice : slices)
    answer.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return answer == kServing;
}

std::shared_ptr<grpc::Channel> RpcServer::connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace mallbots
