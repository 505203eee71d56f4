// KeeperLink: the broker's end of the socket between broker and keeper.
//
// Everything a restarted broker needs is put here before anybody else gets to see it, and removed
// only after nobody can have it any more (protocol section 9). A completed put() promises that the
// descriptor survives this broker's death at any later instruction; a failed one, that the keeper
// does not have it.
//
// Control thread of the broker. Errors: LimitReached (the keeper has no room for another
// descriptor), Draining (the keeper is gone; this broker is about to drain).
#pragma once

#include <cstdint>
#include <vector>

#include "broker/keeper/fd_store.h"
#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

class KeeperLink {
 public:
  /// Without a keeper: put() and remove() always succeed and keep nothing. For tests of the parts.
  KeeperLink() = default;
  /// `left` is what the predecessors left behind.
  KeeperLink(shm::UniqueFd socket, FdStore left)
      : socket_(std::move(socket)), left_(std::move(left)) {}

  /// The caller keeps `fd`; the keeper gets a copy.
  [[nodiscard]] Result<void> put(FdKind kind, std::uint64_t id, int fd);
  [[nodiscard]] Result<void> remove(FdKind kind, std::uint64_t id);
  /// Says that start-up is over: from now on the keeper restarts a broker that dies, and tells it
  /// `note`: a word about this host that is costly to find out again.
  [[nodiscard]] Result<void> ready(std::uint64_t note);

  /// What a predecessor left; the descriptor stays with the keeper, too.
  [[nodiscard]] shm::UniqueFd take(FdKind kind, std::uint64_t id) { return left_.take(kind, id); }
  [[nodiscard]] std::vector<std::uint64_t> left(FdKind kind) const { return left_.ids(kind); }
  /// End of start-up: removes from the keeper what nobody took. How many that were.
  [[nodiscard]] Result<std::size_t> drop_rest();

  /// Readable when the keeper is gone; -1 without a keeper.
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  [[nodiscard]] Result<void> exchange(std::uint32_t type, FdStore::Name name, int fd);

  shm::UniqueFd socket_;
  FdStore left_;
  std::uint64_t sequence_ = 0;
};

}  // namespace mallbots::broker
