// `mallbots doctor`: what this host allows the broker, each finding with its remedy. Each check is
// a judgement over a measured value, so that it can be tried with any value; look_around() and
// look_at_disk() measure. One thread; a probe file is made in the data directory and removed before
// anything is written to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mallbots::client::cli {

struct Finding {
  enum class State : std::uint8_t { kOk, kWarn, kFail };
  std::string check;
  State state = State::kOk;
  std::string detail;
  std::string remedy;  ///< empty if ok
};

/// `release` as uname -r prints it.
[[nodiscard]] Finding judge_kernel(std::string_view release);
/// `refusal`: why the kernel refuses, empty if it allows io_uring.
[[nodiscard]] Finding judge_io_uring(std::string_view refusal);
/// Bytes; nothing: unlimited.
[[nodiscard]] Finding judge_memlock(std::optional<std::uint64_t> limit_bytes);
/// The text of .../transparent_hugepage/shmem_enabled; nothing: the kernel has none.
[[nodiscard]] Finding judge_huge_pages(std::optional<std::string> shmem_enabled);
[[nodiscard]] Finding judge_cores(unsigned usable, unsigned online);
[[nodiscard]] Finding judge_open_files(std::uint64_t hard_limit);
/// Nothing: unlimited.
[[nodiscard]] Finding judge_cgroup_memory(std::optional<std::uint64_t> limit_bytes);
[[nodiscard]] Finding judge_cgroup_cpu(std::optional<double> cores);
[[nodiscard]] Finding judge_cgroup_pids(std::optional<std::uint64_t> limit);
[[nodiscard]] Finding judge_clock(std::string_view source);
[[nodiscard]] Finding judge_disk_space(std::uint64_t free_bytes);
/// Of a directory on ext4. `release` and `version` as uname -r and -v print them: Debian names the
/// stable version in the second alone.
[[nodiscard]] Finding judge_ext4(std::string_view release, std::string_view version);
/// `refusal`: empty if direct writes go through.
[[nodiscard]] Finding judge_direct_io(std::string_view directory, std::string_view refusal);
/// Of 4 KiB overwrites with flush, one at a time.
struct FlushTimes {
  std::string refusal;  ///< empty if it was measured
  std::int64_t p50_ns = 0;
  std::int64_t max_ns = 0;
  bool memory_file_system = false;
};
[[nodiscard]] Finding judge_flush(const FlushTimes& times);

/// Everything that needs no directory.
[[nodiscard]] std::vector<Finding> look_around();
/// Direct I/O, flush and space of `directory`, or of its nearest parent that exists.
[[nodiscard]] std::vector<Finding> look_at_disk(const std::string& directory);

}  // namespace mallbots::client::cli
