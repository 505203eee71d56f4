#include "services/gateways/fleet/local_door.h"

#include <atomic>
#include <chrono>
#include <future>

#include "services/gateways/fleet/messages.h"
#include "services/gateways/fleet/topics.h"

namespace mallbots::fleet {
namespace {

constexpr std::chrono::milliseconds kPatience{5'000};
constexpr std::int64_t kFullMs = 5'000;  ///< until a Hello is looked at again

}  // namespace

class LocalDoor::Channel final : public Line {
 public:
  Channel(Outgoing& outgoing, std::string bot_id)
      : outgoing_(outgoing), bot_id_(std::move(bot_id)) {}

  bool send(const fleetpb::ToRobot& message) override {
    outgoing_.add(kDirectivesTopic, bot_id_, message.SerializeAsString());
    return true;
  }
  void end(Ending why) override {
    is_full_ = why == Ending::kFull || why == Ending::kCrowded;
    is_over_ = true;
  }
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  /// It is over because there are as many as may be.
  [[nodiscard]] bool is_full() const noexcept { return is_full_; }

 private:
  Outgoing& outgoing_;
  std::string bot_id_;
  std::atomic<bool> is_over_ = false;
  std::atomic<bool> is_full_ = false;
};

LocalDoor::Known LocalDoor::open(const std::string& bot_id) {
  auto channel = std::make_shared<Channel>(*outgoing_, bot_id);
  auto session = robots_->open_local(channel);
  Known known{std::move(channel), std::move(session)};
  const std::lock_guard lock(mutex_);
  if (known.session) known_[bot_id] = known;
  return known;
}

void LocalDoor::refuse(const std::string& bot_id, const fleetpb::FromRobot& what,
                       const CallFailure& why) {
  fleetpb::ToRobot answer = rejection(what.sequence(), why);
  answer.set_epoch(what.epoch());
  outgoing_->add(kDirectivesTopic, bot_id, answer.SerializeAsString());
}

void LocalDoor::say_hello(const std::string& bot_id, const fleetpb::FromRobot& to) {
  refuse(bot_id, to, {fleetpb::SAY_HELLO, "begin with a Hello"});
}

toolkit::Handled LocalDoor::handle(const toolkit::Message& record) {
  const std::string bot_id(record.key());
  fleetpb::FromRobot message;
  const std::string_view bytes = record.payload();
  const bool is_read = message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (!is_read) return toolkit::give_up("Malformed", "no FromRobot");
  Known known;
  if (message.has_hello()) {
    if (message.hello().bot_id() != bot_id) {
      refuse(bot_id, message, {fleetpb::INVALID, "the key is another robot's"});
      return {};
    }
    known = open(bot_id);
    if (!known.session) return toolkit::not_now("Closing", "the gateway ends", kFullMs);
  } else {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(bot_id);
    if (found != known_.end()) known = found->second;
  }
  if (!known.session) {
    say_hello(bot_id, message);
    return {};
  }
  const auto answered = std::make_shared<std::promise<void>>();
  std::future<void> waits = answered->get_future();
  robots_->heard(known.session, message, [answered] { answered->set_value(); });
  if (waits.wait_for(kPatience) != std::future_status::ready) {
    return toolkit::try_again("NotAnswered", "the depot takes no report now");
  }
  if (!known.channel->is_over()) return {};
  // Nobody has answered, unless it was the Hello that was refused.
  if (!message.has_hello()) say_hello(bot_id, message);
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(bot_id);
    if (found != known_.end() && found->second.channel == known.channel) known_.erase(found);
  }
  if (message.has_hello() && known.channel->is_full())
    return toolkit::not_now("Full", "as many robots as may be", kFullMs);
  return {};
}

}  // namespace mallbots::fleet
