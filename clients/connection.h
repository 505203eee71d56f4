// Connection: a session with one broker instance. Producer, Consumer and Admin are opened on it.
//
// Who calls: any thread; Connection is safe to share. Each Producer and Consumer opened on it is
// used by one thread at a time and must be destroyed before the Connection. No thread is started
// and no callback is made behind the caller's back: control messages travel inside the calls.
//
// What it promises: what is appended and read goes through shared memory, not through this
// connection, so appends into memory that is already mapped and reads of it go on while the broker
// is away. When the broker is back, the next call that needs it attaches again by itself, to the
// same session if the memory was kept. After fork() the child must not use it (mappings are not
// inherited).
//
// Errors of open(): NoBroker (nobody listens), WrongVersion, NotPermitted, LimitReached,
// BadArgument (name too long), ConnectionLost (somebody listens, nobody answers in time).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "shm/base/clock.h"
#include "shm/base/ids.h"
#include "shm/base/result.h"

namespace mallbots::client {

/// How calls wait. Spin burns a core for the lowest latency; hybrid spins some microseconds, then
/// sleeps; block sleeps at once.
enum class Waiting : std::uint8_t { kSpin, kHybrid, kBlock };

struct ConnectionOptions {
  std::string instance = "default";
  /// Where `control.sock` is; empty: default_runtime_dir(instance).
  std::string runtime_dir{};
  /// Shown in `mallbots clients`; empty: the program's name. At most 200 bytes.
  std::string name{};
  Waiting waiting = Waiting::kHybrid;
  /// How long the broker may be away before a call that needs it gives ConnectionLost; also how
  /// long open() waits for an answer. A call's own deadline may end earlier.
  std::int64_t reconnect_timeout_ms = 30'000;
};

/// As root /run/mallbots/INSTANCE, else $XDG_RUNTIME_DIR/mallbots/INSTANCE, and without that
/// variable /run/user/UID/mallbots/INSTANCE.
[[nodiscard]] std::string default_runtime_dir(const std::string& instance);

class Link;  // the control socket; internal

class Connection {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(
      const ConnectionOptions& options = {});
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  /// Ends the session; the broker takes back what it held.
  ~Connection();

  /// Place of this session in the broker's registry, as `mallbots clients` shows it.
  [[nodiscard]] SessionIndex session() const;
  /// How often the broker process was started while its memory was kept.
  [[nodiscard]] std::uint32_t incarnation() const;
  /// True if the last look at the socket found the broker there. No system call.
  [[nodiscard]] bool is_attached() const noexcept;
  /// Attaches again if the broker went away; returns at once if it did not.
  /// Errors: ConnectionLost (deadline or reconnect_timeout), Revoked, WrongVersion.
  [[nodiscard]] Result<void> ensure_attached(Deadline deadline);

  [[nodiscard]] const ConnectionOptions& options() const noexcept;
  /// For Producer, Consumer and Admin.
  [[nodiscard]] Link& link() noexcept { return *link_; }

 private:
  explicit Connection(std::unique_ptr<Link> link);
  std::unique_ptr<Link> link_;
};

}  // namespace mallbots::client
