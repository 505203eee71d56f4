#include "bench/scenarios/mall.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace mallbots::bench {
namespace {

constexpr double kPatienceS = 60;

std::vector<std::string> words_of(const RunContext& run, const Stage& stage,
                                  const std::vector<std::string>& words) {
  std::vector<std::string> all{run.bin_dir / "mall"};
  all.insert(all.end(), words.begin(), words.end());
  all.insert(all.end(),
             {"--runtime-dir", stage.runtime_dir(), "--data-dir", run.scratch_dir / "mall"});
  return all;
}

}  // namespace

double cpu_s(pid_t pid) {
  // proc(5): the 14th and 15th field
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double memory_bytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) * 1024;
  return 0;
}

Result<void> wait_until(const std::string& what, const std::function<bool()>& condition) {
  const Deadline patience = Deadline::after_ms(static_cast<std::int64_t>(kPatienceS * 1'000));
  while (!condition()) {
    if (patience.has_passed())
      return fail(ErrorCode::kTimeout, fmt::format("{}: not after {} s", what, kPatienceS));
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return {};
}

Result<ChildProcess> run_services(const RunContext& run, const Stage& stage,
                                  const std::vector<std::string>& words) {
  std::vector<std::string> all{"run"};
  all.insert(all.end(), words.begin(), words.end());
  auto child = ChildProcess::start(words_of(run, stage, all));
  if (!child) return child;
  const auto ready =
      wait_until("the mall", [&] { return child->output().find(" ready ") != std::string::npos; });
  if (!ready) return fail(ErrorCode::kTimeout, ready.error().detail + ": " + child->output());
  return child;
}

Result<std::string> ask_mall(const RunContext& run, const Stage& stage,
                             const std::vector<std::string>& words) {
  auto child = ChildProcess::start(words_of(run, stage, words));
  if (!child) return std::unexpected(child.error());
  const auto code = child->wait(kPatienceS);
  if (!code) return std::unexpected(code.error());
  if (*code != 0) return fail(ErrorCode::kIo, "mall " + words.front() + ": " + child->output());
  return child->output();
}

Result<void> end_services(ChildProcess& services) {
  services.send(SIGTERM);
  const auto ended = services.wait(30);
  if (!ended) return std::unexpected(ended.error());
  return {};
}

void remove_mall(const RunContext& run) {
  std::error_code refused;
  std::filesystem::remove_all(run.scratch_dir / "mall", refused);
}

}  // namespace mallbots::bench
