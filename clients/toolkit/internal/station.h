// Station: one handler of a router at work: its subscription, its threads, its chain.
//
//   idle --start--> running --stop_taking--> closing --all settled--> stopped
//                    |   ^
//                    v   | subscribed again, tried every second
//                   failing
//
// The first worker leads: when the subscription breaks it waits until all others have left it,
// subscribes again and starts them again.
//
// Who calls: the router, one thread at a time; state() and the like any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/handler.h"
#include "clients/toolkit/internal/batch_room.h"
#include "clients/toolkit/router.h"

namespace mallbots::toolkit {

struct StationParts {
  HandlerOptions options;
  BatchOptions batch{.max_messages = 0};  ///< of a batch handler; 0: a single one
  Handler handler{};
  BatchHandler batch_handler{};
  std::vector<Middleware> middlewares;  ///< the router's, then the handler's
  Publisher* publisher = nullptr;
  Subscriber* subscriber = nullptr;
  Clock* clock = nullptr;
  Log log{};
};

class Station {
 public:
  /// Errors: BadArgument.
  [[nodiscard]] static Result<std::unique_ptr<Station>> make(StationParts parts);
  Station(const Station&) = delete;
  Station& operator=(const Station&) = delete;
  /// Waits for its threads.
  ~Station();

  [[nodiscard]] Result<void> start();
  /// Takes nothing more. The threads end when they have settled what they hold.
  void stop_taking();
  /// Timeout: a handler is still at it.
  [[nodiscard]] Result<void> wait_stopped(Deadline deadline);
  /// Tells handlers that nobody waits for them any more.
  void cancel() { cancelled_.request_stop(); }

  [[nodiscard]] const HandlerInfo& info() const noexcept { return info_; }
  [[nodiscard]] Health::Handler health() const;
  [[nodiscard]] Description::Handler describe() const;
  [[nodiscard]] std::size_t workers() const noexcept { return parts_.options.workers; }
  [[nodiscard]] bool is_started() const noexcept { return lead_.joinable(); }

 private:
  explicit Station(StationParts parts);

  [[nodiscard]] Result<void> subscribe();
  void lead();
  void work(Subscription& subscription);
  [[nodiscard]] Result<void> work_on_run(Subscription& subscription);
  [[nodiscard]] Result<std::vector<Delivery>> receive_batch(Subscription& subscription);
  void handle_run(std::vector<Delivery>& run);
  [[nodiscard]] Result<void> work_on_batch(Subscription& subscription, BatchRoom& room);
  [[nodiscard]] bool handle_in_place(std::span<const client::Message> messages, BatchRoom& room);
  void handle_batch(std::vector<Delivery>& batch, BatchRoom& room);
  void settle_rest(std::vector<Delivery>& rest, const BatchRoom& room,
                   std::span<const std::size_t> items);
  [[nodiscard]] Handled handle_one(const Delivery& delivery);
  /// Settles a failed one and gives back those behind it that must wait for it.
  void settle_failed(std::span<Delivery> run, std::size_t failed, const HandlerFailure& failure);
  void ack(std::span<Delivery> done);
  void say(Severity severity, const std::string& text, const std::string& problem) const;
  void set_state(HandlerState state, const std::string& problem = {});

  StationParts parts_;
  HandlerInfo info_;
  Handler chain_;
  std::stop_source cancelled_;
  Context::Surroundings around_;
  std::stop_source stopping_;

  mutable std::mutex mutex_;  ///< of what follows
  std::condition_variable stopped_;
  std::unique_ptr<Subscription> subscription_;
  HandlerState state_ = HandlerState::kIdle;
  std::string problem_;
  std::set<std::string> publishes_;

  std::thread lead_;
};

}  // namespace mallbots::toolkit
