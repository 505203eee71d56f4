#include "tests/services/simulators/fake_gateway.h"

#include <gtest/gtest.h>

namespace mallbots::bots {

class FakeGateway::OneLine final : public Line {
 public:
  OneLine(FakeGateway& gateway, std::uint32_t robot) : gateway_(gateway), robot_(robot) {}
  void send(const fleetpb::FromRobot& message) override { gateway_.heard(robot_, message); }

 private:
  FakeGateway& gateway_;
  std::uint32_t robot_;
};

FakeGateway::FakeGateway(std::vector<std::vector<fleetpb::Offer>> lists, Deeds& deeds)
    : deeds_(deeds) {
  for (auto& of_one : lists) robots_.emplace_back().lists = std::move(of_one);
}

std::unique_ptr<Line> FakeGateway::open(std::uint32_t robot, std::uint64_t number) {
  robots_[robot].line = number;
  return std::make_unique<OneLine>(*this, robot);
}

void FakeGateway::heard(std::uint32_t robot, const fleetpb::FromRobot& message) {
  deeds_.said.push_back(std::to_string(robot) + " " + message.SerializeAsString());
  if (message.has_hello()) return welcome(robot, message.hello());
  if (message.has_heartbeat() || message.has_ack()) return;
  report(robot, message);
}

void FakeGateway::welcome(std::uint32_t robot, const fleetpb::Hello& hello) {
  ++deeds_.hellos;
  Robot& one = robots_[robot];
  ++one.epoch;
  one.number = 0;
  fleetpb::ToRobot message;
  message.mutable_welcome()->set_heartbeat_ms(3'000);
  message.mutable_welcome()->set_last_sequence(one.sequence);
  message.mutable_welcome()->set_nonce(hello.nonce());
  say(robot, std::move(message));
  const bool has_list = one.list < one.lists.size();
  if (!hello.list_in_hand().empty() &&
      (!has_list || one.lists[one.list].list_id() != hello.list_in_hand())) {
    fleetpb::ToRobot released;
    released.mutable_released()->set_list_id(hello.list_in_hand());
    say(robot, std::move(released), true);
  }
  offer(robot);
}

void FakeGateway::offer(std::uint32_t robot) {
  const Robot& one = robots_[robot];
  if (one.list >= one.lists.size()) return;
  fleetpb::ToRobot message;
  *message.mutable_offer() = one.lists[one.list];
  say(robot, std::move(message), true);
}

void FakeGateway::report(std::uint32_t robot, const fleetpb::FromRobot& message) {
  Robot& one = robots_[robot];
  fleetpb::ToRobot done;
  done.mutable_done()->set_sequence(message.sequence());
  if (message.sequence() <= one.sequence) {
    ++deeds_.replays;
    return say(robot, std::move(done));
  }
  EXPECT_EQ(message.sequence(), one.sequence + 1);
  one.sequence = message.sequence();
  say(robot, std::move(done));
  ASSERT_LT(one.list, one.lists.size()) << message.ShortDebugString();
  fleetpb::Offer& list = one.lists[one.list];
  const auto stop = [&list](const std::string& store) {
    for (fleetpb::Stop& at : *list.mutable_stops())
      if (at.store_id() == store) return &at;
    ADD_FAILURE() << store << " is not on the list";
    return list.mutable_stops(0);
  };
  if (message.has_decline()) {
    ++deeds_.declined;
    offer(robot);
  } else if (message.has_started()) {
    list.set_is_begun(true);
  } else if (message.has_arrived_at_store()) {
    stop(message.arrived_at_store().store_id())->set_state(fleetpb::Stop::ARRIVED);
  } else if (message.has_items_picked()) {
    const fleetpb::ItemsPicked& picked = message.items_picked();
    stop(picked.store_id())->set_state(fleetpb::Stop::DONE);
    const bool is_first =
        deeds_.picks.emplace(list.list_id() + " " + picked.store_id(), picked.ShortDebugString())
            .second;
    EXPECT_TRUE(is_first) << list.list_id() << " is picked twice";
  } else if (message.has_arrived_at_depot()) {
    ++deeds_.released;
    fleetpb::ToRobot released;
    released.mutable_released()->set_list_id(list.list_id());
    say(robot, std::move(released), true);
    ++one.list;
    offer(robot);
  }
}

void FakeGateway::say(std::uint32_t robot, fleetpb::ToRobot message, bool is_directive) {
  Robot& one = robots_[robot];
  message.set_epoch(one.epoch);
  if (is_directive) message.set_number(++one.number);
  inbox_.put({robot, one.line, std::move(message)});
}

}  // namespace mallbots::bots
