// The twin of the io_uring engine: one flush thread with pwritev2 and fdatasync, for kernels and
// containers that refuse io_uring, and for tests that want to see both. Same promises; requests are
// worked off one after the other, in the order of submit().
//
// submit, kick and reap on the owner's thread; the flush thread touches only the two queues (under
// a mutex) and the eventfd. Destruction finishes what was submitted and tells nobody.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "broker/io/flush_plan.h"
#include "broker/io/posix_disk.h"
#include "broker/io/write_pieces.h"

namespace mallbots::broker {

class ThreadDisk final : public PosixDisk {
 public:
  /// `why`: for engine(). Errors: Io if there is no eventfd or no thread to be had.
  [[nodiscard]] static Result<std::unique_ptr<Disk>> make(bool direct, FlushStyle style,
                                                          const std::string& why);
  ~ThreadDisk() override;

  void submit(const IoRequest& request) override;
  void kick() override;
  int completion_fd() const noexcept override { return event_.get(); }
  std::size_t reap() override;
  std::size_t in_flight() const noexcept override { return in_flight_; }
  std::string engine() const override;

 private:
  struct Job {
    IoRequest request;
    FlushPlan plan;
    WritePieces pieces;
    int error = 0;
  };

  ThreadDisk(bool direct, FlushStyle style, const std::string& why)
      : PosixDisk(direct), style_(style), why_(why) {}
  void work();
  [[nodiscard]] static int perform(Job& job);

  FlushStyle style_;
  std::string why_;
  shm::UniqueFd event_;
  std::size_t in_flight_ = 0;
  std::deque<Job> collected_;  ///< submitted, not kicked

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::vector<Job> done_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace mallbots::broker
