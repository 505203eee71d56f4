// What broker/log sees of the sessions; broker/control implements it. Control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "shm/base/ids.h"
#include "shm/layout/session_page.h"

namespace mallbots::broker {

/// The session that stands in a word while the broker itself appends (LogWriter): no client's, in
/// no registry, not to be expelled. It dies with its broker, so an heir frees its words at once.
inline constexpr SessionIndex kBrokerSession = shm::kMaxSessions;
static_assert(kBrokerSession + 1 < 1U << 14U, "the owner field of a word has 14 bits");

class SessionPages {
 public:
  /// nullptr: no such session.
  [[nodiscard]] virtual shm::SessionPage* page(SessionIndex session) = 0;
  /// A cell that nobody uses, cleared; nothing if the page is full.
  [[nodiscard]] virtual std::optional<std::uint32_t> open_cell(SessionIndex session) = 0;
  /// The cell may be given out again; not while its client may still store into it.
  virtual void close_cell(SessionIndex session, std::uint32_t cell) = 0;
  /// All sessions not proven dead, with the number of cells ever given out (the pin scan).
  virtual void for_each(const std::function<void(SessionIndex session, shm::SessionPage& page,
                                                 std::uint32_t cells)>& visit) = 0;
  /// Tells the client why (Notice), stores `revoked`, and closes the connection. The session stays
  /// in for_each() until its process is proven dead.
  virtual void expel(SessionIndex session, const std::string& reason) = 0;

 protected:
  ~SessionPages() = default;
};

}  // namespace mallbots::broker
