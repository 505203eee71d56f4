// EventBus and CommandBus: typed messages out. Each knows where which type goes (TopicNames) and
// sends over whatever it is given: a Publisher (the bus, or an OutboxPublisher for a transaction)
// or the Context of the message being handled, with which it then goes out or not at all.
//
//   events.publish(context, OrderPlaced{.order_id = "o-1"});          // with the handler's success
//   MALLBOTS_TRY(commands.send(bus, ShipOrder{.order_id = "o-1"}));   // at once
//
// Who calls: any thread; both are values. Errors: those of the Publisher.
#pragma once

#include <optional>
#include <string>

#include "clients/toolkit/cqrs/codec.h"
#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

struct SendingOptions {
  /// A stable id makes a repeated sending the same message; empty: a new one.
  std::string id{};
  /// Instead of the type's own partition key.
  std::optional<std::string> key{};
  std::optional<UnixMillis> publish_at{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

namespace buses_detail {

template <class T>
[[nodiscard]] Draft draft_for(const T& message, const SendingOptions& options) {
  Draft draft = encode(message);
  draft.id = options.id;
  if (options.key) draft.key = *options.key;
  draft.publish_at = options.publish_at;
  draft.headers.insert(draft.headers.end(), options.headers.begin(), options.headers.end());
  return draft;
}

}  // namespace buses_detail

class EventBus {
 public:
  explicit EventBus(TopicNames names) : names_(std::move(names)) {}

  template <class Event>
  [[nodiscard]] Result<void> publish(Publisher& bus, const Event& event, const Cause& cause = {},
                                     const SendingOptions& options = {}) const {
    Draft draft = draft_of_event(event, options);
    return toolkit::publish(bus, topic<Event>(), {&draft, 1}, cause);
  }
  template <class Event>
  void publish(Context& context, const Event& event, const SendingOptions& options = {}) const {
    context.publish(topic<Event>(), draft_of_event(event, options));
  }
  template <class Event>
  [[nodiscard]] std::string topic() const {
    return names_.topic_of(kMessageType<Event>);
  }
  [[nodiscard]] const TopicNames& names() const noexcept { return names_; }

 private:
  template <class Event>
  static Draft draft_of_event(const Event& event, const SendingOptions& options) {
    static_assert(kMessageType<Event>.kind == MessageKind::kEvent ||
                      kMessageType<Event>.kind == MessageKind::kInternalEvent,
                  "only events are published; a command is sent");
    return buses_detail::draft_for(event, options);
  }

  TopicNames names_;
};

class CommandBus {
 public:
  explicit CommandBus(TopicNames names) : names_(std::move(names)) {}

  template <class Command>
  [[nodiscard]] Result<void> send(Publisher& bus, const Command& command, const Cause& cause = {},
                                  const SendingOptions& options = {}) const {
    Draft draft = draft_of_command(command, options);
    return toolkit::publish(bus, topic<Command>(), {&draft, 1}, cause);
  }
  template <class Command>
  void send(Context& context, const Command& command, const SendingOptions& options = {}) const {
    context.publish(topic<Command>(), draft_of_command(command, options));
  }
  template <class Command>
  [[nodiscard]] std::string topic() const {
    return names_.topic_of(kMessageType<Command>);
  }
  [[nodiscard]] const TopicNames& names() const noexcept { return names_; }

 private:
  template <class Command>
  static Draft draft_of_command(const Command& command, const SendingOptions& options) {
    static_assert(kMessageType<Command>.kind == MessageKind::kCommand,
                  "only commands are sent; an event is published");
    return buses_detail::draft_for(command, options);
  }

  TopicNames names_;
};

}  // namespace mallbots::toolkit
