// What CRASH_POINT("name") calls in a build with MALLBOTS_CRASH_POINTS: tells that the point was
// visited, and kills or stops its own process there if it was asked to.
//
//   MALLBOTS_CRASH_LOG=FILE     one line "PID NAME" at the first visit of each point by a process
//   MALLBOTS_CRASH_AT=NAME      where; MALLBOTS_CRASH_NTH=N: at the N-th visit (default 1)
//   MALLBOTS_CRASH_HOW=kill|stop
//   MALLBOTS_CRASH_ONCE=FILE    who removes this file does it, so that a restarted broker lives
//
// Called between acquire and commit and from several threads: no allocation, no lock.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "shm/base/crash_point.h"

namespace mallbots {
namespace {

struct Orders {
  const char* at = std::getenv("MALLBOTS_CRASH_AT");
  const char* once = std::getenv("MALLBOTS_CRASH_ONCE");
  long nth = 1;
  bool stop = false;
  int log = -1;

  Orders() {
    if (const char* count = std::getenv("MALLBOTS_CRASH_NTH"); count != nullptr)
      nth = std::strtol(count, nullptr, 10);
    if (const char* how = std::getenv("MALLBOTS_CRASH_HOW"); how != nullptr)
      stop = std::strcmp(how, "stop") == 0;
    if (const char* path = std::getenv("MALLBOTS_CRASH_LOG"); path != nullptr)
      log = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  }
};

const Orders& orders() noexcept {
  static const Orders read;
  return read;
}

constexpr std::size_t kPlaces = 1024;
std::array<std::atomic<const char*>, kPlaces> visited;
std::atomic<pid_t> visitor{0};
std::atomic<long> visits{0};

/// True at the first visit by this process; a fork starts anew.
bool first_visit(const char* name) noexcept {
  const pid_t me = ::getpid();
  if (visitor.exchange(me) != me)
    for (auto& place : visited) place.store(nullptr);
  std::size_t at = (reinterpret_cast<std::uintptr_t>(name) >> 3) % kPlaces;
  for (std::size_t i = 0; i < kPlaces; ++i, at = (at + 1) % kPlaces) {
    const char* seen = nullptr;
    if (visited[at].compare_exchange_strong(seen, name)) return true;
    if (seen == name) return false;
  }
  return false;
}

}  // namespace

void crash_point_reached(const char* name) noexcept {
  const Orders& order = orders();
  if (order.log >= 0 && first_visit(name)) {
    char line[160];
    const int size = std::snprintf(line, sizeof line, "%d %s\n", ::getpid(), name);
    if (::write(order.log, line, static_cast<std::size_t>(size)) != size) std::abort();
  }
  if (order.at == nullptr || std::strcmp(order.at, name) != 0) return;
  if (visits.fetch_add(1) + 1 < order.nth) return;
  if (order.once != nullptr && ::unlink(order.once) != 0) return;
  ::kill(::getpid(), order.stop ? SIGSTOP : SIGKILL);
}

}  // namespace mallbots
