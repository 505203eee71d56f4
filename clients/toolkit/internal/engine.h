// Engine: what is the same in every Subscription. It reads a Source into a DeliveryWindow, hands
// out to any number of threads, settles, sends dead letters and tells the Source what is done.
//
// Who calls: any thread. The thread that finds nothing to hand out reads the Source for all of
// them; the others wait for what it brings. Only one thread is inside the Source at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "clients/consumer.h"
#include "clients/toolkit/bus.h"
#include "clients/toolkit/clock.h"
#include "clients/toolkit/dead_letter.h"
#include "clients/toolkit/internal/delivery_host.h"
#include "clients/toolkit/internal/delivery_window.h"

namespace mallbots::toolkit {

/// How long a poll may last: so long for the caller, and until so far on the bus's clock.
struct PollLimit {
  Deadline patience = Deadline::never();
  BootNanos at_ns = kNever;
};

/// Where a group member's messages come from. One thread at a time, except wake().
class Source {
 public:
  virtual ~Source() = default;
  /// Up to `max_records` messages, those of one partition together, valid until the next poll; none
  /// when the limit is reached, and now and then. Inside, it calls `lost` for partitions that go to
  /// other members.
  [[nodiscard]] virtual Result<std::span<const client::Message>> poll(const PollLimit& limit,
                                                                      std::size_t max_records) = 0;
  /// What the last poll gave has been taken over.
  virtual void taken_over() {}
  /// Ends a poll that waits, or the next one, soon.
  virtual void wake() = 0;
  /// The group's position: all of the partition up to and with `done` is done.
  [[nodiscard]] virtual Result<void> commit(const DeliveryWindow::Progress& progress) = 0;
  virtual void leave() = 0;
};

/// BadArgument: no topic, or nothing may be in flight.
[[nodiscard]] Result<void> check_options(const SubscribeOptions& options);

struct EngineOptions {
  SubscribeOptions subscribe;
  Publisher* dead_letters = nullptr;           ///< outlives the engine
  client::Acks acks = client::Acks::kDurable;  ///< of dead letters
  Clock* clock = &system_clock();
  /// Counts what load() would show otherwise: a look between two equal counts was no mixture.
  std::atomic<std::uint64_t>* changes = nullptr;
};

/// One member as its user sees it; several share an engine where members share a window.
struct Handle;

class Engine final {
 public:
  explicit Engine(EngineOptions options)
      : options_(std::move(options)), window_(options_.subscribe.max_in_flight) {}

  /// Before the first receive.
  void set_source(std::unique_ptr<Source> source) { source_ = std::move(source); }
  /// Called by the Source inside poll(): commits what is done there, forgets the rest.
  void lost(std::span<const client::TopicPartition> partitions);

  void attach(Handle& handle);
  struct Wanted {
    std::size_t max = 1;
    Reach reach = Reach::kOneKey;
    Deadline deadline = Deadline::never();
  };
  [[nodiscard]] Result<std::vector<Delivery>> receive(const std::shared_ptr<Handle>& handle,
                                                      const Wanted& wanted);
  [[nodiscard]] Result<Subscription::InPlace> receive_in_place(
      const std::shared_ptr<Handle>& handle, const Wanted& wanted,
      const Subscription::HandleInPlace& in_place);
  [[nodiscard]] Result<void> settle(Handle& handle, std::uint64_t ticket,
                                    const Settlement& settlement);
  [[nodiscard]] Result<void> settle_done(Handle& handle, std::span<const std::uint64_t> tickets);
  [[nodiscard]] Result<void> close(Handle& handle, Deadline deadline);
  /// Does not wait for what is handed out: it comes again.
  void abandon(Handle& handle);

  /// What was read and is not done, and how many threads ask for more.
  struct Load {
    std::size_t members = 0;
    std::size_t receiving = 0;  ///< threads inside receive
    std::size_t in_flight = 0;
    std::size_t ready = 0;
    std::size_t waiting = 0;     ///< for their key or their delay
    BootNanos next_ns = kNever;  ///< when the first delayed one comes
  };
  [[nodiscard]] Load load();

 private:
  using Lock = std::unique_lock<std::mutex>;

  [[nodiscard]] std::vector<Delivery> hand_out(const std::shared_ptr<Handle>& handle,
                                               const Wanted& wanted);
  [[nodiscard]] Result<std::vector<Delivery>> receive(Lock& lock,
                                                      const std::shared_ptr<Handle>& handle,
                                                      const Wanted& wanted);
  [[nodiscard]] Result<void> read(Lock& lock, Deadline deadline);
  [[nodiscard]] Result<Subscription::InPlace> read_in_place(
      Lock& lock, const std::shared_ptr<Handle>& handle, const Wanted& wanted,
      const Subscription::HandleInPlace& in_place);
  [[nodiscard]] std::vector<Delivery> hand_out_undone(const std::shared_ptr<Handle>& handle,
                                                      std::span<const client::Message> messages);
  void end_read();
  void wait(Lock& lock, std::condition_variable& event, Deadline deadline, BootNanos at_ns);
  void wake_receiver();
  void count_change() noexcept;
  void handle_settled(Handle& handle, std::size_t count);
  void commit_progress();
  [[nodiscard]] bool is_busy(const Handle& handle) const noexcept;
  void leave(Handle& handle);
  [[nodiscard]] Result<void> finish(std::uint64_t ticket);
  [[nodiscard]] Result<void> bury(std::uint64_t ticket, const Failure& failure, DeadReason reason);
  [[nodiscard]] Result<void> postpone(std::uint64_t ticket, const Settlement& settlement,
                                      std::uint32_t attempts);
  [[nodiscard]] std::unexpected<Error> fenced(std::uint64_t ticket) const;

  EngineOptions options_;
  std::unique_ptr<Source> source_;
  std::mutex mutex_;
  std::condition_variable receivable_;  ///< something to hand out, to read, or the end
  std::condition_variable at_rest_;     ///< a handle that closes has nothing out, nobody reads
  std::size_t receivers_ = 0;           ///< threads inside receive()
  std::size_t waiting_ = 0;             ///< those of them that wait for receivable_
  DeliveryWindow window_;
  std::vector<DeliveryWindow::HandedOut> taken_;  ///< kept for its memory
  std::vector<bool> done_;                        ///< of a batch in place, likewise
  bool reading_ = false;                          ///< somebody is inside the Source
  std::size_t handles_ = 0;
};

struct Handle final : DeliveryHost {
  explicit Handle(std::shared_ptr<Engine> of) : engine(std::move(of)) { engine->attach(*this); }
  [[nodiscard]] Result<void> settle(std::uint64_t ticket, const Settlement& settlement) override {
    return engine->settle(*this, ticket, settlement);
  }
  [[nodiscard]] Result<void> settle_done(std::span<const std::uint64_t> tickets) override {
    return engine->settle_done(*this, tickets);
  }

  std::shared_ptr<Engine> engine;
  // Under the engine's lock:
  std::size_t out = 0;  ///< handed out and not settled
  bool closed = false;
  bool left = false;
};

class EngineSubscription final : public Subscription {
 public:
  explicit EngineSubscription(std::shared_ptr<Engine> engine)
      : handle_(std::make_shared<Handle>(std::move(engine))) {}
  ~EngineSubscription() override { handle_->engine->abandon(*handle_); }
  EngineSubscription(const EngineSubscription&) = delete;
  EngineSubscription& operator=(const EngineSubscription&) = delete;

  [[nodiscard]] Result<std::optional<Delivery>> receive(Deadline deadline) override;
  [[nodiscard]] Result<std::vector<Delivery>> receive_many(std::size_t max, Reach reach,
                                                           Deadline deadline) override {
    return handle_->engine->receive(handle_, {max, reach, deadline});
  }
  [[nodiscard]] Result<InPlace> receive_in_place(std::size_t max, Deadline deadline,
                                                 const HandleInPlace& handle) override {
    return handle_->engine->receive_in_place(handle_, {max, Reach::kAll, deadline}, handle);
  }
  [[nodiscard]] Result<void> close(Deadline deadline) override {
    return handle_->engine->close(*handle_, deadline);
  }

 private:
  std::shared_ptr<Handle> handle_;
};

}  // namespace mallbots::toolkit
