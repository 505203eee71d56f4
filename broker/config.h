// The configuration of an instance: one struct, one table of names. Read once, before there is a
// keeper; a change needs a restart.
//
// Command line over file over defaults. The file is TOML, read by CLI11 line by line: `key = value`
// with the names below; a section `[memory]` with `max = ...` is the same as `memory.max`. Sizes
// (64MiB) and durations (5ms) as in docs/CLI.md. Errors: BadConfig, naming file, line, key and what
// the key takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/event_log.h"
#include "broker/units.h"
#include "shm/base/result.h"

namespace mallbots::broker {

enum class IoEngine : std::uint8_t { kAuto, kUring, kPwrite };
enum class FlushMethod : std::uint8_t { kMeasure, kDsync, kFdatasync };

struct Config {
  // Behaviour -------------------------------------------------------------------------------
  /// `instance`: names the default folders.
  std::string instance = "default";
  /// `data-dir`: segments, catalogue, positions. Mode 0700, of the broker's user.
  std::string data_dir;
  /// `runtime-dir`: the control socket.
  std::string runtime_dir;
  /// `memory.max`: slots of all topics; a topic that could exceed it is not created.
  /// Default: 25 % of RAM.
  std::uint64_t memory_max_bytes = 0;
  /// `disk.max`: segments of all topics, by their retention; 0: no limit but the disk's.
  std::uint64_t disk_max_bytes = 0;
  /// `orphan.max`: memory kept only for stopped readers and fenced producers; beyond it the oldest
  /// pin is revoked.
  std::uint64_t orphan_max_bytes = 64 * kMiB;
  /// `sessions.per.user`: of each user but the broker's own and root; 136 KiB of memory each.
  std::uint32_t sessions_per_user = 512;
  /// `session.reattach`: how long a living process without a connection keeps its session (after
  /// a restart of the broker), before others get what it holds.
  std::int64_t session_reattach_ms = 30'000;
  /// `ingest.rate`: what one session may hand in to sequenced topics, in bytes a second; an entry
  /// counts 256 at the least. What is above it waits in the ring. 1 MiB and more.
  std::uint64_t ingest_rate_bytes = kGiB;
  /// `group.static.grace`: how long partitions of a static member wait for its return.
  std::int64_t group_static_grace_ms = 10'000;
  /// `delay.max`: longest delay of a record.
  std::int64_t delay_max_ms = 366LL * 86'400'000;
  /// `delay.pending.max`: delayed records that are pending, about 120 bytes of memory each; beyond
  /// it producers of delayed records get LimitReached.
  std::uint32_t delay_pending_max = 1'000'000;
  /// `producer.keep`: how long a producer's name that nobody uses keeps its sequences.
  std::int64_t producer_keep_ms = 7 * 86'400'000;
  /// `stop.limit`: how long draining may take before what is not on disk is given up.
  std::int64_t stop_limit_ms = 60'000;
  /// `restart.deaths` in `restart.window`: then the keeper stops restarting the broker.
  std::uint32_t restart_deaths = 5;
  std::int64_t restart_window_ms = 60'000;
  /// `metrics.listen`: Prometheus, `127.0.0.1:9644`, `[::1]:9644` or `unix:/path`; empty: off.
  /// One thread. Loopback only: it tells names of topics to whoever asks.
  std::string metrics_listen;
  /// `log.level`: debug, info, warning or error, on stderr.
  Level log_level = Level::kInfo;

  // Performance -----------------------------------------------------------------------------
  /// `io.engine`: auto, io_uring or pwrite. pwrite costs one more thread and a hand-over each way.
  IoEngine io_engine = IoEngine::kAuto;
  /// `io.flush`: measure (100 ms at start-up), dsync or fdatasync.
  FlushMethod io_flush = FlushMethod::kMeasure;
  /// `io.direct`: false goes through the page cache: only for file systems without O_DIRECT.
  bool io_direct = true;
};

/// Empty folders and memory_max 0 become what user and machine say. BadConfig if there is no
/// XDG_RUNTIME_DIR and no --runtime-dir for a user other than root.
[[nodiscard]] Result<void> complete_config(Config& config);

/// One key as in the file. BadConfig names key and value.
[[nodiscard]] Result<void> set_config(Config& config, std::string_view key, std::string_view value);

/// `name` stands in the messages.
[[nodiscard]] Result<void> read_config(Config& config, const std::string& text,
                                       const std::string& name);
[[nodiscard]] Result<void> read_config_file(Config& config, const std::string& path);

/// Every key with its value, as a file that read_config takes.
[[nodiscard]] std::string write_config(const Config& config);

}  // namespace mallbots::broker
