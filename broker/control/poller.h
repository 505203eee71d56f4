// Poller: epoll with a name instead of a pointer behind each descriptor, so that a late event of a
// closed one finds nothing instead of freed memory. Control thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "shm/base/clock.h"
#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

enum class Source : std::uint32_t {
  kSignals = 1,
  kKeeper,   ///< readable: it is gone
  kWake,     ///< the instance's eventfd, or a session's: a client appended
  kDisk,     ///< completions
  kMetrics,  ///< the metrics thread asks
  kListener,
  kLobby,    ///< a connection before its Hello; id: ticket
  kSession,  ///< a session's connection; id: session index
  kProcess,  ///< a session's pidfd: readable when dead; id: session index
};

struct Event {
  Source source{};
  std::uint32_t id = 0;
  bool readable = false;
  bool writable = false;
  bool hung_up = false;
};

class Poller {
 public:
  [[nodiscard]] static Result<Poller> make();

  enum class Interest : std::uint8_t {
    kRead,
    kReadWrite,
    kEdge,  ///< each new write to an eventfd once, without anybody reading it
  };
  [[nodiscard]] Result<void> watch(int fd, Source source, std::uint32_t id,
                                   Interest interest = Interest::kRead);
  /// Of a descriptor that is watched already.
  void change(int fd, Source source, std::uint32_t id, Interest interest);
  /// Before the descriptor is closed: a copy of it elsewhere would keep it in the set.
  void forget(int fd);

  /// Waits until something happens or `until` (boot time; 0: only looks; INT64_MAX: no limit). The
  /// events live until the next call.
  [[nodiscard]] std::span<const Event> wait(BootNanos until);

 private:
  explicit Poller(shm::UniqueFd fd) : fd_(std::move(fd)) {}
  shm::UniqueFd fd_;
  std::array<Event, 64> events_{};
};

}  // namespace mallbots::broker
