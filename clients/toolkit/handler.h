// Handler: a function that handles one message. Middleware: a function that wraps a handler.
// Context: what a handler has around it. Everything else in the toolkit that handles messages
// (commands, events, projections, process managers) is one of these functions.
//
//   Handled to_fahrenheit(Context& context, const Message& message) {
//     const auto celsius = parse(message.payload());
//     if (!celsius) return give_up("Malformed", "no temperature");       // a dead letter, at once
//     context.publish("fahrenheit", {.payload = show(*celsius * 1.8 + 32)});  // before the ack
//     return {};                                                          // done
//   }
//
// What is promised: a handler that returns an error, or throws, is a failure; its message comes
// again (at_least_once, bus.h) and nothing that it published with publish() goes out. When it
// returns success, what it published goes out first, and then its message is done. So a death at
// any point may give an output twice, never none; handlers are idempotent.
//
// Who calls: the worker threads of a router, several at once for messages of different keys. A
// Context belongs to one call and one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/clock.h"
#include "clients/toolkit/message.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

/// What becomes of a message whose handler failed.
enum class Again : std::uint8_t {
  kCounted,    ///< it was tried: it comes again, and this counts as an attempt
  kUncounted,  ///< it was not tried (a circuit is open, we are closing): comes again, not counted
  kNever,      ///< trying again cannot help: a dead letter now
};

struct HandlerFailure {
  HandlerFailure(std::string type_, std::string text_, Again again_ = Again::kCounted,
                 std::optional<std::int64_t> delay_ms_ = {})
      : type(std::move(type_)), text(std::move(text_)), again(again_), delay_ms(delay_ms_) {}
  /// An error of a call is a failure that comes again: `MALLBOTS_TRY(client.charge(...))`.
  HandlerFailure(const Error& error)  // NOLINT(google-explicit-constructor): that is what it is for
      : type(error_entry(error.code).name), text(error.sentence()) {}

  std::string type;  ///< class of the failure, by which dead letters are grouped
  std::string text;
  Again again = Again::kCounted;
  std::optional<std::int64_t> delay_ms{};  ///< until it comes again; nothing: as the group says
};

using Handled = std::expected<void, HandlerFailure>;

/// Failed this time.
[[nodiscard]] std::unexpected<HandlerFailure> try_again(std::string type, std::string text,
                                                        std::optional<std::int64_t> delay_ms = {});
/// Failed for good.
[[nodiscard]] std::unexpected<HandlerFailure> give_up(std::string type, std::string text);
/// Not tried.
[[nodiscard]] std::unexpected<HandlerFailure> not_now(std::string type, std::string text,
                                                      std::int64_t delay_ms);

/// Who a handler is.
struct HandlerInfo {
  std::string name;
  std::string group;
  std::vector<std::string> topics;
  std::uint32_t max_deliveries = 0;  ///< 0: for ever

  /// Whether a message that failed like this in this attempt dies now.
  [[nodiscard]] bool is_last(const HandlerFailure& failure, std::uint32_t attempt) const noexcept {
    return failure.again == Again::kNever ||
           (failure.again == Again::kCounted && max_deliveries != 0 && attempt >= max_deliveries);
  }
};

/// What a handler published, in the order in which it did.
struct Output {
  std::string topic;
  Draft draft;
};

class Context {
 public:
  struct Surroundings {
    const HandlerInfo* handler = nullptr;
    Publisher* bus = nullptr;
    Clock* clock = nullptr;
    std::stop_token cancelled{};
  };
  /// All that it is given must live longer.
  Context(const Surroundings& around, const Message& message) noexcept
      : around_(&around), message_(&message) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] const HandlerInfo& handler() const noexcept { return *around_->handler; }
  [[nodiscard]] Clock& clock() const noexcept { return *around_->clock; }

  // --- Publishing. Correlation, causation and trace of the message being handled go on. An id that
  // the draft does not have follows from the message's, the group's and how many were published
  // before it: a redelivery publishes under the same ids.

  /// With the success of the handler, before its message is done; not at all if it fails.
  void publish(std::string topic, Draft draft);
  /// At once, whatever becomes of the handler: for what must be out before it goes on.
  [[nodiscard]] Result<void> publish_now(const std::string& topic, Draft draft);
  /// For whoever publishes by other ways than this context.
  [[nodiscard]] const Cause& cause();
  /// A middleware that opened a span says so: what is published from here on belongs to it.
  void set_trace(std::string trace);
  /// Takes over what publish() collected: for a middleware that writes it with a transaction.
  [[nodiscard]] std::vector<Output> take_outputs() noexcept { return std::exchange(outputs_, {}); }
  [[nodiscard]] bool has_outputs() const noexcept { return !outputs_.empty(); }
  /// The handler is about to run (again): nothing is published yet.
  void begin() noexcept {
    outputs_.clear();
    published_ = 0;
  }
  /// As new, for another message in the same place.
  void renew() noexcept {
    if (cause_) cause_.reset();
    if (!values_.empty()) values_.clear();
    if (published_ != 0) begin();
    deadline_ns_ = kNever;
  }

  // --- Time. A handler that may take long asks whether it should still go on.

  /// True after the grace period of a close, and after the time that the handler was given.
  [[nodiscard]] bool is_cancelled() const noexcept;
  /// Waits so long on this clock; false if cancelled before.
  [[nodiscard]] bool wait_ms(std::int64_t milliseconds);
  /// By when the handler should be done; kNever.
  [[nodiscard]] BootNanos deadline_ns() const noexcept { return deadline_ns_; }
  void set_deadline_ns(BootNanos at) noexcept { deadline_ns_ = at; }

  // --- What middlewares hand to handlers (a transaction, a session), by its type.

  template <class T>
  void put(T& value) {
    put(&tag<T>, &value);
  }
  /// Null: nobody has put one.
  template <class T>
  [[nodiscard]] T* find() const noexcept {
    return static_cast<T*>(find(&tag<T>));
  }

 private:
  template <class T>
  static constexpr char tag = 0;
  void complete(Draft& draft);
  void put(const void* type, void* value);
  [[nodiscard]] void* find(const void* type) const noexcept;

  const Surroundings* around_;
  const Message* message_;
  std::optional<Cause> cause_;
  std::vector<Output> outputs_;
  std::uint64_t published_ = 0;
  BootNanos deadline_ns_ = kNever;
  std::vector<std::pair<const void*, void*>> values_;
};

using Handler = std::function<Handled(Context&, const Message&)>;

/// One message of a batch; its outcome is success unless the handler says otherwise.
struct BatchItem {
  const Message& message;
  Context& context;
  Handled outcome{};
};

/// Handles many messages at once; it may read them in the log's own memory, so they are valid until
/// it returns and no longer than max_poll_interval. Those of one key stand in order; if one of them
/// fails, the later ones of its key come again after it, whatever their outcome. An exception fails
/// all.
using BatchHandler = std::function<void(std::span<BatchItem>)>;

/// Where a middleware stands, from the outside in. A router refuses another order.
enum class Layer : std::uint8_t {
  kAnywhere,  ///< of one's own, between any two
  kTracing,   ///< outermost: everything below belongs to the span
  kLogging,   ///< sees the outcome that counts
  kMetrics,
  kPoison,  ///< outside retry, so that only what retrying could not mend is given up
  kRetry,
  kChaos,  ///< outside dedup, which must stand what it does
  kDedup,
  kBreaker,  ///< a duplicate is done although the circuit is open
  kThrottle,
  kTimeout,  ///< does not count the time spent waiting for the throttle
  kHandler,  ///< of one's own, innermost: a transaction around the handler
};

struct Middleware {
  std::string name;
  Layer layer = Layer::kAnywhere;
  /// Called once per handler, when it is added; what it returns is called by all worker threads.
  std::function<Handler(Handler next, const HandlerInfo& of)> wrap;
  /// It looks at outcomes only, so it may stand around a batch handler, too.
  bool takes_batches = false;
};

}  // namespace mallbots::toolkit
