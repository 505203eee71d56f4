#include "services/gateways/fleet/robots.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "clients/toolkit/message.h"
#include "services/gateways/fleet/messages.h"
#include "services/runtime/text.h"

namespace mallbots::fleet {
namespace {

using State = Session::State;

constexpr std::size_t kMaxIdBytes = 64;
constexpr std::int32_t kMaxFloor = 1 << 20;  ///< cells, across and down

}  // namespace

// --- From the doors

std::shared_ptr<Session> Robots::open(std::shared_ptr<Line> line, std::string peer) {
  return begin(std::move(line), std::move(peer), false);
}

std::shared_ptr<Session> Robots::open_local(std::shared_ptr<Line> line) {
  return begin(std::move(line), "local", true);
}

Robots::Ref Robots::begin(std::shared_ptr<Line> line, std::string peer, bool is_local) {
  Ref session;
  locked([&](After& after) {
    if (is_closed_) return;
    session = std::make_shared<Session>();
    session->line = std::move(line);
    session->is_local = is_local;
    session->peer = std::move(peer);
    session->heard_ns = ports_.now_ns();
    session->silent_after_ns = options_.hello_ms * kMillisecond;
    sessions_.insert(session);
    become_stranger(*session, after);
  });
  return session;
}

void Robots::become_stranger(Session& session, After& after) {
  session.state = State::kNew;
  session.stranger_ns = ports_.now_ns();
  strangers_.add(session);
  if (Session* out = strangers_.one_too_many()) {
    end(out->shared_from_this(), Ending::kCrowded, after);
  }
}

void Robots::become_greeting(const Ref& session, const fleetpb::Hello& hello, After& after) {
  const auto before = greeting_.find(hello.bot_id());
  if (before != greeting_.end()) {
    const Ref older = before->second;
    // A local controller could not tell which of its Hellos is meant.
    if (!older->is_local) {
      reject(older, 0, {fleetpb::FENCED, "the robot has connected anew"}, after);
    }
    end(older, Ending::kFenced, after);
  }
  strangers_.remove(*session);
  greeting_[hello.bot_id()] = session;
  session->bot_id = hello.bot_id();
  session->hello = hello;
  session->hello.clear_secret();
  session->state = State::kGreeting;
}

void Robots::heard(const Ref& session, fleetpb::FromRobot message, std::function<void()> done) {
  // Admission may read a file: not under the lock.
  const bool is_admitted = message.has_hello() && ports_.admits(message.hello(), session->is_local);
  Pending heard{std::move(message), std::move(done)};
  locked([&](After& after) {
    session->heard_ns = ports_.now_ns();
    hear(session, heard, is_admitted, after);
    if (heard.done) after.push_back(std::move(heard.done));
    pump(session, after);
  });
}

void Robots::hear(const Ref& session, Pending& heard, bool is_admitted, After& after) {
  if (session->state == State::kOver) return;
  const fleetpb::FromRobot& message = heard.message;
  if (message.has_hello()) return on_hello(session, message.hello(), is_admitted, after);
  if (session->is_local && message.epoch() != session->epoch) {
    fleetpb::ToRobot answer =
        rejection(message.sequence(), {fleetpb::FENCED, "an older connection"});
    answer.set_epoch(message.epoch());
    return send(session, std::move(answer), after);
  }
  if (session->state == State::kNew) {
    return reject(session, message.sequence(), {fleetpb::SAY_HELLO, "begin with a Hello"}, after);
  }
  session->heard_since_told = true;
  if (message.has_heartbeat()) return on_heartbeat(session, message.heartbeat(), after);
  if (message.has_ack()) return on_ack(*session, message.ack().number());
  if (message.what_case() == fleetpb::FromRobot::WHAT_NOT_SET) {
    return reject(session, message.sequence(),
                  {fleetpb::INVALID, "the message says nothing that is known"}, after);
  }
  session->pending.push_back(std::move(heard));
  heard.done = nullptr;
}

void Robots::on_hello(const Ref& session, const fleetpb::Hello& hello, bool is_admitted,
                      After& after) {
  if (session->state != State::kNew) {
    return reject(session, 0, {fleetpb::INVALID, "Hello was said before"}, after);
  }
  if (!is_admitted) {
    reject(session, 0, {fleetpb::NOT_ADMITTED, "no such device, or not its secret"}, after);
    return end(session, Ending::kNotAdmitted, after);
  }
  if (const auto id = checked_text("the robot's id", hello.bot_id(), kMaxIdBytes);
      !id || *id != hello.bot_id()) {
    return reject(session, 0, {fleetpb::INVALID, "that is no robot's id"}, after);
  }
  if (!has_room_for(hello.bot_id())) return end(session, Ending::kFull, after);
  become_greeting(session, hello, after);
}

void Robots::on_heartbeat(const Ref& session, const fleetpb::Heartbeat& heartbeat, After& after) {
  const fleetpb::Position& is = heartbeat.position();
  const bool is_on_floor = std::min(is.x(), is.y()) >= 0 && std::max(is.x(), is.y()) < kMaxFloor;
  if (!is_on_floor || heartbeat.battery_percent() > 100) {
    return reject(session, 0, {fleetpb::INVALID, "no robot is there, or so charged"}, after);
  }
  if (!session->is_local && session->state != State::kOpen) return;
  const fleetpb::Position& was = session->at.position();
  if (heartbeat.has_position() &&
      (!session->at.has_position() || was.x() != is.x() || was.y() != is.y())) {
    *session->at.mutable_position() = is;
    session->has_moved = true;
  }
  session->at.set_battery_percent(heartbeat.battery_percent());
}

void Robots::on_ack(Session& session, std::uint64_t number) {
  while (!session.unacked.empty() && session.unacked.front().number() <= number) {
    session.unacked.pop_front();
  }
  session.told_ns = ports_.now_ns();
}

void Robots::ended(const Ref& session) {
  locked([&](After& after) { end(session, Ending::kGone, after); });
}

// --- One call to the depot at a time: the Hello, then reports in order, then looks

void Robots::pump(const Ref& session, After& after) {
  if (session->is_busy || ports_.now_ns() < session->retry_ns) return;
  if (session->state == State::kGreeting) return say_hello(session, after);
  if (session->state != State::kOpen) return;
  if (!session->pending.empty()) return report(session, after);
  if (session->look_wanted) start_look(session, after);
}

void Robots::try_later(Session& session) {
  session.retry_ns = ports_.now_ns() + options_.retry_ms * kMillisecond;
}

void Robots::say_hello(const Ref& session, After& after) {
  session->is_busy = true;
  depotpb::HelloRequest request;
  request.set_bot_id(session->bot_id);
  request.set_name(session->hello.name().empty() ? session->bot_id : session->hello.name());
  after.push_back([this, session, request] {
    const DepotCall call{toolkit::new_message_id(), request.bot_id()};
    ports_.depot.hello(call, request,
                       [this, session](auto answer) { on_welcome(session, answer); });
  });
}

void Robots::on_welcome(const Ref& session,
                        const std::expected<depotpb::HelloResponse, CallFailure>& answer) {
  locked([&](After& after) {
    session->is_busy = false;
    if (session->state == State::kOver) {
      if (!answer) return;
      // The connection ended meanwhile, and the depot believes that it is there.
      depotpb::BotConnection connection;
      connection.set_bot_id(session->bot_id);
      connection.set_epoch(answer->epoch());
      after.push_back([this, connection] {
        ports_.depot.stream_ended({toolkit::new_message_id(), connection.bot_id()}, connection,
                                  [](auto) {});
      });
      return;
    }
    if (answer) {
      admit(session, *answer, after);
    } else if (answer.error().is_refusal()) {
      greeting_.erase(session->bot_id);
      become_stranger(*session, after);
      reject(session, 0, answer.error(), after);
    } else {
      try_later(*session);
    }
    pump(session, after);
  });
}

void Robots::admit(const Ref& session, const depotpb::HelloResponse& welcome, After& after) {
  greeting_.erase(session->bot_id);
  session->epoch = welcome.epoch();
  const auto before = by_bot_.find(session->bot_id);
  if (before != by_bot_.end()) {
    const bool is_newer = before->second->epoch > session->epoch;
    const Ref older = is_newer ? session : before->second;
    reject(older, 0, {fleetpb::FENCED, "the robot has connected anew"}, after);
    end(older, Ending::kFenced, after);
    if (is_newer) return;
  }
  by_bot_[session->bot_id] = session;
  session->state = State::kOpen;
  session->next_sequence = welcome.last_sequence() + 1;
  session->silent_after_ns = 3 * welcome.heartbeat_ms() * kMillisecond;
  ++numbers_.welcomed;
  fleetpb::ToRobot message;
  fleetpb::Welcome* said = message.mutable_welcome();
  said->set_heartbeat_ms(welcome.heartbeat_ms());
  said->set_last_sequence(welcome.last_sequence());
  said->set_nonce(session->hello.nonce());
  said->set_list_to_resume(welcome.list_id());
  send(session, std::move(message), after);
  // What it believes to have and has not is taken from it; what it has it is told anew.
  const std::string& in_hand = session->hello.list_in_hand();
  if (!in_hand.empty() && in_hand != welcome.list_id()) tell(session, released(in_hand), after);
  session->look_wanted = true;
}

void Robots::report(const Ref& session, After& after) {
  const fleetpb::FromRobot& message = session->pending.front().message;
  const std::uint64_t sequence = message.sequence();
  CallFailure wrong;
  if (sequence == 0) {
    wrong = {fleetpb::INVALID, "a report carries a sequence number"};
  } else if (sequence > session->next_sequence) {
    wrong = {fleetpb::INVALID,
             fmt::format("report {} comes before report {}", sequence, session->next_sequence)};
  } else if (sequence + kAnswersKept < session->next_sequence) {
    wrong = {fleetpb::TOO_OLD, fmt::format("the answer to report {} is forgotten", sequence)};
  }
  if (wrong.is_refusal()) {
    reject(session, sequence, wrong, after);
    after.push_back(std::move(session->pending.front().done));
    session->pending.pop_front();
    return pump(session, after);
  }
  session->is_busy = true;
  after.push_back([this, session, request = report_of(message, session->bot_id, session->epoch)] {
    const DepotCall call{fmt::format("{}/{}", request.bot_id(), request.sequence()),
                         request.bot_id()};
    ports_.depot.report(call, request,
                        [this, session](auto answer) { on_answer(session, answer); });
  });
}

void Robots::on_answer(const Ref& session, const std::expected<void, CallFailure>& answer) {
  locked([&](After& after) {
    session->is_busy = false;
    if (session->state == State::kOver) return;
    if (!answer && !answer.error().is_refusal()) return try_later(*session);
    Pending answered = std::move(session->pending.front());
    session->pending.pop_front();
    const fleetpb::FromRobot& message = answered.message;
    session->next_sequence = std::max(session->next_sequence, message.sequence() + 1);
    after.push_back(std::move(answered.done));
    ++numbers_.reports;
    if (answer) {
      const bool gave_up = message.has_decline() || message.has_emptied();
      if (gave_up && list_of(message) == session->told_list) set_told(session, {}, false);
      fleetpb::ToRobot done;
      done.mutable_done()->set_sequence(message.sequence());
      send(session, std::move(done), after);
    } else {
      reject(session, message.sequence(), answer.error(), after);
      if (answer.error().code == fleetpb::FENCED) return end(session, Ending::kFenced, after);
      session->look_wanted = true;  // it believes something else than the depot
    }
    pump(session, after);
  });
}

// --- What the robot holds, and what it was told

void Robots::look(const std::string& bot_id, const std::string& list_id) {
  locked([&](After& after) {
    const auto want = [&](const auto& sessions, const std::string& key) {
      const auto found = key.empty() ? sessions.end() : sessions.find(key);
      if (found == sessions.end()) return;
      found->second->look_wanted = true;
      pump(found->second, after);
    };
    want(by_bot_, bot_id);
    want(by_list_, list_id);
  });
}

void Robots::came_online(const std::string& bot_id, std::uint64_t epoch) {
  locked([&](After& after) {
    const auto found = by_bot_.find(bot_id);
    if (found == by_bot_.end() || found->second->epoch >= epoch) return;
    const Ref session = found->second;
    reject(session, 0, {fleetpb::FENCED, "the robot has connected anew"}, after);
    end(session, Ending::kFenced, after);
  });
}

void Robots::start_look(const Ref& session, After& after) {
  session->is_busy = true;
  session->look_wanted = false;
  after.push_back([this, session, bot_id = session->bot_id] {
    ports_.depot.get_bot(bot_id, [this, session](auto bot) { on_bot(session, bot); });
  });
}

void Robots::on_bot(const Ref& session, const std::expected<depotpb::Bot, CallFailure>& bot) {
  locked([&](After& after) {
    session->is_busy = false;
    if (session->state == State::kOver) return;
    if (!bot && !bot.error().is_refusal()) {
      session->look_wanted = true;
      return try_later(*session);
    }
    if (bot && bot->epoch() > session->epoch) {
      reject(session, 0, {fleetpb::FENCED, "the robot has connected anew"}, after);
      return end(session, Ending::kFenced, after);
    }
    if (!bot || bot->status() == "offline") return end(session, Ending::kOffline, after);
    if (!session->told_list.empty() && session->told_list != bot->list_id()) {
      tell(session, released(session->told_list), after);
    }
    if (session->state != State::kOpen) return;
    const bool is_known = session->told_list == bot->list_id() && session->told_cancel;
    if (bot->list_id().empty() || is_known) return pump(session, after);
    session->is_busy = true;
    after.push_back([this, session, list_id = bot->list_id()] {
      ports_.depot.get_list(list_id, [this, session](auto list) { on_list(session, list); });
    });
  });
}

void Robots::on_list(const Ref& session,
                     const std::expected<depotpb::ShoppingList, CallFailure>& list) {
  locked([&](After& after) {
    session->is_busy = false;
    if (session->state == State::kOver) return;
    if (!list && !list.error().is_refusal()) {
      session->look_wanted = true;
      try_later(*session);
    } else if (list && list->status() == "canceled") {
      fleetpb::ToRobot message;
      message.mutable_cancel()->set_list_id(list->id());
      tell(session, std::move(message), after);
    } else if (list && list->bot_id() == session->bot_id && session->told_list != list->id()) {
      tell(session, offer_of(*list), after);
    }  // else it went on meanwhile, and its next event makes us look again
    pump(session, after);
  });
}

void Robots::tell(const Ref& session, fleetpb::ToRobot directive, After& after) {
  if (session->unacked.size() >= kMaxUnacked) return end(session, Ending::kSlow, after);
  directive.set_number(session->next_number++);
  directive.set_epoch(session->epoch);
  if (directive.has_offer()) set_told(session, directive.offer().list_id(), false);
  if (directive.has_cancel()) set_told(session, directive.cancel().list_id(), true);
  if (directive.has_released()) set_told(session, {}, false);
  if (session->unacked.empty()) session->told_ns = ports_.now_ns();
  session->unacked.push_back(directive);
  ++numbers_.directives;
  send(session, std::move(directive), after);
}

void Robots::set_told(const Ref& session, const std::string& list_id, bool is_canceled) {
  const auto before = by_list_.find(session->told_list);
  if (before != by_list_.end() && before->second == session) by_list_.erase(before);
  session->told_list = list_id;
  session->told_cancel = is_canceled;
  if (!list_id.empty()) by_list_[list_id] = session;
  session->at.set_list_id(list_id);
  session->has_moved = session->at.has_position();
}

void Robots::send(const Ref& session, fleetpb::ToRobot message, After& after) {
  if (session->state == State::kOver) return;
  if (message.epoch() == 0) message.set_epoch(session->epoch);
  if (!session->line->send(message)) end(session, Ending::kSlow, after);
}

void Robots::reject(const Ref& session, std::uint64_t sequence, const CallFailure& why,
                    After& after) {
  ++numbers_.refused;
  send(session, rejection(sequence, why), after);
}

// --- The end

void Robots::end(const Ref& session, Ending why, After& after) {
  if (session->state == State::kOver) return;
  const bool was_open = session->state == State::kOpen;
  if (session->state == State::kGreeting) greeting_.erase(session->bot_id);
  session->state = State::kOver;
  set_told(session, {}, false);
  sessions_.erase(session);
  strangers_.remove(*session);
  ++numbers_.ended[why];
  for (Pending& report : session->pending) after.push_back(std::move(report.done));
  session->pending.clear();
  after.push_back([line = session->line, why] { line->end(why); });
  const auto current = by_bot_.find(session->bot_id);
  if (current == by_bot_.end() || current->second != session) return;
  by_bot_.erase(current);
  session->at.set_is_gone(true);
  after.push_back([this, bot_id = session->bot_id, at = session->at] { ports_.show(bot_id, at); });
  // A gateway that ends is back before anybody misses it; a newer connection has told already.
  if (!was_open || why == Ending::kClosing || why == Ending::kFenced) return;
  depotpb::BotConnection connection;
  connection.set_bot_id(session->bot_id);
  connection.set_epoch(session->epoch);
  after.push_back([this, connection] {
    // Lost: the depot misses the heartbeats.
    ports_.depot.stream_ended({toolkit::new_message_id(), connection.bot_id()}, connection,
                              [](auto) {});
  });
}

void Robots::close() {
  locked([&](After& after) {
    is_closed_ = true;
    const std::set<Ref> all = sessions_;
    for (const Ref& session : all) end(session, Ending::kClosing, after);
  });
}

FleetNumbers Robots::numbers() const {
  const std::lock_guard lock(mutex_);
  FleetNumbers numbers = numbers_;
  numbers.open = sessions_.size();
  return numbers;
}

}  // namespace mallbots::fleet
