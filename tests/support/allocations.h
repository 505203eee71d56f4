// allocations(): how often this test program has called operator new, for promises of "no
// allocation". Link test_allocations to have it; any thread.
#pragma once

#include <cstdint>

namespace mallbots::test {

[[nodiscard]] std::uint64_t allocations() noexcept;

}  // namespace mallbots::test
