#include "services/simulators/bots/driver.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mallbots::bots {
namespace {

constexpr std::int64_t kAnswerMs = 5'000;   ///< until a Hello or, locally, a report is said again
constexpr std::int64_t kRefusedMs = 5'000;  ///< until a refused robot connects anew
constexpr std::int64_t kMovedMs = 1'000;    ///< between two positions
constexpr std::int64_t kNever = INT64_MAX;

}  // namespace

Driver::Driver(Identity identity, const DriverOptions& options)
    : identity_(std::move(identity)), options_(options), random_(identity_.seed) {}

bool Driver::happens(std::int64_t thousandths) {
  return thousandths > 0 && static_cast<std::int64_t>(random_() % 1'000) < thousandths;
}

// --- The line

bool Driver::wants_line(std::int64_t now_ms) const noexcept {
  return !drops_line_ && now_ms >= line_after_ms_ && !is_broken(now_ms);
}

void Driver::connected(std::int64_t now_ms) {
  ++numbers_.connections;
  say_hello(now_ms);
}

void Driver::say_hello(std::int64_t now_ms) {
  link_ = Link::kHello;
  hello_ms_ = now_ms;
  nonce_ = random_();
  late_acks_.clear();
  fleetpb::FromRobot message;
  fleetpb::Hello* hello = message.mutable_hello();
  hello->set_bot_id(identity_.id);
  hello->set_name(identity_.id);
  hello->set_secret(identity_.secret);
  hello->set_nonce(nonce_);
  if (list_) hello->set_list_in_hand(list_->list_id());
  out_.push_back(std::move(message));
}

void Driver::disconnected(std::int64_t now_ms) {
  drops_line_ = false;
  if (link_ != Link::kNone)
    line_after_ms_ = now_ms + 500 + static_cast<std::int64_t>(random_() % 1'500);
  link_ = Link::kNone;
  out_.clear();
}

void Driver::drop_line(std::int64_t until_ms) {
  link_ = Link::kNone;
  drops_line_ = true;
  line_after_ms_ = until_ms;
}

// --- What it hears

void Driver::hear(const fleetpb::ToRobot& message, std::int64_t now_ms) {
  if (message.has_welcome()) {
    // A Hello that the gateway has heard twice is answered twice; the newer answer counts.
    const bool is_new = link_ == Link::kHello || message.epoch() > epoch_;
    if (link_ != Link::kNone && is_new && message.welcome().nonce() == nonce_)
      on_welcome(message.welcome(), message.epoch(), now_ms);
    return;
  }
  if (message.has_reject() && message.reject().sequence() == 0 && message.epoch() == 0) {
    return on_reject(message.reject(), now_ms);  // of the Hello
  }
  if (link_ != Link::kWelcome || message.epoch() != epoch_) return;
  if (message.has_done()) return on_done(message.done().sequence(), now_ms);
  if (message.has_reject()) return on_reject(message.reject(), now_ms);
  on_directive(message, now_ms);
}

void Driver::on_welcome(const fleetpb::Welcome& welcome, std::uint64_t epoch, std::int64_t now_ms) {
  link_ = Link::kWelcome;
  epoch_ = epoch;
  seen_number_ = 0;
  heartbeat_ms_ = welcome.heartbeat_ms();
  refused_ms_ = now_ms;
  const std::uint64_t last = welcome.last_sequence();
  // The depot may have lost its memory, or the robot its own.
  if (!unanswered_.empty() && unanswered_.front().sequence() > last + 1) {
    std::uint64_t number = last;
    for (fleetpb::FromRobot& report : unanswered_) report.set_sequence(++number);
  }
  sequence_ = unanswered_.empty() ? last : std::max(last, unanswered_.back().sequence());
  say_again(now_ms);
}

void Driver::say_again(std::int64_t now_ms) {
  for (const fleetpb::FromRobot& report : unanswered_) say(report, now_ms);
}

void Driver::on_done(std::uint64_t sequence, std::int64_t now_ms) {
  if (unanswered_.empty() || unanswered_.front().sequence() != sequence) return;  // said twice
  const fleetpb::FromRobot done = std::move(unanswered_.front());
  unanswered_.pop_front();
  after(done, now_ms);
}

void Driver::on_reject(const fleetpb::Reject& reject, std::int64_t now_ms) {
  if (reject.code() == fleetpb::SAY_HELLO && link_ == Link::kWelcome) return say_hello(now_ms);
  if (reject.code() == fleetpb::FENCED || reject.code() == fleetpb::NOT_ADMITTED) {
    return drop_line(now_ms + 2'000);
  }
  if (unanswered_.empty() || unanswered_.front().sequence() != reject.sequence()) return;
  ++numbers_.refused;
  unanswered_.pop_front();
  stage_ = stage_ == Stage::kBringingBack || stage_ == Stage::kResting ? stage_ : Stage::kRefused;
  refused_ms_ = now_ms;
}

void Driver::on_directive(const fleetpb::ToRobot& message, std::int64_t now_ms) {
  if (happens(options_.slow_ack)) {
    late_acks_.push_back({now_ms + options_.slow_ack_ms, message.number(), epoch_});
  } else {
    late_acks_.push_back({now_ms, message.number(), epoch_});
  }
  if (message.number() <= seen_number_) return;
  seen_number_ = message.number();
  if (message.has_offer()) {
    on_offer(message.offer());
    if (stage_ == Stage::kResting) go_on(now_ms);
  }
  if (message.has_cancel()) {
    ++numbers_.canceled;
    if (!list_ || list_->list_id() != message.cancel().list_id()) {
      list_.emplace().set_list_id(message.cancel().list_id());
    }
    go(Place::kDepot, Stage::kBringingBack);
  }
  if (message.has_released() && list_ && list_->list_id() == message.released().list_id()) {
    if (stage_ == Stage::kAtDepot) ++numbers_.lists;
    rest();
  }
}

void Driver::on_offer(const fleetpb::Offer& offer) {
  ++numbers_.offers;
  list_ = offer;
  stage_ = Stage::kResting;
  // What is said of it and not answered will decide where it goes on.
  if (!unanswered_.empty()) stage_ = Stage::kDeciding;
}

// --- What it does

void Driver::report(fleetpb::FromRobot message, std::int64_t now_ms) {
  message.set_sequence(++sequence_);
  unanswered_.push_back(message);
  ++numbers_.reports;
  say(message, now_ms);
  if (happens(options_.twice)) say(message, now_ms);
  if (happens(options_.disconnect)) {
    drop_line(now_ms + 500 + static_cast<std::int64_t>(random_() % 1'500));
  }
}

void Driver::say(const fleetpb::FromRobot& message, std::int64_t now_ms) {
  if (link_ != Link::kWelcome) return;  // after the next Welcome
  said_ms_ = now_ms;
  out_.push_back(message);
  out_.back().set_epoch(epoch_);
}

fleetpb::Stop* Driver::next_stop() {
  for (fleetpb::Stop& stop : *list_->mutable_stops()) {
    if (stop.state() != fleetpb::Stop::DONE) return &stop;
  }
  return nullptr;
}

void Driver::go(Place place, Stage stage) {
  destination_ = place;
  stage_ = stage;
}

void Driver::rest() {
  list_.reset();
  go(Place::kParking, Stage::kResting);
}

/// With a list in hand: what comes next.
void Driver::go_on(std::int64_t now_ms) {
  const std::string& id = list_->list_id();
  fleetpb::FromRobot message;
  if (!list_->is_begun()) {
    stage_ = Stage::kDeciding;
    if (happens(options_.decline)) {
      ++numbers_.declined;
      message.mutable_decline()->set_list_id(id);
      message.mutable_decline()->set_reason("not today");
      return report(std::move(message), now_ms);
    }
    message.mutable_accept()->set_list_id(id);
    report(std::move(message), now_ms);
    fleetpb::FromRobot begun;
    begun.mutable_started()->set_list_id(id);
    return report(std::move(begun), now_ms);
  }
  if (list_->is_at_depot()) return go(Place::kDepot, Stage::kAtDepot);
  const fleetpb::Stop* stop = next_stop();
  const bool is_half_way =
      list_->stops_size() > 0 && list_->stops(0).state() == fleetpb::Stop::DONE;
  if (identity_.is_lost && is_half_way) break_down(kNever);
  if (stop == nullptr) return go(Place::kDepot, Stage::kToDepot);
  location_ = stop->store_location();
  go(Place::kStore, Stage::kToStore);
  if (happens(options_.breakdown)) break_down(now_ms + options_.breakdown_ms);
}

void Driver::break_down(std::int64_t until_ms) {
  if (broken_until_ms_ == kNever) return;
  ++numbers_.breakdowns;
  broken_until_ms_ = until_ms;
  drop_line(until_ms);
}

void Driver::arrived(std::int64_t now_ms) {
  fleetpb::FromRobot message;
  if (stage_ == Stage::kToStore) {
    stage_ = Stage::kAtStore;
    const fleetpb::Stop* stop = next_stop();
    message.mutable_arrived_at_store()->set_list_id(list_->list_id());
    message.mutable_arrived_at_store()->set_store_id(stop->store_id());
    if (stop->state() == fleetpb::Stop::ARRIVED) return after(message, now_ms);
    return report(std::move(message), now_ms);
  }
  if (stage_ == Stage::kToDepot) {
    stage_ = Stage::kAtDepot;
    message.mutable_arrived_at_depot()->set_list_id(list_->list_id());
    return report(std::move(message), now_ms);
  }
  if (stage_ == Stage::kBringingBack) {
    stage_ = Stage::kEmptying;
    message.mutable_emptied()->set_list_id(list_->list_id());
    return report(std::move(message), now_ms);
  }
}

/// The gateway has taken this report.
void Driver::after(const fleetpb::FromRobot& done, std::int64_t now_ms) {
  const bool is_busy = stage_ == Stage::kBringingBack || stage_ == Stage::kRefused;
  if (!list_) return;
  if (done.has_emptied() && done.emptied().list_id() == list_->list_id()) return rest();
  if (done.has_decline() && done.decline().list_id() == list_->list_id()) return rest();
  if (is_busy) return;
  if (done.has_started() && done.started().list_id() == list_->list_id()) {
    list_->set_is_begun(true);
    return go_on(now_ms);
  }
  if (done.has_arrived_at_store() && done.arrived_at_store().list_id() == list_->list_id()) {
    std::int64_t items = 0;
    if (fleetpb::Stop* stop = next_stop()) {
      stop->set_state(fleetpb::Stop::ARRIVED);
      for (const fleetpb::WantedItem& item : stop->items()) items += std::min(item.quantity(), 20);
    }
    stage_ = Stage::kPicking;
    picked_at_ms_ =
        now_ms + std::llround(static_cast<double>(items * options_.pick_ms) / options_.speed);
    return;
  }
  if (done.has_items_picked() && done.items_picked().list_id() == list_->list_id()) {
    for (fleetpb::Stop& stop : *list_->mutable_stops()) {
      if (stop.store_id() == done.items_picked().store_id()) stop.set_state(fleetpb::Stop::DONE);
    }
    return go_on(now_ms);
  }
  if (stage_ == Stage::kDeciding && unanswered_.empty()) go_on(now_ms);
}

fleetpb::FromRobot Driver::picked_items() {
  fleetpb::FromRobot message;
  const fleetpb::Stop* stop = next_stop();
  fleetpb::ItemsPicked* picked = message.mutable_items_picked();
  picked->set_list_id(list_->list_id());
  picked->set_store_id(stop->store_id());
  for (const fleetpb::WantedItem& wanted : stop->items()) {
    const std::int32_t missing = wanted.quantity() > 0 && happens(options_.unavailable) ? 1 : 0;
    fleetpb::PickedItem* item = picked->add_items();
    item->set_product_id(wanted.product_id());
    item->set_picked(wanted.quantity() - missing);
    item->set_unavailable(missing);
  }
  return message;
}

void Driver::tick(std::int64_t now_ms, const fleetpb::Position& at) {
  if (stage_ == Stage::kPicking && now_ms >= picked_at_ms_ && !is_broken(now_ms)) {
    stage_ = Stage::kPicked;
    report(picked_items(), now_ms);
  }
  if (link_ == Link::kHello && now_ms - hello_ms_ > kAnswerMs) {
    if (identity_.is_local) return say_hello(now_ms);
    return drop_line(now_ms + 1'000);
  }
  if (link_ != Link::kWelcome) return;
  if (stage_ == Stage::kRefused && now_ms - refused_ms_ > kRefusedMs) {
    list_.reset();  // it believes nothing any more
    stage_ = Stage::kResting;
    return drop_line(now_ms);
  }
  if (identity_.is_local && !unanswered_.empty() && now_ms - said_ms_ > kAnswerMs)
    say_again(now_ms);
  std::erase_if(late_acks_, [&](const LateAck& ack) {
    if (ack.at_ms > now_ms) return false;
    fleetpb::FromRobot message;
    message.set_epoch(epoch_);
    message.mutable_ack()->set_number(ack.number);
    if (ack.epoch == epoch_) out_.push_back(std::move(message));
    return true;
  });
  const std::int64_t since_ms = now_ms - heartbeat_said_ms_;
  const bool has_moved = said_at_.x() != at.x() || said_at_.y() != at.y();
  if (since_ms < (has_moved ? kMovedMs : heartbeat_ms_ / 2)) return;
  heartbeat_said_ms_ = now_ms;
  if (has_moved) charge_ = std::max(charge_ - 1, 0);
  if (stage_ == Stage::kResting) charge_ = std::min(charge_ + 4, kFullCharge);
  said_at_ = at;
  fleetpb::FromRobot message;
  message.set_epoch(epoch_);
  *message.mutable_heartbeat()->mutable_position() = at;
  message.mutable_heartbeat()->set_battery_percent(
      static_cast<std::uint32_t>(charge_ * 100 / kFullCharge));
  out_.push_back(std::move(message));
}

std::vector<fleetpb::FromRobot> Driver::take_messages() { return std::exchange(out_, {}); }

}  // namespace mallbots::bots
