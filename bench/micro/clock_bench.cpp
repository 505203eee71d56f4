// Clock reads: the measuring clock's own cost, and that of each clock a hot path may ask.
#include <benchmark/benchmark.h>

#include "bench/harness/clock.h"
#include "shm/base/clock.h"

namespace mallbots::bench {
namespace {

template <auto kRead>
void clock_read(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(kRead());
}
BENCHMARK(clock_read<ticks>)->Name("clock_read/fenced_counter");
BENCHMARK(clock_read<raw_now_ns>)->Name("clock_read/monotonic_raw");
BENCHMARK(clock_read<boot_now_ns>)->Name("clock_read/boot");
BENCHMARK(clock_read<wall_now_ms>)->Name("clock_read/wall");
BENCHMARK(clock_read<wall_coarse_ms>)->Name("clock_read/wall_coarse");

}  // namespace
}  // namespace mallbots::bench
