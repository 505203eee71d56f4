// io_uring for the limits: set up, torn down, nothing else (the product's is broker/io).
// Error: kUnsupported when the kernel refuses it, with its reason.
#pragma once

#include <fmt/core.h>
#include <liburing.h>

#include <cstring>
#include <memory>

#include "shm/base/result.h"

namespace mallbots::bench {

class RingQueue {
 public:
  [[nodiscard]] static Result<RingQueue> create(unsigned entries) {
    auto ring = std::make_unique<io_uring>();
    // One submitter, completions when asked for: the cheapest mode, since Linux 6.1.
    int refused = ::io_uring_queue_init(entries, ring.get(),
                                        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (refused == -EINVAL) refused = ::io_uring_queue_init(entries, ring.get(), 0);
    if (refused < 0) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("io_uring is refused: {}", std::strerror(-refused)));
    }
    return RingQueue{std::move(ring)};
  }

  RingQueue(RingQueue&&) noexcept = default;
  RingQueue& operator=(RingQueue&&) = delete;
  ~RingQueue() {
    if (ring_) ::io_uring_queue_exit(ring_.get());
  }
  [[nodiscard]] io_uring* get() const noexcept { return ring_.get(); }

 private:
  explicit RingQueue(std::unique_ptr<io_uring> ring) noexcept : ring_(std::move(ring)) {}
  std::unique_ptr<io_uring> ring_;
};

}  // namespace mallbots::bench
