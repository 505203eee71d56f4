#include "broker/keeper/fd_store.h"

namespace mallbots::broker {

shm::UniqueFd FdStore::take(FdKind kind, std::uint64_t id) {
  const auto found = fds_.find({kind, id});
  if (found == fds_.end()) return {};
  shm::UniqueFd fd = std::move(found->second);
  fds_.erase(found);
  return fd;
}

std::vector<std::uint64_t> FdStore::ids(FdKind kind) const {
  std::vector<std::uint64_t> found;
  for (const auto& [name, fd] : fds_)
    if (name.first == kind) found.push_back(name.second);
  return found;
}

std::vector<FdStore::Name> FdStore::names() const {
  std::vector<Name> all;
  all.reserve(fds_.size());
  for (const auto& [name, fd] : fds_) all.push_back(name);
  return all;
}

}  // namespace mallbots::broker
