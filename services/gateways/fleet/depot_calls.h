// DepotCalls: DepotDoor by gRPC. Asynchronous: no thread waits for an answer.
//
// Who calls: Robots, any thread; answers come on gRPC's threads. A call that is not answered within
// 5 s, or finds nobody, is a technical failure. close() cancels what is under way, waits until all
// answers are in, and fails every later call at once.
#pragma once

#include <memory>

#include "services/gateways/fleet/depot_door.h"

namespace grpc {
class Channel;
}

namespace mallbots::fleet {

class DepotCalls final : public DepotDoor {
 public:
  explicit DepotCalls(const std::shared_ptr<grpc::Channel>& channel);
  ~DepotCalls() override;

  void hello(const DepotCall& call, const depotpb::HelloRequest& request,
             Then<depotpb::HelloResponse> then) override;
  void report(const DepotCall& call, const depotpb::ReportRequest& request,
              Then<void> then) override;
  void get_bot(const std::string& bot_id, Then<depotpb::Bot> then) override;
  void get_list(const std::string& list_id, Then<depotpb::ShoppingList> then) override;
  void heartbeats(const depotpb::HeartbeatsRequest& request,
                  Then<depotpb::HeartbeatsResponse> then) override;
  void stream_ended(const DepotCall& call, const depotpb::BotConnection& connection,
                    Then<void> then) override;
  void close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots::fleet
