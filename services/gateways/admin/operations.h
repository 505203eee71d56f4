// Operations: what the broker and the services tell of themselves: topics, groups with their lag,
// dead letters, outboxes, stuck sagas, and series for plots. README.md, "What `ops` shows".
//
// Who calls: poll() and sample() one thread (of the gateway); the calls of add_to() the server's
// workers. Dead letters are read, replayed and purged by one call at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "clients/connection.h"
#include "clients/toolkit/clock.h"
#include "services/gateways/admin/board.h"
#include "services/gateways/admin/calls.h"

namespace mallbots::admin {

struct OperationsParts {
  client::Connection* connection = nullptr;
  gateways::Board* board = nullptr;
  std::string socket_dir;  ///< of the services, whose outboxes are asked for
  Channels channels;
  std::function<std::size_t()> viewers;
  std::function<std::uint64_t()> behind;  ///< records that the board has not read
};

class Operations {
 public:
  explicit Operations(OperationsParts parts);
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;
  ~Operations();

  [[nodiscard]] Calls calls();
  /// Puts the rows of topic `ops` up. False: the broker does not answer.
  bool poll();
  /// One value of each series.
  void sample(UnixMillis now_ms);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::int64_t kSampleMs = 5'000;
inline constexpr std::size_t kSamples = 180;

}  // namespace mallbots::admin
