// What the broker pushes, kept until it is asked for, and who is in which group.
#include <algorithm>

#include "clients/internal/link.h"

namespace mallbots::client {
namespace {

constexpr std::size_t kMaxNotices = 256;

}  // namespace

void Link::keep_push(const Packet& packet) {
  switch (static_cast<shm::MessageType>(packet.header.type)) {
    case shm::MessageType::kAssignment:
      if (auto assignment = shm::decode<shm::Assignment>(packet.body))
        assignments_[assignment->group_id].push_back(std::move(*assignment));
      break;
    case shm::MessageType::kGrants:
      if (auto grants = shm::decode<shm::Grants>(packet.body))
        queue_pushes_[grants->group_id].emplace_back(std::move(*grants));
      break;
    case shm::MessageType::kSettled:
      if (auto settled = shm::decode<shm::Settled>(packet.body))
        queue_pushes_[settled->group_id].emplace_back(std::move(*settled));
      break;
    case shm::MessageType::kNotice:
      if (auto notice = shm::decode<shm::Notice>(packet.body)) {
        notices_.push_back(std::move(*notice));
        if (notices_.size() > kMaxNotices) {
          notices_.pop_front();
          ++notices_dropped_;
        }
      }
      break;
    default:
      break;
  }
}

std::optional<shm::Assignment> Link::take_assignment(std::uint64_t group_id) {
  const std::scoped_lock lock{lock_};
  const auto found = assignments_.find(group_id);
  if (found == assignments_.end() || found->second.empty()) return std::nullopt;
  shm::Assignment first = std::move(found->second.front());
  found->second.pop_front();
  return first;
}

std::optional<Link::QueuePush> Link::take_queue_push(std::uint64_t group_id) {
  const std::scoped_lock lock{lock_};
  auto& pushes = queue_pushes_[group_id];
  if (pushes.empty()) return std::nullopt;
  QueuePush first = std::move(pushes.front());
  pushes.pop_front();
  return first;
}

std::vector<shm::Notice> Link::notices_since(std::uint64_t& seen) {
  const std::scoped_lock lock{lock_};
  std::vector<shm::Notice> fresh;
  for (std::uint64_t at = std::max(seen, notices_dropped_); at < notices_dropped_ + notices_.size();
       ++at)
    fresh.push_back(notices_[at - notices_dropped_]);
  seen = notices_dropped_ + notices_.size();
  return fresh;
}

std::uint64_t Link::notices_so_far() const {
  const std::scoped_lock lock{lock_};
  return notices_dropped_ + notices_.size();
}

bool Link::claim_group(const std::string& group, const void* member) {
  const std::scoped_lock lock{lock_};
  return members_.try_emplace(group, member).first->second == member;
}

void Link::release_group(const std::string& group, const void* member) {
  const std::scoped_lock lock{lock_};
  if (const auto found = members_.find(group); found != members_.end() && found->second == member)
    members_.erase(found);
}

}  // namespace mallbots::client
