#include "bench/harness/shared_block.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace mallbots::bench {

Result<SharedBlock> SharedBlock::create(std::size_t size_bytes) {
  constexpr std::size_t kPage = 4096;
  const std::size_t size = (size_bytes + kPage - 1) / kPage * kPage;
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (address == MAP_FAILED) {
    return fail(ErrorCode::kIo,
                fmt::format("mapping {} bytes of shared memory: {}", size, std::strerror(errno)));
  }
  return SharedBlock{std::span{static_cast<std::byte*>(address), size}};
}

SharedBlock::~SharedBlock() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

void populate(std::span<std::byte> bytes) noexcept {
  if (::madvise(bytes.data(), bytes.size(), MADV_POPULATE_WRITE) == 0) return;
  // Before Linux 5.14, or not page-aligned: touch each page without changing it.
  for (std::size_t i = 0; i < bytes.size(); i += 4096) {
    __atomic_fetch_or(reinterpret_cast<unsigned char*>(bytes.data() + i), 0, __ATOMIC_RELAXED);
  }
}

}  // namespace mallbots::bench
