// limit.futex_*: what it costs to wake a sleeper in another process, by bare futex calls and by the
// C library's process-shared semaphores (which sleep in a futex too, by other code).
//
// Round trip: both sides sleep, pinned to two cores: the depth of the idle core's sleep is in it.
// One way: not pinned, 1,000 a second, counted from just before the wake call to the first read of
// the clock in the woken process; the kernel often chooses the waker's own core, which is cheaper.
#include <semaphore.h>

#include <array>
#include <cerrno>

#include "bench/harness/futex.h"
#include "bench/harness/roles.h"
#include "bench/harness/schedule.h"
#include "bench/harness/shared_block.h"
#include "bench/limits/limits.h"

namespace mallbots::bench {
namespace {

struct Bed {
  alignas(128) FutexWord ping;
  alignas(128) FutexWord pong;
  alignas(128) sem_t ping_semaphore;
  alignas(128) sem_t pong_semaphore;
  alignas(128) std::atomic<std::uint64_t> sent_at;
  Histogram times;
};

/// The two ways to sleep, with the same words.
struct ByFutex {
  static void wake(Bed& bed, bool ping) {
    FutexWord& word = ping ? bed.ping : bed.pong;
    word.fetch_add(1);
    futex_wake(word);
  }
  /// Sleeps until the word has been raised more than `seen` times.
  static void sleep(Bed& bed, bool ping, std::uint32_t seen) {
    FutexWord& word = ping ? bed.ping : bed.pong;
    while (word.load() == seen) futex_wait(word, seen);
  }
};

struct BySemaphore {
  static void wake(Bed& bed, bool ping) {
    ::sem_post(ping ? &bed.ping_semaphore : &bed.pong_semaphore);
  }
  static void sleep(Bed& bed, bool ping, std::uint32_t) {
    while (::sem_wait(ping ? &bed.ping_semaphore : &bed.pong_semaphore) != 0 && errno == EINTR) {
    }
  }
};

Result<Shared<Bed>> make_bed() {
  auto bed = Shared<Bed>::create();
  if (!bed) return bed;
  ::sem_init(&(*bed)->ping_semaphore, 1, 0);
  ::sem_init(&(*bed)->pong_semaphore, 1, 0);
  return bed;
}

template <class Way>
Result<Figures> round_trip(const RunContext& run) {
  const auto rounds = static_cast<std::uint32_t>(run.times(8'000, 50));
  auto memory = make_bed();
  if (!memory) return std::unexpected(std::move(memory).error());
  Bed& bed = **memory;
  const std::array roles{
      Role{"first sleeper", run.cpu_a,
           [&](RoleContext&) -> Result<void> {
             for (std::uint32_t round = 0; round < rounds; ++round) {
               const std::uint64_t before = ticks();
               Way::wake(bed, true);
               Way::sleep(bed, false, round);
               if (round >= rounds / 10) bed.times.record(ticks() - before);
             }
             return {};
           }},
      Role{"second sleeper", run.cpu_b,
           [&](RoleContext&) -> Result<void> {
             for (std::uint32_t round = 0; round < rounds; ++round) {
               Way::sleep(bed, true, round);
               Way::wake(bed, false);
             }
             return {};
           }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {memory->bytes()}}));
  return latency_figures(bed.times);
}

template <class Way>
Result<Figures> one_way(const RunContext& run) {
  constexpr double kPerSecond = 1'000;
  const auto sends = static_cast<std::uint32_t>(run.times(400, 20));
  auto memory = make_bed();
  if (!memory) return std::unexpected(std::move(memory).error());
  Bed& bed = **memory;
  const std::array roles{
      Role{"waker", kUnpinned,
           [&](RoleContext&) -> Result<void> {
             const Schedule schedule{ticks(), kPerSecond, Schedule::Waiting::kSleep};
             for (std::uint32_t send = 0; send < sends; ++send) {
               schedule.wait_for(send);
               bed.sent_at.store(ticks());
               Way::wake(bed, true);
             }
             return {};
           }},
      Role{"sleeper", kUnpinned,
           [&](RoleContext&) -> Result<void> {
             for (std::uint32_t send = 0; send < sends; ++send) {
               Way::sleep(bed, true, send);
               const std::uint64_t now = ticks();
               const std::uint64_t sent = bed.sent_at.load();
               bed.times.record(now > sent ? now - sent : 0);
             }
             return {};
           }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {memory->bytes()}}));
  return latency_figures(bed.times);
}

}  // namespace

void add_futex_limits(Registry& registry) {
  registry.add(Limit{
      .name = "limit.futex_rtt",
      .work = "futex, round trip, both sleeping",
      .placement = "two processes, pinned, sleeping",
      .main_figure = "p50",
      .figures = {"p50", "p99", "p99.9", "max"},
      .methods = {{"futex calls", round_trip<ByFutex>},
                  {"process-shared semaphores", round_trip<BySemaphore>}},
  });
  registry.add(Limit{
      .name = "limit.futex_wake",
      .work = "futex, one-way wake at 1,000/s",
      .placement = "two processes, not pinned, sleeping",
      .probe = ProbeRule::kShownOnly,
      .main_figure = "p50",
      .figures = {"p50", "p99", "max"},
      .methods = {{"futex calls", one_way<ByFutex>},
                  {"process-shared semaphores", one_way<BySemaphore>}},
  });
}

}  // namespace mallbots::bench
