#include "bench/scenarios/stage.h"

#include <fmt/core.h>
#include <signal.h>

#include <array>
#include <system_error>
#include <utility>

#include "bench/harness/clock.h"

namespace mallbots::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kStartLimitS = 10;
constexpr double kStopLimitS = 20;
/// The client library gives up at once when nobody listens yet.
constexpr double kAskEveryS = 0.002;

client::ConnectionOptions options_for(const std::string& runtime_dir, client::Waiting waiting) {
  return client::ConnectionOptions{
      .runtime_dir = runtime_dir, .name = "mallbots_bench", .waiting = waiting};
}

}  // namespace

TopicSpec memory_topic(std::string name, const std::string& slot_bytes) {
  return TopicSpec{.name = std::move(name),
                   .settings = {{"storage", "memory"}, {"slot.bytes", slot_bytes}}};
}

TopicSpec exclusive_memory_topic(std::string name, const std::string& slot_bytes) {
  TopicSpec topic = memory_topic(std::move(name), slot_bytes);
  topic.settings.push_back({"producers", "exclusive"});
  return topic;
}

Stage::Stage(const RunContext& run, fs::path folder, ChildProcess daemon)
    : bin_dir_(run.bin_dir),
      folder_(std::move(folder)),
      runtime_dir_((folder_ / "run").string()),
      daemon_(std::move(daemon)) {}

Stage::~Stage() {
  if (daemon_) {
    daemon_->send(SIGTERM);
    if (!daemon_->wait(kStopLimitS)) daemon_.reset();
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<std::unique_ptr<Stage>> Stage::open(const RunContext& run,
                                           const std::vector<TopicSpec>& topics) {
  const fs::path folder = run.scratch_dir / "stage";
  std::error_code failed;
  fs::remove_all(folder, failed);
  if (!fs::create_directory(folder, failed)) {
    return fail(ErrorCode::kIo, fmt::format("folder {}: {}", folder.string(), failed.message()));
  }
  auto daemon = start_daemon(run.bin_dir, folder);
  if (!daemon) return std::unexpected(std::move(daemon).error());
  std::unique_ptr<Stage> stage{new Stage{run, folder, std::move(*daemon)}};
  auto connection = stage->connect();
  if (!connection) return std::unexpected(std::move(connection).error());
  client::Admin admin{**connection};
  for (const TopicSpec& topic : topics) {
    const auto created = admin.create_topic(topic.name, topic.partitions, topic.settings);
    if (!created) return std::unexpected(created.error());
  }
  return stage;
}

Result<ChildProcess> Stage::start_daemon(const fs::path& bin_dir, const fs::path& folder) {
  return ChildProcess::start({(bin_dir / "mallbotsd").string(), "--data-dir",
                              (folder / "data").string(), "--runtime-dir",
                              (folder / "run").string()});
}

Result<void> Stage::end(End how) {
  if (how == End::kKilled) {
    const auto broker = broker_pid();
    if (!broker) return std::unexpected(broker.error());
    daemon_->send(SIGKILL);  // the keeper first: it would make another broker
    kill_process(*broker);
  } else {
    daemon_->send(SIGTERM);
  }
  const auto code = daemon_->wait(kStopLimitS);
  const std::string said = log();
  daemon_.reset();
  if (!code) return std::unexpected(code.error());
  if (how == End::kDrained && *code != 0)
    return fail(ErrorCode::kIo, fmt::format("mallbotsd ended with code {}: {}", *code, said));
  return {};
}

Result<void> Stage::start_again() {
  auto daemon = start_daemon(bin_dir_, folder_);
  if (!daemon) return std::unexpected(std::move(daemon).error());
  daemon_.emplace(std::move(*daemon));
  return {};
}

Result<std::unique_ptr<client::Connection>> Stage::connect() {
  const std::uint64_t end_ns = raw_now_ns() + static_cast<std::uint64_t>(kStartLimitS * 1e9);
  while (true) {
    auto connection = attach(runtime_dir_);
    if (connection) return connection;
    if (auto ended = daemon_->wait(kAskEveryS); ended || raw_now_ns() >= end_ns) {
      return fail(ErrorCode::kIo,
                  fmt::format("mallbotsd: {}; it said: {}", connection.error().sentence(), log()));
    }
  }
}

Result<pid_t> Stage::broker_pid() {
  auto connection = connect();
  if (!connection) return std::unexpected(std::move(connection).error());
  const auto status = client::Admin{**connection}.status();
  if (!status) return std::unexpected(status.error());
  return static_cast<pid_t>(status->broker_pid);
}

Result<std::unique_ptr<client::Connection>> attach(const std::string& runtime_dir,
                                                   client::Waiting waiting) {
  return client::Connection::open(options_for(runtime_dir, waiting));
}

Result<std::unique_ptr<client::Consumer>> read_from_now(client::Connection& connection,
                                                        const std::string& topic,
                                                        client::ReadLevel level) {
  auto consumer = client::Consumer::open(connection, {.read = level});
  if (!consumer) return consumer;
  constexpr std::array<PartitionIndex, 1> kFirst{0};
  MALLBOTS_TRY((*consumer)->assign(topic, kFirst, client::Start::end()));
  return consumer;
}

Result<std::unique_ptr<client::Producer>> produce_to(client::Connection& connection,
                                                     const std::string& topic) {
  auto producer = client::Producer::open(connection, topic);
  if (producer) MALLBOTS_TRY((*producer)->prepare());
  return producer;
}

}  // namespace mallbots::bench
