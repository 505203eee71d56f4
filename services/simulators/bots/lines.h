// Lines: how simulated robots speak with the fleet gateway. StreamLines: a gRPC stream each,
// without a thread each. LocalLines: over the broker's topics, as controllers on the edge server
// do, by the client library alone. GatewayLines: each robot by its own of the two ways. Lines: what
// the simulator needs of them; its tests have others.
//
// Who calls: the simulator, one thread; what comes in goes to the Inbox, from any thread. A line is
// over when it is destroyed; what it was given before may be lost, as it is when a robot's radio is
// gone.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "clients/connection.h"
#include "services/gateways/fleet/fleet.pb.h"
#include "shm/base/result.h"

namespace mallbots::bots {

/// What came in, in order per line.
class Inbox {
 public:
  struct Item {
    std::uint32_t robot = 0;
    std::uint64_t line = 0;                   ///< 0: local
    std::optional<fleetpb::ToRobot> message;  ///< nothing: the line is over
  };
  void put(Item item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  [[nodiscard]] std::vector<Item> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Item> items_;
};

class Line {
 public:
  virtual ~Line() = default;
  virtual void send(const fleetpb::FromRobot& message) = 0;
};

class Lines {
 public:
  virtual ~Lines() = default;
  /// For that robot, in place of its earlier one; gone before this object.
  [[nodiscard]] virtual std::unique_ptr<Line> open(std::uint32_t robot, std::uint64_t number) = 0;
  /// What has come in since the last call. Does not wait.
  [[nodiscard]] virtual std::vector<Inbox::Item> take() = 0;
};

class StreamLines {
 public:
  struct Options {
    std::string address;             ///< "HOST:PORT" or "unix:PATH"
    std::string root_certificate{};  ///< PEM; not empty: TLS
    std::size_t connections = 8;     ///< that the streams share
  };
  StreamLines(const Options& options, Inbox& inbox);
  /// Waits until every stream has ended; all lines are gone before.
  ~StreamLines();
  [[nodiscard]] std::unique_ptr<Line> open(std::uint32_t robot, std::uint64_t line);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

class LocalLines {
 public:
  /// `ids`: of the robots, by their numbers; those that are not local are empty. Errors: those of
  /// Producer::open and Consumer::open.
  [[nodiscard]] static Result<std::unique_ptr<LocalLines>> open(client::Connection& connection,
                                                                std::vector<std::string> ids,
                                                                Inbox& inbox);
  ~LocalLines();
  /// What was appended meanwhile goes into the inbox. Does not wait.
  [[nodiscard]] Result<void> poll();
  [[nodiscard]] std::unique_ptr<Line> line(std::uint32_t robot);

 private:
  class Impl;
  explicit LocalLines(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class GatewayLines final : public Lines {
 public:
  /// `local_ids`: as LocalLines::open; the others have streams. Errors: those of LocalLines::open.
  [[nodiscard]] static Result<std::unique_ptr<Lines>> open(
      client::Connection& connection, const std::vector<std::string>& local_ids,
      const StreamLines::Options& gateway);

  [[nodiscard]] std::unique_ptr<Line> open(std::uint32_t robot, std::uint64_t number) override {
    return is_local_[robot] ? locals_->line(robot) : streams_.open(robot, number);
  }
  [[nodiscard]] std::vector<Inbox::Item> take() override {
    // A broker that is away is heard again when it is back.
    static_cast<void>(locals_->poll());
    return inbox_.take();
  }

 private:
  explicit GatewayLines(const StreamLines::Options& gateway) : streams_(gateway, inbox_) {}

  Inbox inbox_;
  StreamLines streams_;
  std::unique_ptr<LocalLines> locals_;
  std::vector<bool> is_local_;
};

}  // namespace mallbots::bots
