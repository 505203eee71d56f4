#include "clients/cli/doctor.h"

#include <fmt/format.h>

#include <array>
#include <memory>

#include "clients/cli/command.h"
#include "clients/cli/directories.h"
#include "clients/cli/units.h"

namespace mallbots::client::cli {
namespace {

using State = Finding::State;
using std::string_view;

constexpr std::uint64_t kMiB = 1ull << 20;
constexpr std::uint64_t kGiB = 1ull << 30;

Finding ok(string_view check, std::string detail) {
  return {std::string{check}, State::kOk, std::move(detail), {}};
}
Finding warn(string_view check, std::string detail, string_view remedy) {
  return {std::string{check}, State::kWarn, std::move(detail), std::string{remedy}};
}
Finding refuse(string_view check, std::string detail, string_view remedy) {
  return {std::string{check}, State::kFail, std::move(detail), std::string{remedy}};
}

/// The number at the front of `text`, taken off it with the dot behind it; 0 if there is none.
int take_version_part(string_view& text) {
  int value = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9' && value < 100'000) {
    value = value * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  if (text.starts_with('.')) text.remove_prefix(1);
  return value;
}

string_view state_name(State state) {
  constexpr std::array<string_view, 3> kNames = {"ok", "warn", "fail"};
  return kNames[static_cast<std::size_t>(state)];
}

Result<ExitCode> run_doctor(const Context& context, const std::string& data_dir) {
  std::vector<Finding> findings = look_around();
  for (Finding& finding :
       look_at_disk(data_dir.empty() ? default_data_dir(context.instance) : data_dir))
    findings.push_back(std::move(finding));
  Table table{{{"CHECK", "check"}, {"STATE", "state"}, {"DETAIL", "detail"}, {"REMEDY", "remedy"}}};
  bool failed = false;
  for (const Finding& finding : findings) {
    table.add({text_cell(finding.check), text_cell(state_name(finding.state)),
               text_cell(finding.detail), text_cell(finding.remedy)});
    failed = failed || finding.state == State::kFail;
  }
  // Remedies are sentences to read whole: never cut.
  return context.show(table.json(), table.text(), failed ? ExitCode::kFailed : ExitCode::kDone);
}

}  // namespace

Finding judge_kernel(string_view release) {
  string_view rest = release;
  const int major = take_version_part(rest);
  const int minor = take_version_part(rest);
  const std::string detail = fmt::format("Linux {}", release);
  if (major > 6 || (major == 6 && minor >= 1)) return ok("kernel", detail);
  return refuse("kernel", detail, "run Linux 6.1 or later");
}

Finding judge_io_uring(string_view refusal) {
  if (refusal.empty()) return ok("io_uring", "allowed");
  return warn("io_uring", fmt::format("refused: {}; the broker writes with pwrite", refusal),
              "sysctl kernel.io_uring_disabled=0; in a container allow io_uring_setup, _enter and "
              "_register in its seccomp profile");
}

Finding judge_memlock(std::optional<std::uint64_t> limit_bytes) {
  if (!limit_bytes) return ok("memlock", "unlimited");
  const std::string detail = fmt::format("{} may be locked", format_size(*limit_bytes));
  if (*limit_bytes >= 8 * kMiB) return ok("memlock", detail);
  return warn("memlock", detail, "LimitMEMLOCK=64M in the unit, or ulimit -l 65536");
}

Finding judge_huge_pages(std::optional<std::string> shmem_enabled) {
  if (!shmem_enabled)
    return warn("huge_pages", "this kernel has none for shared memory",
                "a kernel with CONFIG_TRANSPARENT_HUGEPAGE; everything works without, with more "
                "TLB misses");
  const auto open = shmem_enabled->find('[');
  const auto close = shmem_enabled->find(']');
  const std::string mode = open == std::string::npos || close == std::string::npos || close < open
                               ? "unknown"
                               : shmem_enabled->substr(open + 1, close - open - 1);
  const std::string detail = fmt::format("shared memory: {}", mode);
  if (mode == "always" || mode == "advise" || mode == "within_size" || mode == "force")
    return ok("huge_pages", detail);
  return warn(
      "huge_pages", detail,
      "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled; everything works without");
}

Finding judge_cores(unsigned usable, unsigned online) {
  const std::string detail = fmt::format("{} of {} usable", usable, online);
  if (usable >= 2) return ok("cores", detail);
  return warn("cores", detail,
              "give the broker a second core, or use waiting strategy block everywhere");
}

Finding judge_open_files(std::uint64_t hard_limit) {
  const std::string detail = fmt::format("hard limit {}", hard_limit);
  if (hard_limit >= 65'536) return ok("open_files", detail);
  return warn("open_files", detail, "LimitNOFILE=1048576 in the unit, or ulimit -Hn");
}

Finding judge_cgroup_memory(std::optional<std::uint64_t> limit_bytes) {
  if (!limit_bytes) return ok("cgroup_memory", "no limit");
  const std::string detail = format_size(*limit_bytes);
  if (*limit_bytes >= 512 * kMiB) return ok("cgroup_memory", detail);
  return warn("cgroup_memory", detail,
              "raise MemoryMax of the unit, or lower memory.max of the instance");
}

Finding judge_cgroup_cpu(std::optional<double> cores) {
  if (!cores) return ok("cgroup_cpu", "no limit");
  const std::string detail = fmt::format("{:.2f} cores", *cores);
  if (*cores >= 1) return ok("cgroup_cpu", detail);
  return warn("cgroup_cpu", detail,
              "raise CPUQuota of the unit: a throttled broker stalls for whole periods");
}

Finding judge_cgroup_pids(std::optional<std::uint64_t> limit) {
  if (!limit) return ok("cgroup_pids", "no limit");
  const std::string detail = fmt::format("{} processes and threads", *limit);
  if (*limit >= 64) return ok("cgroup_pids", detail);
  return warn("cgroup_pids", detail, "raise TasksMax of the unit");
}

Finding judge_clock(string_view source) {
  if (source == "tsc" || source == "kvm-clock" || source == "arch_sys_counter" ||
      source == "hyperv_clocksource_tsc_page")
    return ok("clock", std::string{source});
  return warn(
      "clock", source.empty() ? "unknown source" : std::string{source},
      "boot with clocksource=tsc if the processor's is stable; others cost a system call per look");
}

Finding judge_disk_space(std::uint64_t free_bytes) {
  const std::string detail = fmt::format("{} free", format_size(free_bytes));
  if (free_bytes >= kGiB) return ok("disk_space", detail);
  return warn("disk_space", detail, "free space, or point --data-dir at a larger file system");
}

Finding judge_ext4(string_view release, string_view version) {
  const std::string names = fmt::format(" {} {}", release, version);
  // Half of a backport: 91562895f803 without 936e114a245b.
  for (const string_view broken : {" 6.1.64", " 6.1.65"})
    if (names.find(broken) != std::string::npos)
      return refuse("ext4", fmt::format("Linux{} corrupts direct writes", broken),
                    "update the kernel to 6.1.66 or later, and look at what was written with it");
  return ok("ext4", "direct writes are safe with this kernel");
}

Finding judge_direct_io(string_view directory, string_view refusal) {
  if (refusal.empty()) return ok("direct_io", fmt::format("{} takes O_DIRECT writes", directory));
  return refuse("direct_io", fmt::format("{}: {}", directory, refusal),
                "use a directory that you may write, on ext4 or xfs of a local disk");
}

Finding judge_flush(const FlushTimes& times) {
  if (!times.refusal.empty())
    return refuse("flush", times.refusal, "use a directory that you may write, on a local disk");
  const std::string detail =
      fmt::format("4 KiB overwrite and flush: p50 {:.0f} us, longest {:.0f} us",
                  static_cast<double>(times.p50_ns) / 1e3, static_cast<double>(times.max_ns) / 1e3);
  if (times.memory_file_system)
    return warn("flush", detail + ", on a file system in memory",
                "nothing here survives a power cut; use a directory on a disk");
  // A drive with power-loss protection answers in some 10 us; a plain system call takes 1.
  if (times.p50_ns < 4'000)
    return warn("flush", detail + ", faster than a device can be",
                "look at the mount options (nobarrier) and at the disk's cache mode (unsafe)");
  if (times.p50_ns > 20'000'000)
    return warn("flush", detail, "a disk with power-loss protection answers in well under 1 ms");
  return ok("flush", detail);
}

void add_doctor(CLI::App& root, Context& context) {
  CLI::App* command = add_command(root, "doctor", "What this host allows the broker, with remedies",
                                  "  mallbots doctor\n"
                                  "  mallbots doctor --data-dir /srv/mallbots\n");
  auto data_dir = std::make_shared<std::string>();
  command->add_option("--data-dir", *data_dir, "Where direct I/O and flush are tried")
      ->type_name("DIR");
  set_action(command, context, [data_dir, &context] { return run_doctor(context, *data_dir); });
}

}  // namespace mallbots::client::cli
