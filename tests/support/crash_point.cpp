// What CRASH_POINT("name") calls in a build with MALLBOTS_CRASH_POINTS: tells that the point was
// visited, and kills or stops its own process there if it was asked to.
//
//   MALLBOTS_CRASH_LOG=FILE     one line "PID NAME" at the first visit of each point by a process
//   MALLBOTS_CRASH_AT=NAME      where; MALLBOTS_CRASH_NTH=N: at the N-th visit (default 1)
//   MALLBOTS_CRASH_HOW=kill|stop
//   MALLBOTS_CRASH_ONCE=FILE    who removes this file does it, so that a restarted broker lives
//   MALLBOTS_CRASH_FIRST=NAME[:N], MALLBOTS_CRASH_FIRST_HOW, MALLBOTS_CRASH_FIRST_ONCE
//                               the same, to be done before the orders above count: for points that
//                               only an heir comes to, or one that was fenced
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

/// One point to end at.
struct Order {
  char at[64] = {};
  const char* once = nullptr;
  long nth = 1;
  bool stop = false;
  std::atomic<long> visits{0};

  void read(const char* point, const char* how, const char* file) noexcept {
    once = std::getenv(file);
    if (const char* text = std::getenv(how); text != nullptr) stop = std::strcmp(text, "stop") == 0;
    const char* text = std::getenv(point);
    if (text == nullptr) return;
    const char* colon = std::strchr(text, ':');
    if (colon != nullptr) nth = std::strtol(colon + 1, nullptr, 10);
    const std::size_t size =
        colon != nullptr ? static_cast<std::size_t>(colon - text) : std::strlen(text);
    std::memcpy(at, text, size < sizeof at ? size : sizeof at - 1);
  }
  [[nodiscard]] bool given() const noexcept { return at[0] != '\0'; }
  void execute_at(const char* name) noexcept {
    if (std::strcmp(at, name) != 0 || visits.fetch_add(1) + 1 < nth) return;
    if (once != nullptr && ::unlink(once) != 0) return;
    ::kill(::getpid(), stop ? SIGSTOP : SIGKILL);
  }
};

struct Orders {
  Order first;
  Order main;
  std::atomic<bool> waits_for_first{false};
  int log = -1;

  Orders() {
    main.read("MALLBOTS_CRASH_AT", "MALLBOTS_CRASH_HOW", "MALLBOTS_CRASH_ONCE");
    first.read("MALLBOTS_CRASH_FIRST", "MALLBOTS_CRASH_FIRST_HOW", "MALLBOTS_CRASH_FIRST_ONCE");
    waits_for_first.store(first.given());
    if (const char* count = std::getenv("MALLBOTS_CRASH_NTH"); count != nullptr)
      main.nth = std::strtol(count, nullptr, 10);
    if (const char* path = std::getenv("MALLBOTS_CRASH_LOG"); path != nullptr)
      log = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  }
};

Orders& orders() noexcept {
  static Orders read;
  return read;
}

constexpr std::size_t kPlaces = 1024;
std::array<std::atomic<const char*>, kPlaces> visited;
std::atomic<pid_t> visitor{0};

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
  Orders& order = orders();
  if (order.log >= 0 && first_visit(name)) {
    char line[160];
    const int size = std::snprintf(line, sizeof line, "%d %s\n", ::getpid(), name);
    if (::write(order.log, line, static_cast<std::size_t>(size)) != size) std::abort();
  }
  if (order.waits_for_first.load()) {
    order.first.execute_at(name);
    if (order.first.once != nullptr && ::access(order.first.once, F_OK) == 0) return;
    order.waits_for_first.store(false);
  }
  if (order.main.given()) order.main.execute_at(name);
}

}  // namespace mallbots
