// LyingDisk: what open_disk() puts in front of the engine in a build with MALLBOTS_CRASH_POINTS if
// it is asked to. Negative controls: a broker on it breaks its promises, and tests/crash/power_cut
// must notice. And a device that hangs (tests/crash/overdue_drain.py).
//
//   MALLBOTS_DISK_LIE=drop-flush      writes are done, flushes of files are not, all say success
//   MALLBOTS_DISK_LIE=publish-early   success is said when a write is submitted; it is done later
//   MALLBOTS_DISK_LIE=never-done=FILE   since FILE is there, nothing that is submitted is done
//
// The data path alone lies; control operations are those of the engine. One thread, as of Disk.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "broker/io/posix_disk.h"

namespace mallbots::test {

class LyingDisk final : public broker::PosixDisk {
 public:
  enum class Lie : std::uint8_t { kDropFlush, kPublishEarly, kNeverDone };

  /// `hangs_since`: the file of kNeverDone.
  LyingDisk(std::unique_ptr<broker::Disk> inner, Lie lie, bool direct, std::string hangs_since);
  ~LyingDisk() override;

  void submit(const broker::IoRequest& request) override;
  void kick() override { inner_->kick(); }
  int completion_fd() const noexcept override { return inner_->completion_fd(); }
  std::size_t reap() override;
  std::size_t in_flight() const noexcept override {
    return inner_->in_flight() + told_.size() + never_done_;
  }
  std::string engine() const override { return inner_->engine() + ", lying"; }

 private:
  class Late;
  struct Told {
    broker::IoHandler* handler;
    std::uint64_t tag;
  };
  void tell_at_once(const broker::IoRequest& request);

  Lie lie_;
  std::string hangs_since_;
  std::size_t never_done_ = 0;
  std::deque<Told> told_;
  std::deque<std::unique_ptr<Late>> late_;  ///< goes after what is in flight: the engine ends first
  std::unique_ptr<broker::Disk> inner_;
};

}  // namespace mallbots::test
