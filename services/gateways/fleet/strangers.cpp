#include "services/gateways/fleet/strangers.h"

#include <utility>

namespace mallbots::fleet {

void Strangers::add(Session& session) {
  session.stranger = ++last_;
  by_peer_[session.peer].emplace(session.stranger, &session);
  ++size_;
}

void Strangers::remove(Session& session) {
  if (session.stranger == 0) return;
  const auto peer = by_peer_.find(session.peer);
  peer->second.erase(std::exchange(session.stranger, 0));
  if (peer->second.empty()) by_peer_.erase(peer);
  --size_;
}

Session* Strangers::one_too_many() const {
  if (size_ <= most_) return nullptr;
  const OldestFirst* worst = nullptr;
  for (const auto& [peer, theirs] : by_peer_) {
    const bool is_worse =
        worst == nullptr || theirs.size() > worst->size() ||
        (theirs.size() == worst->size() && theirs.begin()->first < worst->begin()->first);
    if (is_worse) worst = &theirs;
  }
  return worst->begin()->second;
}

}  // namespace mallbots::fleet
