// Broker: the process that serves. Owns its parts, wired by construction, and drives them from one
// thread; run_once() names every duty in order.
//
//   starting ──▶ serving ──▶ draining ──▶ gone
//                    SIGTERM, SIGINT, or the keeper is gone
//
//   starting   opens disk and data directory, takes over or recovers every topic, then says READY
//   draining   no new clients; boards closed, everything sealed, persisted, positions written,
//              clean mark; at most stop.limit
//
// What a broker promises when it dies at any instruction: everything committed is in memory that
// the keeper holds, everything durable on disk; the next one goes on from there.
#pragma once

#include <memory>
#include <optional>

#include "broker/config.h"
#include "broker/control/commands.h"
#include "broker/control/control_plane.h"
#include "broker/control/group_driver.h"
#include "broker/control/poller.h"
#include "broker/control/queue_driver.h"
#include "broker/control/rings.h"
#include "broker/control/sessions.h"
#include "broker/folders.h"
#include "broker/keeper/keeper.h"
#include "broker/log/topics.h"
#include "broker/metrics_http/metrics_server.h"
#include "broker/schedule/schedule.h"
#include "broker/streams/event_streams.h"

namespace mallbots::broker {

class Broker {
 public:
  /// Everything up to READY. Errors name what could not be had; the exit code is the catalogue's.
  [[nodiscard]] static Result<std::unique_ptr<Broker>> start(const Config& config,
                                                             const RuntimeFolder& runtime,
                                                             BrokerStart from_keeper);
  ~Broker();

  /// Until drained; the exit code.
  [[nodiscard]] int run();

 private:
  Broker(const Config& config, BrokerStart from_keeper, Poller poller);
  // start(), in order
  [[nodiscard]] Result<void> open_signals();
  [[nodiscard]] Result<void> open_disk_and_data(const RuntimeFolder& runtime);
  [[nodiscard]] Result<void> open_registry();
  [[nodiscard]] Result<void> open_log();
  [[nodiscard]] Result<void> open_streams();
  [[nodiscard]] Result<void> open_groups();
  [[nodiscard]] Result<void> open_control(const RuntimeFolder& runtime);
  [[nodiscard]] Result<void> open_metrics();
  [[nodiscard]] Result<void> say_ready();

  void run_once();
  void handle(const Event& event);
  void end_dead_session(SessionIndex index);
  bool hear_of_expelled();
  void begin_drain(const char* reason);
  [[nodiscard]] BootNanos drain_once(BootNanos now);
  void rest_until(BootNanos next);

  const Config& config_;
  pid_t keeper_pid_;
  bool drain_at_once_;
  std::size_t deaths_;
  std::uint64_t note_;
  BootNanos started_ns_;
  // In the order of their making; each uses only what stands before it.
  KeeperLink keeper_;
  Poller poller_;
  shm::UniqueFd signals_;
  shm::UniqueFd wake_;
  std::unique_ptr<Disk> disk_;
  std::optional<DataDirectory> data_;
  std::unique_ptr<SparePool> spares_;
  shm::UniqueFd registry_fd_;
  shm::Mapping registry_;
  bool memory_kept_ = false;
  std::optional<Sessions> sessions_;
  std::optional<Topics> topics_;
  std::optional<EventStreams> streams_;
  std::unique_ptr<Rings> rings_;
  std::optional<Schedule> schedule_;
  std::optional<GroupDriver> groups_;
  std::optional<QueueDriver> queues_;
  std::optional<Commands> commands_;
  shm::UniqueFd listener_;
  std::optional<ControlPlane> control_;
  std::unique_ptr<MetricsServer> metrics_;

  std::span<const Event> events_;
  std::uint64_t turns_ = 0;
  enum class State : std::uint8_t { kServing, kDraining, kGone } state_ = State::kServing;
  BootNanos drain_until_ = 0;
  bool log_drained_ = false;
  int exit_code_ = 0;
};

/// Body of the broker process: what the keeper runs in its child.
[[nodiscard]] int run_broker(const Config& config, const RuntimeFolder& runtime,
                             BrokerStart from_keeper);

}  // namespace mallbots::broker
