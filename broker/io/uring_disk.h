// The io_uring engine of Disk. The ring belongs to the thread that made it (SINGLE_ISSUER and
// DEFER_TASKRUN where the kernel has them: completions are then worked off inside reap(), not by
// interrupting the thread). Never SQPOLL: an idle broker must not burn a core.
//
// Destruction waits for what is in flight (the kernel may still read the memory) and tells nobody.
#pragma once

#include <liburing.h>

#include <memory>
#include <string>
#include <vector>

#include "broker/io/posix_disk.h"

namespace mallbots::broker {

class UringDisk final : public PosixDisk {
 public:
  /// Unsupported, with the kernel's reason, if io_uring is refused.
  [[nodiscard]] static Result<std::unique_ptr<Disk>> make(bool direct, FlushStyle style);
  ~UringDisk() override;
  /// How a ring on this device is flushed best (flush_probe.h). Unsupported as of make().
  [[nodiscard]] static Result<FlushStyle> measure(const std::string& folder);

  void submit(const IoRequest& request) override;
  void kick() override;
  int completion_fd() const noexcept override { return event_.get(); }
  std::size_t reap() override;
  std::size_t in_flight() const noexcept override { return in_flight_; }
  std::string engine() const override;

 private:
  struct Operation;

  UringDisk(bool direct, FlushStyle style);
  [[nodiscard]] int set_up();
  [[nodiscard]] io_uring_sqe* next_entry(unsigned needed);
  void hand_in();
  void start(Operation& operation);
  /// True if the operation is over.
  bool step(Operation& operation, bool is_flush, int result);
  void retire(Operation& operation);
  [[nodiscard]] std::size_t work_off();
  void empty_event();
  [[nodiscard]] int overwrite(int fd, AlignedBuffer& block, std::uint64_t at, FlushStyle style);

  FlushStyle style_;
  io_uring ring_{};
  bool ring_made_ = false;
  std::string flags_;
  shm::UniqueFd event_;
  std::vector<std::unique_ptr<Operation>> free_;
  std::size_t in_flight_ = 0;
  bool unsubmitted_ = false;
};

}  // namespace mallbots::broker
