// Viewer: one page that looks at the board through a WebSocket; README.md, "The socket", has the
// protocol. It keeps for each topic how far the page has it, and makes the next message when there
// is room for it: a page that stands still costs its queue and holds up nobody.
//
// Who calls: the server gives it what the page says (one call at a time), the gateway's pump calls
// pump() and beat(); any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "clients/toolkit/clock.h"
#include "services/gateways/access/staff.h"
#include "services/gateways/admin/board.h"
#include "services/gateways/admin/permissions.h"
#include "services/gateways/http/web_socket.h"

namespace mallbots::gateways {

inline constexpr std::int64_t kHeartbeatMs = 5'000;
inline constexpr std::int64_t kSilenceMs = 30'000;
inline constexpr std::size_t kTopicsOfViewer = 64;

// Codes of closing, beside those of web_socket.h.
inline constexpr std::uint16_t kCloseMalformed = 4400;
inline constexpr std::uint16_t kCloseSignedOut = 4401;
inline constexpr std::uint16_t kCloseSilent = 4408;

/// Is what the board shows up to date?
struct Freshness {
  bool is_stale = false;
  std::string why{};  ///< a sentence for the page
};

/// {"name":..., "roles":[...], "stores":[...], "permissions":[...]}
[[nodiscard]] std::string me_json(const StaffMember& member);

class Viewer {
 public:
  /// The board lives longer.
  Viewer(const Board& board, StaffMember member, const toolkit::Clock& clock);

  void open(std::shared_ptr<SocketPeer> peer);
  void take(const std::string& text);
  /// Sends what is new, as far as there is room.
  void pump();
  /// Every kHeartbeatMs. `member`: who it is now; nothing: signed out.
  void beat(const std::optional<StaffMember>& member, const Freshness& freshness);
  void close();

 private:
  struct Wish;
  struct Subscription {
    Board::Wish wish;
    bool is_own = false;  ///< of the stores that the member owns
    Place place;
  };
  void subscribe(const Wish& wish);
  void refuse(const std::string& topic, const Problem& what);
  void malformed(const std::string& why);
  [[nodiscard]] bool pump_one(Subscription& subscription);
  void pump_locked();

  const Board* board_;
  const toolkit::Clock* clock_;
  std::mutex mutex_;
  StaffMember member_;
  std::shared_ptr<SocketPeer> peer_;  ///< null: not open, or closed
  BootNanos heard_ns_;
  std::map<std::string, Subscription> subscriptions_;
};

}  // namespace mallbots::gateways
