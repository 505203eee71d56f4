// Saga: a process over several services as a list of steps, each with what undoes it. It reads as
// its own table of contents; the SagaRunner (saga_runner.h) carries it out.
//
//   const auto create_order = Saga<NewOrder>{"create-order"}
//       .step("authorize customer", [](const NewOrder& order, SagaOut& out) {
//         out.send(AuthorizeCustomer{order.customer_id});
//       })
//       .step("make shopping list", make_list).undo(cancel_list).timeout_ms(30'000)
//       .on_reply<ListMade>([](NewOrder& order, const ListMade& reply) { order.list = reply.id; })
//       .step("take payment", take_payment).undo(refund);
//
//   a step begins           its function sends commands; it may wait for an event instead
//   its replies succeed     the next step; after the last, the saga is done
//   a reply is a failure    the steps before are undone, the last first, each when the one before
//   is
//                           undone. A step that sent several commands is undone itself, too
//   the time is over        the same, and the step itself is undone: nobody knows how it ended
//   an undo fails           the saga is stuck, listed, and may be resumed
//
// Sagas that follow events instead of replies (SagaAnswers::kEvents) say with on<Event>() what an
// event means: stay, next, back. They undo all at once, since nobody replies. A function that
// cannot decide yet returns not_now(): nothing changes, and the message comes again.
//
// `Data` is the saga's memory, a struct with fields(). Functions are called again after a crash
// before the commit: they change nothing but what they are given. Any thread; a Saga is a value.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/cqrs/processors.h"

namespace mallbots::toolkit {

enum class SagaAnswers : std::uint8_t { kReplies, kEvents };

/// What an event means for the saga.
struct SagaMove {
  enum class To : std::uint8_t { kStay, kNext, kBack };
  To to = To::kStay;
  std::string reason{};

  [[nodiscard]] static SagaMove stay() { return {}; }
  [[nodiscard]] static SagaMove next() { return {To::kNext, {}}; }
  [[nodiscard]] static SagaMove back(std::string reason) { return {To::kBack, std::move(reason)}; }
};

/// What a step sends. It goes out with the saga's new state, or not at all.
class SagaOut {
 public:
  explicit SagaOut(const TopicNames& names) noexcept : names_(&names) {}

  template <class Command>
  void send(const Command& command) {
    static_assert(kMessageType<Command>.kind == MessageKind::kCommand);
    commands_.push_back({names_->topic_of(kMessageType<Command>), encode(command)});
  }
  template <class Event>
  void publish(const Event& event) {
    static_assert(kMessageType<Event>.kind != MessageKind::kCommand);
    events_.push_back({names_->topic_of(kMessageType<Event>), encode(event)});
  }
  /// This step waits for nobody.
  void go_on() noexcept { goes_on_ = true; }

  [[nodiscard]] std::vector<Output>& commands() noexcept { return commands_; }
  [[nodiscard]] std::vector<Output>& events() noexcept { return events_; }
  [[nodiscard]] bool goes_on() const noexcept { return goes_on_; }

 private:
  const TopicNames* names_;
  std::vector<Output> commands_;
  std::vector<Output> events_;
  bool goes_on_ = false;
};

/// A saga without its types, as the runner knows it. The data are JSON.
struct SagaPlan {
  using Act = std::function<Handled(const std::string& data, SagaOut& out)>;
  using Moved = std::expected<SagaMove, HandlerFailure>;

  struct Step {
    std::string name;
    Act act;
    Act undo{};
    std::int64_t timeout_ms = 0;  ///< 0: waits for ever
  };
  struct Listener {
    MessageType type;
    bool (*accepts)(std::string_view wire_name);
    std::function<Result<std::string>(const Message&)> instance_of;
    std::function<Moved(std::string& data, const Message&)> react{};
    /// The event begins a saga with these data.
    std::function<Result<std::string>(const Message&)> begin{};
  };
  struct ReplyReader {
    bool (*accepts)(std::string_view wire_name);
    std::function<Handled(std::string& data, const Message&)> read;
  };

  std::string name;
  SagaAnswers answers = SagaAnswers::kReplies;
  std::vector<Step> steps;
  std::vector<Listener> listeners;
  std::vector<ReplyReader> reply_readers;
  std::function<Handled(const std::string& data, bool success, SagaOut& out)> finished;

  /// The steps and what undoes them as a Mermaid state diagram.
  [[nodiscard]] std::string mermaid() const;
};

template <WithFields Data>
class Saga {
 public:
  explicit Saga(std::string name, SagaAnswers answers = SagaAnswers::kReplies)
      : plan_{.name = std::move(name), .answers = answers} {}

  /// `act`: void or Handled (const Data&, SagaOut&).
  template <class Function>
  Saga& step(std::string name, Function act) {
    plan_.steps.push_back({.name = std::move(name), .act = wrap(std::move(act))});
    return *this;
  }
  /// What undoes the last step; before the first step, what undoes the beginning itself.
  template <class Function>
  Saga& undo(Function act) {
    if (plan_.steps.empty()) step("begin", [](const Data&, SagaOut& out) { out.go_on(); });
    plan_.steps.back().undo = wrap(std::move(act));
    return *this;
  }
  /// Of the last step.
  Saga& timeout_ms(std::int64_t milliseconds) {
    plan_.steps.back().timeout_ms = milliseconds;
    return *this;
  }
  /// `instance_of`: id of the saga that an event belongs to. `react`: SagaMove, or
  /// std::expected<SagaMove, HandlerFailure>, of (Data&, const Event&).
  template <class Event, class InstanceOf, class Function>
  Saga& on(InstanceOf instance_of, Function react) {
    plan_.listeners.push_back(
        {.type = kMessageType<Event>,
         .accepts = &accepts<Event>,
         .instance_of = reader_of<Event>(std::move(instance_of)),
         .react = [react = std::move(react)](std::string& text, const Message& message) {
           return change<SagaPlan::Moved>(text, [&](Data& data) -> SagaPlan::Moved {
             const auto event = decode<Event>(message);
             if (!event) return give_up("Undecodable", event.error().detail);
             return react(data, *event);
           });
         }});
    return *this;
  }
  /// An event begins a saga, once for each id. `begin`: Data of (const Event&).
  template <class Event, class InstanceOf, class Function>
  Saga& begins_with(InstanceOf instance_of, Function begin) {
    plan_.listeners.push_back(
        {.type = kMessageType<Event>,
         .accepts = &accepts<Event>,
         .instance_of = reader_of<Event>(std::move(instance_of)),
         .begin = reader_of<Event>(
             [begin = std::move(begin)](const Event& e) { return write_fields(begin(e)); })});
    return *this;
  }
  /// `read`: void (Data&, const Reply&), before the step that the reply ends.
  template <class Reply, class Function>
  Saga& on_reply(Function read) {
    plan_.reply_readers.push_back(
        {.accepts = &accepts<Reply>,
         .read = [read = std::move(read)](std::string& text, const Message& message) {
           return change<Handled>(text, [&](Data& data) -> Handled {
             const auto reply = decode<Reply>(message);
             if (!reply) return give_up("Undecodable", reply.error().detail);
             read(data, *reply);
             return {};
           });
         }});
    return *this;
  }
  /// Called once at the end. `tell`: void (const Data&, bool success, SagaOut&).
  template <class Function>
  Saga& finished(Function tell) {
    plan_.finished = [tell = std::move(tell)](const std::string& text, bool success,
                                              SagaOut& out) -> Handled {
      const auto data = read_fields<Data>(text);
      if (!data) return std::unexpected(HandlerFailure{data.error()});
      tell(*data, success, out);
      return {};
    };
    return *this;
  }

  [[nodiscard]] const SagaPlan& plan() const noexcept { return plan_; }

 private:
  template <class Function>
  static SagaPlan::Act wrap(Function act) {
    return [act = std::move(act)](const std::string& text, SagaOut& out) -> Handled {
      const auto data = read_fields<Data>(text);
      if (!data) return std::unexpected(HandlerFailure{data.error()});
      if constexpr (std::is_void_v<std::invoke_result_t<Function, const Data&, SagaOut&>>) {
        act(*data, out);
        return {};
      } else {
        return act(*data, out);
      }
    };
  }
  template <class Event, class Function>
  static std::function<Result<std::string>(const Message&)> reader_of(Function read) {
    return [read = std::move(read)](const Message& message) -> Result<std::string> {
      const auto event = decode<Event>(message);
      if (!event) return std::unexpected(event.error());
      return std::string{read(*event)};
    };
  }
  template <class Outcome, class Function>
  static Outcome change(std::string& text, Function function) {
    auto data = read_fields<Data>(text);
    if (!data) return std::unexpected(HandlerFailure{data.error()});
    auto outcome = function(*data);
    if (outcome) text = write_fields(*data);
    return outcome;
  }

  SagaPlan plan_;
};

}  // namespace mallbots::toolkit
