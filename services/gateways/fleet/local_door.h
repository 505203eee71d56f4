// LocalDoor: robots whose controllers run on the edge server: reports from one topic, directives to
// another (README.md). A handler of topic kReportsTopic.
//
// Who calls: the router's workers, those of one robot one after the other. A report is done when it
// was answered; one that the depot cannot take now comes again (kNotAnswered).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "clients/toolkit/handler.h"
#include "services/gateways/fleet/outgoing.h"
#include "services/gateways/fleet/robots.h"

namespace mallbots::fleet {

class LocalDoor {
 public:
  /// Both live longer.
  LocalDoor(Robots& robots, Outgoing& outgoing) : robots_(&robots), outgoing_(&outgoing) {}

  [[nodiscard]] toolkit::Handled handle(const toolkit::Message& message);

 private:
  class Channel;
  struct Known {
    std::shared_ptr<Channel> channel;
    std::shared_ptr<Session> session;
  };
  [[nodiscard]] Known open(const std::string& bot_id);
  void say_hello(const std::string& bot_id, const fleetpb::FromRobot& to);
  void refuse(const std::string& bot_id, const fleetpb::FromRobot& what, const CallFailure& why);

  Robots* robots_;
  Outgoing* outgoing_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;
};

}  // namespace mallbots::fleet
