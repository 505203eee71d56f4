// DepotDoor: what the gateway asks of the context depot. DepotCalls (depot_calls.h) does it by
// gRPC.
//
// Who calls: Robots, any thread. No call waits: `then` is called once for each, by another thread
// or within the call. A refusal has its code; REJECT_UNSPECIFIED is a technical failure, after
// which the same call may be made again under the same request id.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include "services/depot/api.pb.h"
#include "services/gateways/fleet/fleet.pb.h"

namespace mallbots::fleet {

struct CallFailure {
  fleetpb::RejectCode code = fleetpb::REJECT_UNSPECIFIED;
  std::string reason{};
  [[nodiscard]] bool is_refusal() const noexcept { return code != fleetpb::REJECT_UNSPECIFIED; }
};

template <class T>
using Then = std::function<void(std::expected<T, CallFailure>)>;

struct DepotCall {
  std::string request_id;  ///< the same again has its effect once
  std::string bot_id{};    ///< who acts
};

class DepotDoor {
 public:
  virtual ~DepotDoor() = default;
  virtual void hello(const DepotCall& call, const depotpb::HelloRequest& request,
                     Then<depotpb::HelloResponse> then) = 0;
  virtual void report(const DepotCall& call, const depotpb::ReportRequest& request,
                      Then<void> then) = 0;
  virtual void get_bot(const std::string& bot_id, Then<depotpb::Bot> then) = 0;
  virtual void get_list(const std::string& list_id, Then<depotpb::ShoppingList> then) = 0;
  virtual void heartbeats(const depotpb::HeartbeatsRequest& request,
                          Then<depotpb::HeartbeatsResponse> then) = 0;
  virtual void stream_ended(const DepotCall& call, const depotpb::BotConnection& connection,
                            Then<void> then) = 0;
};

}  // namespace mallbots::fleet
