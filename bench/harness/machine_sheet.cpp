#include "bench/harness/machine_sheet.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <mntent.h>
#include <sys/utsname.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"

#ifndef MALLBOTS_BUILD_TYPE
#define MALLBOTS_BUILD_TYPE "unknown"
#endif

namespace mallbots::bench {
namespace {

constexpr const char* kNotShown = "not shown by this system";

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  return std::getline(file, line) ? line : std::string{};
}

std::string or_not_shown(std::string text) { return text.empty() ? kNotShown : std::move(text); }

/// The first `key : value` of a /proc file.
std::string proc_value(const char* path, std::string_view key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const auto colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const auto start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? std::string{} : line.substr(start);
  }
  return {};
}

std::string cpu() {
  const char* path = "/proc/cpuinfo";
  return fmt::format("{} (family {}, model {})", or_not_shown(proc_value(path, "model name")),
                     proc_value(path, "cpu family"), proc_value(path, "model\t"));
}

bool is_guest() {
  return (" " + proc_value("/proc/cpuinfo", "flags") + " ").find(" hypervisor ") !=
         std::string::npos;
}

std::string kernel() {
  utsname name{};
  if (::uname(&name) != 0) return kNotShown;
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

/// File system and device that hold `path`: the longest mount point that is a prefix of it.
std::pair<std::string, std::string> file_system_of(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::string target = std::filesystem::weakly_canonical(path, ignored).string();
  std::pair<std::string, std::string> found{kNotShown, ""};
  std::size_t longest = 0;
  std::FILE* mounts = ::setmntent("/proc/self/mounts", "r");
  if (mounts == nullptr) return found;
  while (const mntent* mount = ::getmntent(mounts)) {
    const std::string point = mount->mnt_dir;
    const bool holds =
        target.starts_with(point) &&
        (point == "/" || target.size() == point.size() || target[point.size()] == '/');
    if (holds && point.size() >= longest) {
      longest = point.size();
      found = {mount->mnt_type, mount->mnt_fsname};
    }
  }
  ::endmntent(mounts);
  return found;
}

std::string build_type() {
  std::string text = MALLBOTS_BUILD_TYPE;
#ifdef __VERSION__
  text += ", compiler " __VERSION__;
#endif
#ifdef NDEBUG
  text += ", NDEBUG";
#endif
  return text;
}

void warn_about_build(std::vector<std::string>& warnings) {
#ifndef NDEBUG
  warnings.emplace_back(
      "debug build: debug checks are compiled in; figures are not for the record");
#endif
#ifndef __OPTIMIZE__
  warnings.emplace_back("built without optimisation; figures are not for the record");
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  warnings.emplace_back("built with a sanitizer; figures are not for the record");
#endif
  static_cast<void>(warnings);
}

void warn_about_host(const std::string& governor, const std::string& file_system,
                     std::vector<std::string>& warnings) {
  double load = 0;
  std::istringstream(first_line("/proc/loadavg")) >> load;
  if (load > 0.5) {
    warnings.push_back(
        fmt::format("load average {}: other work takes part in these figures", load));
  }
  if (allowed_cpus().size() < 2) {
    warnings.emplace_back("fewer than two cores: pinned two-process rows cannot be measured");
  }
  if (clock_info().is_tsc && !has_invariant_tsc()) {
    warnings.emplace_back("the kernel does not call the time stamp counter invariant");
  }
  if (!governor.empty() && governor != "performance") {
    warnings.push_back(
        fmt::format("frequency governor '{}': the clock may change while measuring; "
                    "`cpupower frequency-set -g performance` holds it",
                    governor));
  }
  if (file_system == "tmpfs" || file_system == "ramfs") {
    warnings.emplace_back(
        "the scratch directory is in memory: disk rows measure no disk; "
        "name one with --scratch DIR");
  }
}

}  // namespace

MachineSheet read_machine(const std::filesystem::path& scratch_dir) {
  MachineSheet sheet;
  const std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  const auto [file_system, device] = file_system_of(scratch_dir);
  const std::time_t now = std::time(nullptr);
  sheet.facts = {
      {"date", fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(now))},
      {"cpu", cpu()},
      {"cores",
       fmt::format("{} usable: {}{}", allowed_cpus().size(), fmt::join(allowed_cpus(), " "),
                   is_guest() ? " (virtual machine)" : "")},
      {"memory", or_not_shown(proc_value("/proc/meminfo", "MemTotal"))},
      {"kernel", kernel()},
      {"governor", or_not_shown(governor)},
      {"clock source", or_not_shown(first_line(
                           "/sys/devices/system/clocksource/clocksource0/current_clocksource"))},
      {"huge pages", or_not_shown(first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled"))},
      {"scratch", fmt::format("{} ({} on {})", scratch_dir.string(), file_system, device)},
      {"build", build_type()},
      {"measuring clock",
       fmt::format("{}, a read costs {:.1f} ns", clock_info().source, clock_info().read_cost_ns)},
      {"load", or_not_shown(first_line("/proc/loadavg"))},
  };
  warn_about_build(sheet.warnings);
  warn_about_host(governor, file_system, sheet.warnings);
  return sheet;
}

}  // namespace mallbots::bench
