// Router: runs handlers. It subscribes them to their topics, gives them messages on worker threads,
// publishes what they published, and settles each message by how its handler ended.
//
//   Router router{bus, {.middlewares = {logging(log), poison(), retry()}}};
//   MALLBOTS_TRY(router.add({.name = "greet", .topics = {"users"}, .group = "greeter"}, greet));
//   return router.run();   // until SIGINT or SIGTERM
//
// Who calls: any thread; the bus, and what the handlers use, outlive the router. Handlers run on
// the router's threads, `workers` per handler; messages of one topic and key one after the other.
//
// What is promised:
//   outcome    success: the outputs are published, then the message is done. A failure or an
//              exception: no output is published, and the message comes again or dies (handler.h).
//   order      per topic and key, with any number of workers; a failing key delays nobody else
//   bounded    at most max_in_flight messages per handler are in memory as handed out
//   close      takes nothing more, lets handlers finish, settles, leaves the groups; only after the
//              grace period are the contexts cancelled. What was not finished comes again.
//   survival   a handler whose subscription breaks (topic deleted, broker gone for longer than a
//              client waits) subscribes again every second; health() says so
// A message that a worker has taken together with others of its key is acknowledged with them, at
// the latest 1 ms after its own end: a death gives those again. So it is with up to four batches
// that the only worker of a batch handler read at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/handler.h"
#include "clients/toolkit/log.h"

namespace mallbots::toolkit {

struct HandlerOptions {
  std::string name;
  std::vector<std::string> topics;
  /// Names what has been read, so it stays when the handler is renamed. One handler per group.
  std::string group;
  std::size_t workers = 1;
  std::size_t max_in_flight = 64;
  /// Tries before a message becomes a dead letter, 0: for ever. Nothing: 10, or, with a middleware
  /// that retries, as that one says.
  std::optional<std::uint32_t> max_deliveries{};
  Redelivery redelivery{};
  std::vector<Middleware> middlewares{};  ///< merged with the router's, by layer
  std::vector<std::string> publishes{};   ///< for describe(); what it really publishes is added
  std::uint32_t max_poll_interval_ms = 0;
  GroupMode mode = GroupMode::kPartitions;  ///< SubscribeOptions
  std::uint32_t lock_ms = 0;                ///< SubscribeOptions
};

/// A batch is full with so many messages, or when so much time has passed since its first.
struct BatchOptions {
  std::size_t max_messages = 64;
  std::int64_t max_wait_ms = 0;  ///< 0: what is there
};

struct RouterOptions {
  std::vector<Middleware> middlewares{};  ///< of all handlers
  Log log{};                              ///< none: nothing is said
  Clock* clock = nullptr;                 ///< outlives the router. Null: system_clock()
  /// How long close() waits for handlers after their contexts were cancelled.
  std::int64_t cancel_ms = 1'000;
};

enum class HandlerState : std::uint8_t { kIdle, kRunning, kFailing, kClosing, kStopped };

struct Health {
  struct Handler {
    std::string name;
    HandlerState state = HandlerState::kIdle;
    std::string problem{};  ///< of a failing one
  };
  bool is_ready = false;    ///< started, not closing, every handler subscribed
  bool is_healthy = false;  ///< no handler is failing
  std::vector<Handler> handlers;
};

/// Who publishes what, who handles it, and what nobody here handles.
struct Description {
  struct Handler {
    HandlerInfo info;
    std::size_t workers = 1;
    std::vector<std::string> publishes;
  };
  struct Publisher {
    std::string name;
    std::vector<std::string> topics;
  };
  std::vector<Handler> handlers;
  std::vector<Publisher> publishers;
  std::vector<std::string> unhandled;

  [[nodiscard]] std::string as_text() const;
};

class Station;  // internal/station.h
struct StationParts;

class Router {
 public:
  Router(Publisher& publisher, Subscriber& subscriber, RouterOptions options = {});
  template <class Bus>
  explicit Router(Bus& bus, RouterOptions options = {}) : Router(bus, bus, std::move(options)) {}
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  /// Closes without grace, then waits for handlers however long they take.
  ~Router();

  /// Once the router runs, the handler starts at once. BadArgument: no name, group or topic; a name
  /// or group that another handler has; an order of middlewares that cannot work. When running,
  /// those of Subscriber::subscribe too; then it was not added.
  [[nodiscard]] Result<void> add(HandlerOptions options, Handler handler);
  /// Middlewares around a batch handler must be ones that look at outcomes only (BadArgument).
  [[nodiscard]] Result<void> add_batch(HandlerOptions options, const BatchOptions& batch,
                                       BatchHandler handler);
  /// For describe(): somebody outside the handlers who publishes.
  void declare_publisher(const std::string& name, std::vector<std::string> topics);

  /// Subscribes all handlers. Errors: those of Subscriber::subscribe, then none runs; BadArgument:
  /// started before.
  [[nodiscard]] Result<void> start();
  /// Ends one handler as close() does, and forgets it. Others are not touched. BadArgument: there
  /// is none of that name. Timeout: it did not finish; it is gone when it does.
  [[nodiscard]] Result<void> stop(const std::string& name, std::int64_t grace_ms = 30'000);
  /// Timeout: a handler did not finish. May be called twice.
  [[nodiscard]] Result<void> close(std::int64_t grace_ms = 30'000);
  /// start(), waits for SIGINT or SIGTERM, then close(). To be called before other threads exist,
  /// which would take the signals.
  [[nodiscard]] Result<void> run(std::int64_t grace_ms = 30'000);

  [[nodiscard]] Health health() const;
  [[nodiscard]] Description describe() const;
  /// Threads that take messages.
  [[nodiscard]] std::size_t workers() const;

 private:
  [[nodiscard]] Result<void> add(StationParts parts);
  [[nodiscard]] Result<void> end(std::span<const std::shared_ptr<Station>> stations,
                                 std::int64_t grace_ms);

  Publisher* publisher_;
  Subscriber* subscriber_;
  RouterOptions options_;
  enum class State : std::uint8_t { kIdle, kRunning, kClosed };
  mutable std::mutex mutex_;
  State state_ = State::kIdle;
  std::vector<std::shared_ptr<Station>> stations_;
  std::vector<std::shared_ptr<Station>> leaving_;  ///< stopped, with a handler that does not end
  std::vector<Description::Publisher> publishers_;
};

}  // namespace mallbots::toolkit
