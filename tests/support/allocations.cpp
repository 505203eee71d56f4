#include "tests/support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace mallbots::test {
namespace {

constinit std::atomic<std::uint64_t> count{0};

void* counted(std::size_t size_bytes) {
  count.fetch_add(1);
  void* const memory = std::malloc(size_bytes == 0 ? 1 : size_bytes);
  if (memory == nullptr) throw std::bad_alloc{};
  return memory;
}

}  // namespace

std::uint64_t allocations() noexcept { return count.load(); }

}  // namespace mallbots::test

void* operator new(std::size_t size_bytes) { return mallbots::test::counted(size_bytes); }
void* operator new[](std::size_t size_bytes) { return mallbots::test::counted(size_bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
