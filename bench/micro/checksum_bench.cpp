// The checksum of a record, by size: what `checksum=full` adds to every append and every cold read.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <vector>

#include "shm/base/hash.h"

namespace mallbots::bench {
namespace {

void xxh3_of_record(benchmark::State& state) {
  const std::vector<std::byte> record(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
  std::uint64_t seed = 0;
  for (auto _ : state) {
    // The last result seeds the next, so that no two of them overlap.
    seed = xxh3(record.data(), record.size(), seed);
    benchmark::DoNotOptimize(seed);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(xxh3_of_record)->Arg(64)->Arg(1024)->Arg(16384);

}  // namespace
}  // namespace mallbots::bench
