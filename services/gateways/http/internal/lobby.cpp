#include <chrono>

#include "services/gateways/http/internal/engine.h"

namespace mallbots::gateways {

std::unique_ptr<Lobby::Place> Lobby::enter(const std::string& peer, bool is_loopback) {
  const std::lock_guard lock{mutex_};
  if (places_.size() >= most_) return nullptr;
  std::size_t& count = of_peer_[peer];
  if (!is_loopback && count >= most_of_peer_) return nullptr;
  auto place = std::make_unique<Place>(*this, peer);
  places_.emplace(place.get(), std::weak_ptr<Connection>{});
  ++count;
  return place;
}

void Lobby::seat(const Place& place, const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock{mutex_};
  places_[&place] = connection;
}

void Lobby::leave(const Place& place) {
  const std::lock_guard lock{mutex_};
  places_.erase(&place);
  const auto at = of_peer_.find(place.peer_);
  if (at != of_peer_.end() && --at->second == 0) of_peer_.erase(at);
  if (places_.empty()) left_.notify_all();
}

std::vector<std::shared_ptr<Connection>> Lobby::all() {
  const std::lock_guard lock{mutex_};
  std::vector<std::shared_ptr<Connection>> found;
  for (const auto& [place, connection] : places_) {
    if (auto alive = connection.lock()) found.push_back(std::move(alive));
  }
  return found;
}

std::size_t Lobby::size() {
  const std::lock_guard lock{mutex_};
  return places_.size();
}

void Lobby::wait_until_empty(std::int64_t at_most_ms) {
  std::unique_lock lock{mutex_};
  left_.wait_for(lock, std::chrono::milliseconds{at_most_ms}, [this] { return places_.empty(); });
}

}  // namespace mallbots::gateways
