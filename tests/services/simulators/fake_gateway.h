// FakeGateway: a gateway and a depot in memory for simulated robots, without time and threads of
// its own: each report is answered at once, each robot gets its lists one after the other. It
// writes down what every robot says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/simulators/bots/lines.h"

namespace mallbots::bots {

/// What became of the lists, and everything that was said.
struct Deeds {
  std::vector<std::string> said;             ///< "ROBOT MESSAGE", in order
  std::map<std::string, std::string> picks;  ///< by list and store
  std::size_t released = 0;
  std::size_t declined = 0;
  std::size_t replays = 0;
  std::size_t hellos = 0;
};

class FakeGateway final : public Lines {
 public:
  /// `lists`: of each robot, in the order in which it gets them. `deeds` lives longer.
  FakeGateway(std::vector<std::vector<fleetpb::Offer>> lists, Deeds& deeds);

  [[nodiscard]] std::unique_ptr<Line> open(std::uint32_t robot, std::uint64_t number) override;
  [[nodiscard]] std::vector<Inbox::Item> take() override { return inbox_.take(); }

 private:
  struct Robot {
    std::vector<fleetpb::Offer> lists;
    std::size_t list = 0;  ///< in hand or on offer; behind the last one: none
    std::uint64_t epoch = 0;
    std::uint64_t number = 0;  ///< of the last directive
    std::uint64_t sequence = 0;
    std::uint64_t line = 0;
  };
  class OneLine;

  void heard(std::uint32_t robot, const fleetpb::FromRobot& message);
  void welcome(std::uint32_t robot, const fleetpb::Hello& hello);
  void report(std::uint32_t robot, const fleetpb::FromRobot& message);
  void offer(std::uint32_t robot);
  void say(std::uint32_t robot, fleetpb::ToRobot message, bool is_directive = false);

  std::vector<Robot> robots_;
  Deeds& deeds_;
  Inbox inbox_;
};

}  // namespace mallbots::bots
