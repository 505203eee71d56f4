// Robots: what comes with time.
#include <utility>

#include "services/gateways/fleet/robots.h"

namespace mallbots::fleet {

void Robots::tick() {
  locked([&](After& after) {
    const BootNanos now = ports_.now_ns();
    const std::set<Ref> all = sessions_;
    for (const Ref& session : all) watch(session, now, after);
    tell_depot_who_was_heard(now, after);
  });
}

void Robots::watch(const Ref& session, BootNanos now, After& after) {
  // Whom we do not read we cannot hear.
  const bool is_read = session->pending.size() < kMaxPending;
  const bool is_silent = is_read && now - session->heard_ns > session->silent_after_ns;
  const bool is_new = session->state == Session::State::kNew;
  if (is_silent || (is_new && now - session->stranger_ns > options_.hello_ms * kMillisecond)) {
    return end(session, Ending::kSilent, after);
  }
  if (!session->unacked.empty() && now - session->told_ns > options_.resend_ms * kMillisecond) {
    session->told_ns = now;
    for (const fleetpb::ToRobot& directive : session->unacked) {
      ++numbers_.resent;
      send(session, directive, after);
      if (session->state == Session::State::kOver) return;
    }
  }
  pump(session, after);
  const bool is_due = now - session->shown_ns >= options_.positions_ms * kMillisecond;
  if (!session->has_moved || !is_due) return;
  session->has_moved = false;
  session->shown_ns = now;
  after.push_back([this, bot_id = session->bot_id, at = session->at] { ports_.show(bot_id, at); });
}

void Robots::tell_depot_who_was_heard(BootNanos now, After& after) {
  if (heartbeats_under_way_ || now - heartbeats_ns_ < options_.heartbeats_ms * kMillisecond) return;
  heartbeats_ns_ = now;
  depotpb::HeartbeatsRequest request;
  for (const auto& [bot_id, session] : by_bot_) {
    if (!std::exchange(session->heard_since_told, false)) continue;
    depotpb::BotConnection* connection = request.add_heard();
    connection->set_bot_id(bot_id);
    connection->set_epoch(session->epoch);
  }
  if (request.heard_size() == 0) return;
  heartbeats_under_way_ = true;
  after.push_back([this, request] {
    ports_.depot.heartbeats(request, [this](auto response) { on_heartbeats(response); });
  });
}

void Robots::on_heartbeats(
    const std::expected<depotpb::HeartbeatsResponse, CallFailure>& response) {
  locked([&](After& after) {
    heartbeats_under_way_ = false;
    if (!response) return;  // the depot counts us in with the next
    for (const depotpb::BotConnection& over : response->over()) {
      const auto found = by_bot_.find(over.bot_id());
      if (found == by_bot_.end() || found->second->epoch != over.epoch()) continue;
      const Ref session = found->second;
      reject(session, 0, {fleetpb::FENCED, "the robot has connected anew"}, after);
      end(session, Ending::kFenced, after);
    }
  });
}

}  // namespace mallbots::fleet
