// RateLimit: a bucket of tokens for each peer: `per_s` flow in, a request takes one.
//
// Who calls: the server's thread alone. IPv6 peers count by their /64, the part that one subscriber
// has. Memory is bounded: beyond kPeers, buckets that have filled again are forgotten, and if there
// are none, all further peers share one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shm/base/clock.h"

namespace mallbots::gateways {

class RateLimit {
 public:
  static constexpr std::size_t kPeers = 10'000;

  RateLimit(double per_s, double burst) noexcept : per_s_(per_s), burst_(burst) {}
  /// False: not now. `per_s` of 0: always true.
  [[nodiscard]] bool take(std::string_view peer, BootNanos now);
  [[nodiscard]] std::size_t peers() const noexcept { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    BootNanos at = 0;
  };
  [[nodiscard]] double filled(const Bucket& bucket, BootNanos now) const noexcept;
  void forget_full(BootNanos now);

  double per_s_;
  double burst_;
  BootNanos swept_ = 0;
  std::unordered_map<std::string, Bucket> buckets_;
};

/// "2001:db8:1:2" of "2001:db8:1:2:3:4:5:6"; an IPv4 address stays.
[[nodiscard]] std::string subscriber_of(std::string_view peer);

}  // namespace mallbots::gateways
