#include "services/gateways/fleet/depot_calls.h"

#include <condition_variable>
#include <mutex>
#include <set>

#include "clients/toolkit/message.h"
#include "services/depot/api.grpc.pb.h"
#include "services/runtime/grpc_client.h"

namespace mallbots::fleet {
namespace {

constexpr std::int64_t kTimeoutMs = 5'000;

fleetpb::RejectCode code_of(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::kInvalid:
      return fleetpb::INVALID;
    case RefusalKind::kUnknown:
      return fleetpb::UNKNOWN;
    case RefusalKind::kForbidden:
      return fleetpb::NOT_YOURS;
    case RefusalKind::kWrongState:
      return fleetpb::WRONG_STATE;
    case RefusalKind::kConflict:
      return fleetpb::FENCED;
  }
  return fleetpb::REJECT_UNSPECIFIED;
}

CallFailure call_failure(const grpc::Status& status) {
  const Failure failure = failure_of(status);
  if (const auto* error = std::get_if<Error>(&failure)) {
    return {fleetpb::REJECT_UNSPECIFIED, error->sentence()};
  }
  const auto& refusal = std::get<Refusal>(failure);
  return {code_of(refusal.kind), refusal.reason};
}

}  // namespace

class DepotCalls::Impl {
 public:
  explicit Impl(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(depotpb::DepotService::NewStub(channel)) {}

  /// `start`: void(async stub, context, request, response, callback)
  template <class Response, class Request, class Start>
  void call(const DepotCall& call, const Request& request, const Start& start,
            std::function<void(const grpc::Status&, Response&)> then) {
    struct UnderWay {
      grpc::ClientContext context;
      Request request;
      Response response;
    };
    auto under_way = std::make_shared<UnderWay>();
    under_way->request = request;
    const std::string id = call.request_id.empty() ? toolkit::new_message_id() : call.request_id;
    prepare(under_way->context,
            {.id = id, .actor = call.bot_id.empty() ? "system" : "bot:" + call.bot_id}, kTimeoutMs);
    if (!enter(&under_way->context)) {
      return then({grpc::StatusCode::CANCELLED, "the gateway ends"}, under_way->response);
    }
    start(*stub_->async(), &under_way->context, &under_way->request, &under_way->response,
          [this, under_way, then = std::move(then)](const grpc::Status& status) {
            then(status, under_way->response);
            leave(&under_way->context);
          });
  }

  void close() {
    std::unique_lock lock(mutex_);
    is_closed_ = true;
    for (grpc::ClientContext* context : under_way_) context->TryCancel();
    changed_.wait(lock, [this] { return under_way_.empty(); });
  }

 private:
  bool enter(grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return false;
    under_way_.insert(context);
    return true;
  }
  void leave(grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    under_way_.erase(context);
    if (under_way_.empty()) changed_.notify_all();
  }

  std::unique_ptr<depotpb::DepotService::Stub> stub_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<grpc::ClientContext*> under_way_;
  bool is_closed_ = false;
};

namespace {

template <class Response>
auto giving(Then<Response> then) {
  return [then = std::move(then)](const grpc::Status& status, Response& response) {
    if (!status.ok()) return then(std::unexpected(call_failure(status)));
    then(std::move(response));
  };
}

auto saying(Then<void> then) {
  return [then = std::move(then)](const grpc::Status& status, google::protobuf::Empty&) {
    if (!status.ok()) return then(std::unexpected(call_failure(status)));
    then({});
  };
}

using google::protobuf::Empty;

}  // namespace

DepotCalls::DepotCalls(const std::shared_ptr<grpc::Channel>& channel)
    : impl_(std::make_unique<Impl>(channel)) {}

DepotCalls::~DepotCalls() { close(); }

void DepotCalls::close() { impl_->close(); }

void DepotCalls::hello(const DepotCall& call, const depotpb::HelloRequest& request,
                       Then<depotpb::HelloResponse> then) {
  impl_->call<depotpb::HelloResponse>(
      call, request, [](auto& stub, auto... all) { stub.Hello(all...); }, giving(std::move(then)));
}

void DepotCalls::report(const DepotCall& call, const depotpb::ReportRequest& request,
                        Then<void> then) {
  impl_->call<Empty>(
      call, request, [](auto& stub, auto... all) { stub.Report(all...); }, saying(std::move(then)));
}

void DepotCalls::get_bot(const std::string& bot_id, Then<depotpb::Bot> then) {
  depotpb::BotRequest request;
  request.set_id(bot_id);
  impl_->call<depotpb::Bot>(
      {}, request, [](auto& stub, auto... all) { stub.GetBot(all...); }, giving(std::move(then)));
}

void DepotCalls::get_list(const std::string& list_id, Then<depotpb::ShoppingList> then) {
  depotpb::ListRequest request;
  request.set_id(list_id);
  impl_->call<depotpb::ShoppingList>(
      {}, request, [](auto& stub, auto... all) { stub.GetList(all...); }, giving(std::move(then)));
}

void DepotCalls::heartbeats(const depotpb::HeartbeatsRequest& request,
                            Then<depotpb::HeartbeatsResponse> then) {
  impl_->call<depotpb::HeartbeatsResponse>(
      {}, request, [](auto& stub, auto... all) { stub.Heartbeats(all...); },
      giving(std::move(then)));
}

void DepotCalls::stream_ended(const DepotCall& call, const depotpb::BotConnection& connection,
                              Then<void> then) {
  impl_->call<Empty>(
      call, connection, [](auto& stub, auto... all) { stub.StreamEnded(all...); },
      saying(std::move(then)));
}

}  // namespace mallbots::fleet
