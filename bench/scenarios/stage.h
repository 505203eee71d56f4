// Stage: what every scenario plays on: a mallbotsd of this build with folders of its own on the
// disk under test, started as anybody would start it, gone with everything it wrote afterwards.
//
// Used by the parent process of a run, which has one thread; the roles only get runtime_dir() and
// attach themselves. Connections opened here are closed before the call returns, so that nothing
// of the parent's is open when the roles are forked.
//
// Errors: kIo when the daemon does not start (with its output), else the client library's.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/harness/child_process.h"
#include "bench/harness/row.h"
#include "clients/admin.h"
#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/producer.h"

namespace mallbots::bench {

struct TopicSpec {
  std::string name;
  std::uint32_t partitions = 1;
  std::vector<client::TopicSetting> settings;
};

/// storage=memory with slots of that size.
[[nodiscard]] TopicSpec memory_topic(std::string name, const std::string& slot_bytes = "2MiB");
[[nodiscard]] TopicSpec exclusive_memory_topic(std::string name,
                                               const std::string& slot_bytes = "2MiB");

class Stage {
 public:
  /// Starts the daemon, waits until it answers, creates the topics.
  [[nodiscard]] static Result<std::unique_ptr<Stage>> open(const RunContext& run,
                                                           const std::vector<TopicSpec>& topics);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  /// Ends the daemon in good order, by force if it does not, and removes its folders.
  ~Stage();

  [[nodiscard]] const std::string& runtime_dir() const noexcept { return runtime_dir_; }
  /// Ends the daemon; what it wrote stays. Then start_again() brings it back on the same folders
  /// and returns before it answers: connect as long as nobody does.
  enum class End { kDrained, kKilled };  ///< SIGTERM, or keeper and broker with SIGKILL
  [[nodiscard]] Result<void> end(End how);
  [[nodiscard]] Result<void> start_again();
  /// A connection as soon as the daemon answers. For the parent, which closes it before it forks.
  [[nodiscard]] Result<std::unique_ptr<client::Connection>> connect();

  /// Process of the broker, the keeper's child.
  [[nodiscard]] Result<pid_t> broker_pid();
  /// For messages: what the daemon has said.
  [[nodiscard]] std::string log() const { return daemon_->output(); }

 private:
  Stage(const RunContext& run, std::filesystem::path folder, ChildProcess daemon);
  [[nodiscard]] static Result<ChildProcess> start_daemon(const std::filesystem::path& bin_dir,
                                                         const std::filesystem::path& folder);

  std::filesystem::path bin_dir_;
  std::filesystem::path folder_;
  std::string runtime_dir_;
  std::optional<ChildProcess> daemon_;
};

/// A session of the calling role.
[[nodiscard]] Result<std::unique_ptr<client::Connection>> attach(
    const std::string& runtime_dir, client::Waiting waiting = client::Waiting::kHybrid);

/// A plain reader of partition 0 from the end on.
[[nodiscard]] Result<std::unique_ptr<client::Consumer>> read_from_now(
    client::Connection& connection, const std::string& topic,
    client::ReadLevel level = client::ReadLevel::kDefault);

/// A producer with its partitions prepared and mapped.
[[nodiscard]] Result<std::unique_ptr<client::Producer>> produce_to(client::Connection& connection,
                                                                   const std::string& topic);

}  // namespace mallbots::bench
