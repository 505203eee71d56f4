// Daemon: a mallbotsd of this build with folders of its own, watched and ended as Process says.
// Call from one thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {

struct DaemonOptions {
  std::vector<std::string> arguments;  ///< after --data-dir, --runtime-dir and --config
  std::string config;                  ///< content of the configuration file; empty: none
  ProcessOptions process;
};

class Daemon {
 public:
  explicit Daemon(DaemonOptions options = {});

  /// Starts it and waits until it is ready. False: it ended instead, or hangs; see log().
  [[nodiscard]] bool start();
  /// Starts it and waits for nothing.
  void launch();
  /// Waits until the n-th broker (from 1) of this start is ready.
  [[nodiscard]] bool ready(std::size_t nth = 1) const;
  /// SIGTERM; waits for the end.
  [[nodiscard]] Ended stop(double limit_s = 30);
  [[nodiscard]] Ended wait(double limit_s = 30) { return process_->wait(limit_s); }

  [[nodiscard]] pid_t keeper_pid() const { return process_->pid(); }
  /// 0 while there is none.
  [[nodiscard]] pid_t broker_pid() const;
  /// SIGKILL to the broker alone, then waits until its successor is ready.
  [[nodiscard]] bool kill_broker();
  void signal_broker(int signal) const;
  /// SIGSTOP; true when every thread of it stands.
  [[nodiscard]] bool stop_broker();
  [[nodiscard]] Process& process() { return *process_; }

  [[nodiscard]] std::string log() const { return process_->errors(); }
  [[nodiscard]] bool logs(const std::string& text, double limit_s = 15) const {
    return process_->says(text, limit_s);
  }
  [[nodiscard]] std::string data_dir() const { return folder_ / "data"; }
  [[nodiscard]] std::string runtime_dir() const { return folder_ / "run"; }
  [[nodiscard]] std::string socket_path() const { return runtime_dir() + "/control.sock"; }
  [[nodiscard]] const TempDir& folder() const { return folder_; }
  void keep_folder() noexcept { folder_.keep(); }
  [[nodiscard]] std::vector<std::string> command() const;

 private:
  [[nodiscard]] std::size_t times_ready() const;

  TempDir folder_;
  DaemonOptions options_;
  std::optional<Process> process_;
};

}  // namespace mallbots::test
