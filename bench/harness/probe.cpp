#include "bench/harness/probe.h"

#include <array>

#include "bench/harness/histogram.h"
#include "bench/harness/ping_pong.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"

namespace mallbots::bench {
namespace {

struct ProbeMemory {
  PingPong game;
  Histogram times;
};

}  // namespace

Result<double> probe_round_trip(int cpu_a, int cpu_b, bool quick) {
  const std::uint32_t warm_up = quick ? 100 : 4'000;
  const std::uint32_t rounds = warm_up + (quick ? 500 : 20'000);
  auto memory = Shared<ProbeMemory>::create();
  if (!memory) return std::unexpected(std::move(memory).error());
  ProbeMemory& shared = **memory;

  const std::array roles{
      Role{"probe", cpu_a,
           [&](RoleContext&) -> Result<void> {
             serve(shared.game, 0, warm_up, [] {});
             serve_stamped(shared.game, warm_up, rounds,
                           [&](std::uint64_t time) { shared.times.record(time); });
             return {};
           }},
      Role{"probe's partner", cpu_b,
           [&](RoleContext&) -> Result<void> {
             answer(shared.game, 0, rounds);
             return {};
           }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.limit_s = 20.0, .populate = {memory->bytes()}}));
  return ticks_to_ns(shared.times.percentile(50));
}

}  // namespace mallbots::bench
