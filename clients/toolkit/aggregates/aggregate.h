// Aggregate: a thing that is what happened to it. Its state is a struct that applies its events and
// nothing else; decisions are functions that look at the state and record events.
//
//   struct Basket {
//     static constexpr std::string_view kAggregate = "basket";
//     using Events = EventTypes<BasketStarted, ItemAdded>;
//     void apply(const BasketStarted& event) { customer = event.customer; }
//     void apply(const ItemAdded& event) { items.push_back(event.item); }
//     ...
//   };
//
//   Result<void> add_item(Aggregate<Basket>& basket, const std::string& item) {
//     if (basket->customer.empty()) return fail(ErrorCode::kRefused, "no such basket");
//     basket.record(ItemAdded{item});
//     return {};
//   }
//
//   Repository<Basket> baskets{streams};
//   MALLBOTS_TRY(baskets.change(id, context.cause(), [&](auto& basket) { return add_item(basket,
//   item); }));
//
// What is promised: a change is appended whole, upon the version that it was decided on; if another
// was faster, it is decided again on the new state. A command that was carried out before (its
// events carry its id as their causation) changes nothing: the last 128 commands of an aggregate
// are known, and all since its last snapshot. Older versions of events are brought up while
// loading. Snapshots save time only: one that is missing, of another form or unreadable is passed
// over.
//
// Who calls: a Repository from any thread; an Aggregate belongs to one. Errors: those of
// EventStreams; Conflict after max_tries; Undecodable (an event that the state does not know);
// whatever the decision returns, which then appended nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "clients/toolkit/aggregates/event_streams.h"
#include "clients/toolkit/cqrs/codec.h"

namespace mallbots::toolkit {

/// The events that a state applies, each in its newest version.
template <class... Events>
struct EventTypes {};

template <class State>
class Repository;

template <class State>
class Aggregate {
 public:
  [[nodiscard]] const State& operator*() const noexcept { return state_; }
  [[nodiscard]] const State* operator->() const noexcept { return &state_; }
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  /// Of the last event that is stored; 0: nothing has ever happened to it.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  /// It happened: the state shows it at once, the repository stores it.
  template <class Event>
  void record(const Event& event) {
    static_assert(kMessageType<Event>.kind == MessageKind::kEvent ||
                  kMessageType<Event>.kind == MessageKind::kInternalEvent);
    state_.apply(event);
    pending_.push_back({encode(event), kMessageType<Event>.kind == MessageKind::kInternalEvent});
  }

 private:
  friend class Repository<State>;
  static constexpr std::size_t kKnownCommands = 128;

  [[nodiscard]] bool has_handled(const std::string& command) const {
    return !command.empty() && std::ranges::find(handled_, command) != handled_.end();
  }
  void note_handled(std::string_view command) {
    if (command.empty() || (!handled_.empty() && handled_.back() == command)) return;
    handled_.emplace_back(command);
  }
  [[nodiscard]] Result<void> replay(const Message& message) {
    note_handled(message.causation_id());
    return replay_as(message, typename State::Events{});
  }
  template <class... Events>
  [[nodiscard]] Result<void> replay_as(const Message& message, EventTypes<Events...>) {
    Result<void> outcome =
        codec_detail::undecodable(message, State::kAggregate, "it is no event of it");
    static_cast<void>((try_as<Events>(message, outcome) || ...));
    return outcome;
  }
  template <class Event>
  [[nodiscard]] bool try_as(const Message& message, Result<void>& outcome) {
    if (!accepts<Event>(message.name())) return false;
    const auto event = decode<Event>(message);
    if (event) state_.apply(*event);
    outcome = event ? Result<void>{} : std::unexpected(event.error());
    return true;
  }

  std::string id_;
  State state_{};
  std::uint64_t version_ = 0;
  std::vector<NewEvent> pending_;
  std::vector<std::string> handled_;  ///< ids of commands
};

struct RepositoryOptions {
  std::uint64_t snapshot_every = 100;  ///< events; 0: never. Only of states with fields()
  std::uint32_t snapshot_form = 1;     ///< to be raised when the state's meaning changes
  std::uint32_t max_tries = 10;
};

template <class State>
class Repository {
 public:
  explicit Repository(EventStreams& streams, const RepositoryOptions& options = {})
      : streams_(&streams), options_(options) {}

  [[nodiscard]] static std::string stream_of(const std::string& id) {
    return std::string{State::kAggregate} + "-" + id;
  }

  [[nodiscard]] Result<Aggregate<State>> load(const std::string& id) {
    Aggregate<State> aggregate;
    aggregate.id_ = id;
    MALLBOTS_TRY(start_from_snapshot(aggregate));
    for (;;) {
      const auto events = streams_->read(stream_of(id), aggregate.version_);
      if (!events) return std::unexpected(events.error());
      if (events->empty()) return aggregate;
      for (const StoredEvent& event : *events) {
        MALLBOTS_TRY(aggregate.replay(Message{event.message.view()}));
        aggregate.version_ = event.version;
      }
    }
  }

  /// `decide`: Result<void>(Aggregate<State>&), called again after a Conflict. Gives the version.
  template <class Decide>
  [[nodiscard]] Result<std::uint64_t> change(const std::string& id, const Cause& cause,
                                             Decide&& decide) {
    for (std::uint32_t tries = 1;; ++tries) {
      auto aggregate = load(id);
      if (!aggregate) return std::unexpected(std::move(aggregate).error());
      if (aggregate->has_handled(cause.causation_id)) return aggregate->version_;
      MALLBOTS_TRY(decide(*aggregate));
      auto saved = save(*aggregate, cause);
      if (saved || saved.error().code != ErrorCode::kConflict || tries == options_.max_tries)
        return saved;
    }
  }

  /// Appends what was recorded; nothing if nothing was.
  [[nodiscard]] Result<std::uint64_t> save(Aggregate<State>& aggregate, const Cause& cause) {
    if (aggregate.pending_.empty()) return aggregate.version_;
    const std::string stream = stream_of(aggregate.id_);
    for (NewEvent& event : aggregate.pending_) fill(event.draft, cause);
    const auto version = streams_->append(stream, aggregate.version_, aggregate.pending_);
    if (!version) return version;
    const std::uint64_t before = std::exchange(aggregate.version_, *version);
    aggregate.pending_.clear();
    aggregate.note_handled(cause.causation_id);
    if (options_.snapshot_every != 0 &&
        before / options_.snapshot_every != *version / options_.snapshot_every)
      save_snapshot(stream, aggregate);
    return version;
  }

 private:
  struct Picture {
    std::uint32_t form = 0;
    std::vector<std::string> handled;
    State state{};
    static constexpr auto fields() {
      return std::tuple{field("form", &Picture::form), field("handled", &Picture::handled),
                        field("state", &Picture::state)};
    }
  };

  [[nodiscard]] Result<void> start_from_snapshot(Aggregate<State>& aggregate) {
    if constexpr (WithFields<State>) {
      if (options_.snapshot_every == 0) return {};
      const auto snapshot = streams_->snapshot(stream_of(aggregate.id_));
      if (!snapshot) return std::unexpected(snapshot.error());
      if (!*snapshot) return {};
      auto picture = read_fields<Picture>((*snapshot)->payload);
      if (!picture || picture->form != options_.snapshot_form) return {};
      aggregate.state_ = std::move(picture->state);
      aggregate.handled_ = std::move(picture->handled);
      aggregate.version_ = (*snapshot)->version;
    }
    return {};
  }
  void save_snapshot(const std::string& stream, Aggregate<State>& aggregate) {
    if constexpr (WithFields<State>) {
      auto& handled = aggregate.handled_;
      if (handled.size() > Aggregate<State>::kKnownCommands)
        handled.erase(handled.begin(), handled.end() - Aggregate<State>::kKnownCommands);
      const Picture picture{options_.snapshot_form, handled, aggregate.state_};
      // The events are stored; a snapshot that fails is made with a later change.
      static_cast<void>(
          streams_->save_snapshot(stream, {aggregate.version_, write_fields(picture)}));
    }
  }

  EventStreams* streams_;
  RepositoryOptions options_;
};

}  // namespace mallbots::toolkit
