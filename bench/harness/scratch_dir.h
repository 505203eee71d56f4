// A folder for one invocation's files, gone when the invocation is: at the end of this object, or
// when the process dies, by whatever signal. A small guardian process waits for that and removes
// what is left, so that an interrupted benchmark leaves no gigabytes behind.
//
// Error: kIo, with the folder it could not create. Create it once, in a process with one thread,
// before anything else forks.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <utility>

#include "shm/base/result.h"

namespace mallbots::bench {

class ScratchDir {
 public:
  [[nodiscard]] static Result<ScratchDir> create(const std::filesystem::path& parent);

  ScratchDir(ScratchDir&& other) noexcept
      : path_(std::exchange(other.path_, {})), guardian_(std::exchange(other.guardian_, -1)) {}
  ScratchDir& operator=(ScratchDir&&) = delete;
  ScratchDir(const ScratchDir&) = delete;
  ~ScratchDir();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  ScratchDir(std::filesystem::path path, pid_t guardian)
      : path_(std::move(path)), guardian_(guardian) {}
  std::filesystem::path path_;
  pid_t guardian_;
};

}  // namespace mallbots::bench
