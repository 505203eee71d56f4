// StaffBook: who works here, in which roles, and who is signed in; one file (services/runtime/
// private_file.h), shared by the admin gateway and `mall staff`. What one changes the other sees at
// its next question.
//
// Who calls: any thread, any process. A completed change survives a power cut. Passwords are stored
// as scrypt, tokens of sessions and links as SHA-256: who reads the file signs in as nobody.
//
// Errors: those of PrivateFile; Corrupt (the file is no book), BadArgument (a name, password, role
// or store that cannot be), LimitReached (kMaxStaff).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/toolkit/clock.h"
#include "services/runtime/private_file.h"
#include "shm/base/result.h"

namespace mallbots::gateways {

enum class Role : std::uint8_t { kStoreOwner, kStoreAdmin, kDepotStaff, kDepotAdmin };
inline constexpr std::size_t kRoles = 4;
/// "store-owner", "store-admin", "depot-staff", "depot-admin"
[[nodiscard]] std::string_view name_of(Role role) noexcept;
[[nodiscard]] std::optional<Role> parse_role(std::string_view text) noexcept;

struct StaffMember {
  std::string name;  ///< 1 to 60 of a-z, 0-9, '.', '-', '_'
  std::vector<Role> roles;
  std::vector<std::string> stores;  ///< that a store owner owns

  [[nodiscard]] bool has(Role role) const noexcept;
  [[nodiscard]] bool owns(std::string_view store_id) const noexcept;
};

inline constexpr std::size_t kMaxStaff = 10'000;
inline constexpr std::size_t kLeastPasswordBytes = 8;
inline constexpr std::size_t kMaxPasswordBytes = 200;
inline constexpr std::size_t kSessionsOfOne = 20;  ///< the oldest one ends
inline constexpr std::int64_t kSessionMs = 12LL * 60 * 60 * 1000;
inline constexpr std::int64_t kLinkMs = 15LL * 60 * 1000;

class StaffBook {
 public:
  explicit StaffBook(const std::string& path,
                     const toolkit::Clock& clock = toolkit::system_clock());
  StaffBook(const StaffBook&) = delete;
  StaffBook& operator=(const StaffBook&) = delete;
  ~StaffBook();

  /// New, or in place of the one of that name, whose sessions end. Without a password only links
  /// sign in.
  [[nodiscard]] Result<void> put(const StaffMember& member,
                                 const std::optional<std::string>& password);
  /// Ends its sessions and links. False: there was none.
  [[nodiscard]] Result<bool> remove(const std::string& name);
  /// By name.
  [[nodiscard]] Result<std::vector<StaffMember>> list();
  /// The token of a link that signs in once. BadArgument: nobody of that name.
  [[nodiscard]] Result<std::string> make_link(const std::string& name,
                                              std::int64_t valid_ms = kLinkMs);
  /// A store owner made it. Twice is once. BadArgument: nobody of that name.
  [[nodiscard]] Result<void> give_store(const std::string& name, const std::string& store_id);

  struct Session {
    std::string token;  ///< for the cookie
    StaffMember member;
  };
  /// Nothing: wrong. Takes 0.1 s, also for a name that is not there.
  [[nodiscard]] Result<std::optional<Session>> sign_in(const std::string& name,
                                                       const std::string& password);
  /// Nothing: wrong, used, or too old.
  [[nodiscard]] Result<std::optional<Session>> use_link(const std::string& token);
  /// Nothing: no such session, or it ended.
  [[nodiscard]] Result<std::optional<StaffMember>> who(std::string_view session_token);
  [[nodiscard]] Result<void> sign_out(std::string_view session_token);

 private:
  struct Content;
  [[nodiscard]] Result<std::shared_ptr<const Content>> current();
  template <class Change>
  [[nodiscard]] Result<void> change(const Change& change);
  [[nodiscard]] Session open_session(Content& content, const std::string& name) const;

  PrivateFile file_;
  const toolkit::Clock* clock_;
  std::mutex mutex_;
  std::uint64_t version_ = 0;
  std::shared_ptr<const Content> content_;  ///< of that version
};

/// How often somebody may be wrong. Any thread; in memory: a restart forgets. An attempt counts
/// from its begin on, or many at once would all be let through.
class SignInLimit {
 public:
  static constexpr std::size_t kWrongOfName = 10;
  static constexpr std::size_t kWrongOfPeer = 30;
  static constexpr std::int64_t kWindowMs = 5LL * 60 * 1000;

  explicit SignInLimit(const toolkit::Clock& clock = toolkit::system_clock()) : clock_(&clock) {}
  /// Ms to wait; 0: go on, and it counts as wrong until was_right(). No name: the peer alone.
  [[nodiscard]] std::int64_t begin(const std::string& name, const std::string& peer);
  void was_right(const std::string& name, const std::string& peer);

 private:
  static constexpr std::size_t kMaxKeys = 10'000;
  using Times = std::deque<std::int64_t>;
  [[nodiscard]] std::int64_t wait_of(const std::string& key, std::size_t most);
  void note(const std::string& key);
  void take_back(const std::string& key);
  void forget(std::int64_t now_ms);

  const toolkit::Clock* clock_;
  std::mutex mutex_;
  std::map<std::string, Times> wrong_;  ///< "name:" or "peer:" and which
};

}  // namespace mallbots::gateways
