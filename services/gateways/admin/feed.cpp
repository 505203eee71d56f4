#include "services/gateways/admin/feed.h"

#include <fmt/format.h>

#include <optional>

#include "clients/toolkit/clock.h"
#include "clients/toolkit/message.h"
#include "services/gateways/fleet/fleet.pb.h"
#include "services/gateways/fleet/topics.h"

namespace mallbots::admin {
namespace {

constexpr std::int64_t kPollMs = 200;
constexpr std::int64_t kAgainMs = 1'000;
constexpr BootNanos kMeasureNs = kSecond;

}  // namespace

Feed::Feed(client::ConnectionOptions where, gateways::Board& board, toolkit::Log log)
    : where_(std::move(where)), board_(&board), log_(std::move(log)) {}

Result<void> Feed::open() {
  consumer_.reset();
  connection_.reset();
  auto connection = client::Connection::open(where_);
  if (!connection) return std::unexpected(std::move(connection).error());
  connection_ = std::move(*connection);
  // Requests to take part are internal events of stores: the staff is who they are for.
  auto consumer = client::Consumer::open(*connection_, {.internal_events = true});
  if (!consumer) return std::unexpected(std::move(consumer).error());
  consumer_ = std::move(*consumer);
  auto topics = gateways::Board::event_topics();
  topics.emplace_back(fleet::kPositionsTopic);
  for (const std::string& topic : topics) {
    MALLBOTS_TRY(consumer_->assign(topic, {}, client::Start::oldest()));
  }
  for (const auto& [place, next] : next_) {
    // Gone meanwhile (memory, retention): the oldest that is kept, as assigned.
    (void)consumer_->seek({place.first, place.second}, client::Start::offset(next));
  }
  return note_history();
}

Result<void> Feed::note_history() {
  history_.clear();
  for (const auto& partition : consumer_->assignment()) {
    if (partition.topic == fleet::kPositionsTopic) continue;  // minutes, and only where robots are
    const auto range = consumer_->range(partition);
    if (!range) return std::unexpected(range.error());
    history_.add({partition.topic, partition.partition}, range->end);
  }
  align_history();
  return {};
}

void Feed::align_history() {
  const auto changes = history_.changes([this](const Place& place) -> std::optional<Offset> {
    const auto position = consumer_->position({place.first, place.second});
    if (!position) return std::nullopt;
    return position->offset;
  });
  for (const auto& [place, waits] : changes) {
    // A partition that is gone has nothing to pause.
    const client::TopicPartition partition{place.first, place.second};
    (void)(waits ? consumer_->pause(partition) : consumer_->resume(partition));
  }
}

void Feed::find_ends() {
  for (const Place& place : history_.awaited()) {
    const auto range = consumer_->range({place.first, place.second});
    if (!range) return;  // while nobody knows, it is waited for
    history_.shorten(place, range->end);
  }
}

void Feed::take(const client::Message& record) {
  const Place place{record.topic, record.partition};
  next_[place] = record.offset + 1;
  history_.took(place, record.timestamp_ms);
  if (record.topic == fleet::kPositionsTopic) {
    fleetpb::RobotAt at;
    if (!at.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) return;
    board_->take_position(std::string(record.key_text()),
                          {.x = static_cast<double>(at.position().x()),
                           .y = static_cast<double>(at.position().y()),
                           .battery_percent = at.battery_percent(),
                           .is_gone = at.is_gone()},
                          record.timestamp_ms);
    return;
  }
  const toolkit::Message message(record);
  (void)board_->take(message.name(), message.payload(), message.published_ms(), message.id());
}

void Feed::measure() {
  std::uint64_t behind = 0;
  for (const auto& partition : consumer_->assignment()) {
    const auto range = consumer_->range(partition);
    const auto position = consumer_->position(partition);
    if (range && position && range->end > position->offset) behind += range->end - position->offset;
  }
  behind_ = behind;
  if (behind == 0) has_caught_up_ = true;
}

Result<void> Feed::read(const std::stop_token& stop) {
  BootNanos measured_ns = 0;
  while (!stop.stop_requested()) {
    const auto records = consumer_->poll(Deadline::after_ms(kPollMs));
    if (!records && !client::is_setback(records.error().code)) {
      return std::unexpected(records.error());
    }
    if (records) {
      for (const client::Message& record : *records) take(record);
    }
    if (records && records->empty()) find_ends();
    if (!history_.is_over()) align_history();
    if (const BootNanos now_ns = boot_now_ns(); now_ns - measured_ns > kMeasureNs) {
      measured_ns = now_ns;
      measure();
    }
  }
  return {};
}

void Feed::run(const std::stop_token& stop) {
  toolkit::Clock& clock = toolkit::system_clock();
  while (!stop.stop_requested()) {
    Result<void> ended = open();
    if (ended) {
      is_connected_ = true;
      ended = read(stop);
      is_connected_ = false;
    }
    if (ended) continue;
    log_({toolkit::Severity::kWarning,
          "the board is stale: the log cannot be read",
          {{"problem", ended.error().sentence()}}});
    (void)clock.pause_until(clock.now_ns() + kAgainMs * kMillisecond, stop);
  }
  consumer_.reset();
  connection_.reset();
}

gateways::Freshness Feed::freshness() const {
  if (!is_connected_) return {true, "The gateway has lost the broker; what you see is old."};
  if (!has_caught_up_) {
    return {true, fmt::format("The gateway reads history still: {} events to go.", behind())};
  }
  return {};
}

}  // namespace mallbots::admin
