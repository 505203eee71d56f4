#include "services/gateways/http/internal/rate_limit.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cstring>

namespace mallbots::gateways {

std::string subscriber_of(std::string_view peer) {
  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address(peer, bad);
  if (bad || address.is_v4()) return std::string(peer);
  auto bytes = address.to_v6().to_bytes();
  std::memset(bytes.data() + bytes.size() / 2, 0, bytes.size() / 2);
  return boost::asio::ip::make_address_v6(bytes).to_string();
}

double RateLimit::filled(const Bucket& bucket, BootNanos now) const noexcept {
  const double since_s = static_cast<double>(now - bucket.at) / static_cast<double>(kSecond);
  return std::min(burst_, bucket.tokens + since_s * per_s_);
}

void RateLimit::forget_full(BootNanos now) {
  if (now - swept_ < kSecond) return;
  swept_ = now;
  std::erase_if(buckets_, [&](const auto& entry) { return filled(entry.second, now) >= burst_; });
}

bool RateLimit::take(std::string_view peer, BootNanos now) {
  if (per_s_ <= 0) return true;
  std::string key = subscriber_of(peer);
  if (buckets_.size() >= kPeers && !buckets_.contains(key)) {
    forget_full(now);
    if (buckets_.size() >= kPeers) key = "others";
  }
  Bucket& bucket = buckets_.try_emplace(std::move(key), Bucket{burst_, now}).first->second;
  bucket.tokens = filled(bucket, now);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

}  // namespace mallbots::gateways
