// Choreography: the same kind of process without a conductor. Each service reacts to events with
// events, and the process is what comes of it. Here the reactions are written down together, so
// that the process can be seen (mermaid) although nobody runs it.
//
//   Choreography flow{"order", events};
//   flow.reaction<OrderPlaced, PaymentTaken, PaymentRefused>(payments,      // an EventGroup
//       [](Context&, const OrderPlaced& event) -> Reaction<PaymentTaken, PaymentRefused> { ... });
//
// The answer goes out with the success of the handler, under an id made of the event's, so that a
// reaction that is repeated publishes the same message. Registration by one thread.
#pragma once

#include <expected>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "clients/toolkit/cqrs/processors.h"

namespace mallbots::toolkit {

/// One of several events, or a failure.
template <class... Events>
using Reaction = std::expected<std::variant<Events...>, HandlerFailure>;

class Choreography {
 public:
  Choreography(std::string name, EventBus events)
      : name_(std::move(name)), events_(std::move(events)) {}

  template <class Event, class... Answers, class Function>
  Choreography& reaction(EventGroup& group, Function react) {
    (arrows_.push_back(
         {kMessageType<Event>.wire_name(), kMessageType<Answers>.wire_name(), group.name()}),
     ...);
    group.on<Event>([events = events_, react = std::move(react)](Context& context,
                                                                 const Event& event) -> Handled {
      const Reaction<Answers...> answer = react(context, event);
      if (!answer) return std::unexpected(answer.error());
      std::visit(
          [&](const auto& out) {
            const auto& name = kMessageType<std::decay_t<decltype(out)>>.name;
            events.publish(context, out,
                           {.id = context.cause().causation_id + "/" + std::string{name}});
          },
          *answer);
      return {};
    });
    return *this;
  }

  /// Who answers what with what, as a Mermaid flow chart.
  [[nodiscard]] std::string mermaid() const {
    std::string text = "flowchart TD\n  %% " + name_ + "\n";
    for (const auto& [from, to, group] : arrows_)
      text += "  " + from + " -->|" + group + "| " + to + "\n";
    return text;
  }

 private:
  struct Arrow {
    std::string from;
    std::string to;
    std::string group;
  };
  std::string name_;
  EventBus events_;
  std::vector<Arrow> arrows_;
};

}  // namespace mallbots::toolkit
