#include <array>

#include "clients/toolkit/message.h"
#include "services/runtime/grpc_client.h"
#include "services/runtime/rpc_server.h"
#include "services/simulators/load/kiosk_load.h"
#include "services/stores/api.grpc.pb.h"

namespace mallbots::load {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;

}  // namespace

Result<void> open_store(const std::string& socket) {
  storespb::StoresService::Stub stub(RpcServer::connect(socket));
  const auto tell = [&stub](auto call, const auto& request) -> Result<void> {
    grpc::ClientContext context;
    prepare(context, {.id = toolkit::new_message_id(), .actor = "system"}, kPatienceMs);
    google::protobuf::Empty done;
    const grpc::Status status = (stub.*call)(&context, request, &done);
    const bool stands = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION ||
                        status.error_code() == grpc::StatusCode::ABORTED;
    if (status.ok() || stands) return {};
    return fail(ErrorCode::kRefused, "the store: " + status.error_message());
  };
  using Stub = storespb::StoresService::Stub;
  storespb::CreateStoreRequest create;
  create.set_id("load");
  create.set_name("Load");
  create.set_location("10,4");
  MALLBOTS_TRY(tell(&Stub::CreateStore, create));
  storespb::StoreRequest which;
  which.set_id("load");
  MALLBOTS_TRY(tell(&Stub::RequestParticipation, which));
  MALLBOTS_TRY(tell(&Stub::ApproveParticipation, which));
  for (const auto& [id, minor] : {std::pair{"load-mug", 250}, std::pair{"load-cake", 199}}) {
    storespb::AddProductRequest add;
    add.set_id(id);
    add.set_store_id("load");
    add.set_name(id);
    add.set_sku(id);
    add.mutable_price()->set_minor(minor);
    add.mutable_price()->set_currency("GBP");
    MALLBOTS_TRY(tell(&Stub::AddProduct, add));
  }
  return {};
}

}  // namespace mallbots::load
