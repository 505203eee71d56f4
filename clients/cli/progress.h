// Progress: a line on the terminal that counts, once something takes longer than two seconds. Main
// thread; the line is gone when the object is.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "shm/base/clock.h"

namespace mallbots::client::cli {

class Progress {
 public:
  /// `what` stands behind the number: "records read".
  explicit Progress(std::string what) : what_(std::move(what)) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
  }
  void tell(std::uint64_t number) {
    const BootNanos now = boot_now_ns();
    if (now < next_ns_ || isatty(STDERR_FILENO) == 0) return;
    fmt::print(stderr, "\r\x1b[K{} {}", number, what_);
    shown_ = true;
    next_ns_ = now + kEveryNs;
  }

 private:
  static constexpr BootNanos kQuietNs = 2 * kSecond;
  static constexpr BootNanos kEveryNs = kSecond / 4;

  std::string what_;
  BootNanos next_ns_ = boot_now_ns() + kQuietNs;
  bool shown_ = false;
};

}  // namespace mallbots::client::cli
