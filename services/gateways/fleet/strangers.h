// Strangers: sessions that have not said Hello, and which of them goes when there are too many: the
// oldest of the peer that has the most of them (README.md). Who calls: Robots, under its lock.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "services/gateways/fleet/session.h"

namespace mallbots::fleet {

class Strangers {
 public:
  explicit Strangers(std::size_t most) : most_(most) {}

  /// As the newest. The session is there until remove().
  void add(Session& session);
  /// Nothing, if it is none.
  void remove(Session& session);
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Null: there are no more than may be.
  [[nodiscard]] Session* one_too_many() const;

 private:
  using OldestFirst = std::map<std::uint64_t, Session*>;

  std::size_t most_;
  std::size_t size_ = 0;
  std::uint64_t last_ = 0;
  std::map<std::string, OldestFirst> by_peer_;  ///< none is empty
};

}  // namespace mallbots::fleet
