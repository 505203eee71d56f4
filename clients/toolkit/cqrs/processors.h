// Typed handlers: EventGroup (what one consumer group does with which events) and CommandProcessor
// (who carries out which command). Both only make Registrations, name + group + topics + handler,
// that a router runs; they start nothing.
//
//   EventGroup mails{"mails", names};
//   mails.on<OrderPlaced>([&](Context&, const OrderPlaced& event) -> Handled { ... });
//   mails.on<OrderCancelled>(...);
//
//   CommandProcessor commands{names};
//   MALLBOTS_TRY(commands.handle<ShipOrder>(
//       [&](Context& context, const ShipOrder& command) -> Handled { ... }));
//
// Events: several handlers of one event in one group run in the order of their registration, and
// the message is done when all have succeeded; separate groups each get it. An event without a
// handler in the group (it travels on a topic of others that are handled) is passed over, unless
// the group says otherwise (UnknownEvents). The group's name is what has been read: keep it when
// handlers change.
//
// Commands: one handler each; a second one is refused (BadArgument), whichever call brings it. If
// the sender wants a reply (header reply.to), success replies with what the handler returns, and
// give_up() or an Error of code Refused is the failure reply: the command is done, what the handler
// did in its transaction is undone, and the reply says why. Any other failure makes the command
// come again. Without a reply wanted, give_up() makes it a dead letter. A command on the topic that
// nobody handles, or that does not decode, is given up: never acknowledged in silence.
//
// Who calls: registration by one thread before the router starts; the handlers by its workers.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/cqrs/registration.h"
#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

enum class UnknownEvents : std::uint8_t {
  kPass,   ///< done: it is for others
  kRetry,  ///< comes again: a handler is expected with the next deployment
  kBury,   ///< a dead letter
};

class EventGroup {
 public:
  EventGroup(std::string group, TopicNames names, UnknownEvents unknown = UnknownEvents::kPass)
      : group_(std::move(group)), names_(std::move(names)), unknown_(unknown) {}

  /// `handler`: Handled(Context&, const Event&). Older versions arrive upcast.
  template <class Event, class Function>
  EventGroup& on(Function handler) {
    return on_from<Event>(names_, std::move(handler));
  }
  /// Events of another service, by its names.
  template <class Event, class Function>
  EventGroup& on_from(const TopicNames& names, Function handler) {
    static_assert(kMessageType<Event>.kind == MessageKind::kEvent ||
                      kMessageType<Event>.kind == MessageKind::kInternalEvent,
                  "commands are handled by a CommandProcessor");
    add(names.topic_of(kMessageType<Event>), &accepts<Event>,
        [handler = std::move(handler)](Context& context, const Message& message) -> Handled {
          const auto event = decode<Event>(message);
          if (!event) return give_up("Undecodable", event.error().detail);
          return handler(context, *event);
        });
    return *this;
  }
  EventGroup& listen_to(const std::string& topic);

  [[nodiscard]] Registration registration() const;
  [[nodiscard]] const std::string& name() const noexcept { return group_; }

 private:
  struct Entry {
    bool (*accepts)(std::string_view wire_name);
    Handler handler;
  };
  void add(const std::string& topic, bool (*accepts)(std::string_view), Handler handler);

  std::string group_;
  TopicNames names_;
  UnknownEvents unknown_;
  std::vector<std::string> topics_;
  std::vector<Entry> entries_;
};

// --- Replies. `reply.to` names the topic, `reply.id` what the sender knows the request by.

// clang-format off
inline constexpr std::string_view kReplyTo = "reply.to";
inline constexpr std::string_view kReplyId = "reply.id";
inline constexpr std::string_view kReplyOutcome = "reply.outcome";  // one of the next two
inline constexpr std::string_view kReplySuccess = "success";
inline constexpr std::string_view kReplyFailure = "failure";
inline constexpr std::string_view kReplyReason = "reply.reason";    // of a failure, its type
inline constexpr std::string_view kReplyText = "reply.text";        // of a failure, its sentence
// clang-format on

/// The name of a reply without a payload of its own.
inline constexpr MessageType kPlainReply = reply("Reply", 1);

class CommandProcessor {
 public:
  explicit CommandProcessor(TopicNames names) : names_(std::move(names)) {}

  /// `handler`: Handled, or std::expected<Reply, HandlerFailure>, of (Context&, const Command&).
  /// BadArgument: the command has a handler already.
  template <class Command, class Function>
  [[nodiscard]] Result<void> handle(Function handler) {
    static_assert(kMessageType<Command>.kind == MessageKind::kCommand,
                  "events go to an EventGroup");
    return add(kMessageType<Command>,
               [handler = std::move(handler)](Context& context, const Message& message) -> Answer {
                 const auto command = decode<Command>(message);
                 if (!command) return give_up("Undecodable", command.error().detail);
                 return as_answer(handler(context, *command));
               });
  }

  /// One for each command, in a group of its own named SERVICE.COMMAND.
  [[nodiscard]] std::vector<Registration> registrations() const;

 private:
  /// What a reply carries.
  using Answer = std::expected<Draft, HandlerFailure>;
  using Carrier = std::function<Answer(Context&, const Message&)>;

  template <class Outcome>
  static Answer as_answer(const Outcome& outcome) {
    if (!outcome) return std::unexpected(outcome.error());
    if constexpr (std::is_same_v<Outcome, Handled>)
      return Draft{.name = kPlainReply.wire_name()};
    else
      return encode(*outcome);
  }
  [[nodiscard]] Result<void> add(const MessageType& type, Carrier carrier);
  [[nodiscard]] static Answer carry_out(const Carrier& carrier, Context& context,
                                        const Message& message);

  TopicNames names_;
  std::map<std::string, std::pair<MessageType, Carrier>> carriers_;  ///< by the command's name
};

}  // namespace mallbots::toolkit
