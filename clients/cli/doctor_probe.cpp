#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "clients/cli/directories.h"
#include "clients/cli/doctor.h"
#include "clients/cli/units.h"
#include "shm/base/clock.h"
#include "shm/region/fd.h"

namespace mallbots::client::cli {
namespace {

constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kProbeBytes = 64 * kBlockBytes;
constexpr int kFlushes = 50;

/// A ring with one no-operation through it: the setup call alone may be allowed and the rest not.
std::string io_uring_refusal() {
  io_uring ring{};
  if (const int error = io_uring_queue_init(4, &ring, 0); error < 0) {
    const auto disabled = read_small_file("/proc/sys/kernel/io_uring_disabled");
    std::string why = std::strerror(-error);
    if (disabled && *disabled != "0")
      why += fmt::format(", kernel.io_uring_disabled={}", *disabled);
    return why;
  }
  std::string refusal;
  io_uring_prep_nop(io_uring_get_sqe(&ring));
  io_uring_cqe* done = nullptr;
  if (const int sent = io_uring_submit(&ring); sent < 0)
    refusal = std::strerror(-sent);
  else if (const int error = io_uring_wait_cqe(&ring, &done); error < 0)
    refusal = std::strerror(-error);
  io_uring_queue_exit(&ring);
  return refusal;
}

/// The most limiting value of `file` in this process's cgroup (version 2) and its parents.
std::vector<std::string> cgroup_values(const std::string& file) {
  std::vector<std::string> values;
  const auto membership = read_small_file("/proc/self/cgroup");
  if (!membership) return values;
  const auto at = membership->find("0::");
  if (at == std::string::npos) return values;
  std::string path = membership->substr(at + 3);
  path.resize(std::min(path.find('\n'), path.size()));
  while (true) {
    if (auto value = read_small_file("/sys/fs/cgroup" + path + "/" + file))
      values.push_back(std::move(*value));
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return values;
    path.resize(slash);
  }
}

std::optional<std::uint64_t> cgroup_limit(const std::string& file) {
  std::optional<std::uint64_t> least;
  for (const std::string& value : cgroup_values(file))
    if (const auto number = parse_number(value, file))
      least = std::min(least.value_or(*number), *number);
  return least;
}

std::optional<double> cgroup_cores() {
  std::optional<double> least;
  for (const std::string& value : cgroup_values("cpu.max")) {  // "QUOTA PERIOD" or "max PERIOD"
    const auto space = value.find(' ');
    if (space == std::string::npos) continue;
    const auto quota = parse_number(value.substr(0, space), "quota");
    const auto period = parse_number(value.substr(space + 1), "period");
    if (!quota || !period || *period == 0) continue;
    const double cores = static_cast<double>(*quota) / static_cast<double>(*period);
    least = std::min(least.value_or(cores), cores);
  }
  return least;
}

std::optional<std::uint64_t> limit_of(int resource, bool hard) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return 0;
  const rlim_t value = hard ? limit.rlim_max : limit.rlim_cur;
  if (value == RLIM_INFINITY) return std::nullopt;
  return value;
}

struct Block {
  void operator()(void* memory) const { std::free(memory); }
};

FlushTimes measure_flush(int fd, void* block) {
  FlushTimes times;
  std::vector<std::int64_t> taken;
  for (int i = 0; i < kFlushes; ++i) {
    const BootNanos before = boot_now_ns();
    if (pwrite(fd, block, kBlockBytes, (i % 64) * static_cast<off_t>(kBlockBytes)) !=
            static_cast<ssize_t>(kBlockBytes) ||
        fdatasync(fd) != 0) {
      times.refusal = std::strerror(errno);
      return times;
    }
    taken.push_back(boot_now_ns() - before);
  }
  std::sort(taken.begin(), taken.end());
  times.p50_ns = taken[taken.size() / 2];
  times.max_ns = taken.back();
  return times;
}

}  // namespace

std::vector<Finding> look_around() {
  std::vector<Finding> findings;
  utsname name{};
  uname(&name);
  findings.push_back(judge_kernel(name.release));
  const std::string machine = name.machine;
  findings.push_back(
      machine == "x86_64"
          ? Finding{"architecture", Finding::State::kOk, machine, {}}
          : Finding{"architecture", Finding::State::kWarn, machine + ": built, not proven",
                    "run `make check-full` on this machine and look at the litmus tests"});
  findings.push_back(judge_io_uring(io_uring_refusal()));
  findings.push_back(judge_memlock(limit_of(RLIMIT_MEMLOCK, false)));
  findings.push_back(
      judge_huge_pages(read_small_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled")));
  cpu_set_t usable;
  CPU_ZERO(&usable);
  sched_getaffinity(0, sizeof usable, &usable);
  findings.push_back(judge_cores(static_cast<unsigned>(CPU_COUNT(&usable)),
                                 static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN))));
  findings.push_back(judge_open_files(limit_of(RLIMIT_NOFILE, true).value_or(UINT64_MAX)));
  findings.push_back(judge_cgroup_memory(cgroup_limit("memory.max")));
  findings.push_back(judge_cgroup_cpu(cgroup_cores()));
  findings.push_back(judge_cgroup_pids(cgroup_limit("pids.max")));
  findings.push_back(judge_clock(
      read_small_file("/sys/devices/system/clocksource/clocksource0/current_clocksource")
          .value_or("")));
  return findings;
}

std::vector<Finding> look_at_disk(const std::string& directory) {
  const std::string place = nearest_existing(directory);
  std::vector<Finding> findings;
  struct statfs system{};
  const bool known = statfs(place.c_str(), &system) == 0;
  if (known)
    findings.push_back(
        judge_disk_space(system.f_bavail * static_cast<std::uint64_t>(system.f_frsize)));
  if (known && system.f_type == EXT4_SUPER_MAGIC) {
    utsname name{};
    uname(&name);
    findings.push_back(judge_ext4(name.release, name.version));
  }

  std::string path = place + "/.mallbots-doctor-XXXXXX";
  const shm::UniqueFd named{mkostemp(path.data(), O_CLOEXEC)};
  if (named.get() < 0) {
    const std::string why = std::strerror(errno);
    findings.push_back(judge_direct_io(place, why));
    findings.push_back(judge_flush({fmt::format("{}: {}", place, why)}));
    return findings;
  }
  const shm::UniqueFd direct{::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)};
  std::string refusal = direct.get() < 0 ? std::strerror(errno) : "";
  ::unlink(path.c_str());
  // Without O_DIRECT the flush is measured all the same, through the page cache.
  const int fd = direct.get() < 0 ? named.get() : direct.get();
  const std::unique_ptr<void, Block> block{std::aligned_alloc(kBlockBytes, kProbeBytes)};
  std::memset(block.get(), 0x5A, kProbeBytes);
  if (pwrite(fd, block.get(), kProbeBytes, 0) != static_cast<ssize_t>(kProbeBytes) ||
      fdatasync(fd) != 0)
    refusal = std::strerror(errno);
  findings.push_back(judge_direct_io(place, refusal));
  FlushTimes times = measure_flush(fd, block.get());
  times.memory_file_system =
      known && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
  findings.push_back(judge_flush(times));
  return findings;
}

}  // namespace mallbots::client::cli
