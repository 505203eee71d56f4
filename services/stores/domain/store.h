// Store: a shop of the mall, and whether robots may shop there. Event-sourced; pure rules, any
// thread.
//
//   (none) ── create ──▶ private ── request ──▶ requested ── approve ──▶ participating
//                           ▲                       │ deny                   │ leave, revoke
//                           └───────────────────────┴────────────────────────┘
//
// A command in the state that it leads to succeeds without an event. Refusals: kInvalid (blank or
// too long text), kUnknown (no such store), kWrongState.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/runtime/refusal.h"

namespace mallbots::stores {

enum class Participation : std::uint8_t { kPrivate, kRequested, kParticipating };

struct StoreCreated {
  std::string name;
  std::string location;  ///< "x,y" on the floor plan
};
struct StoreRebranded {
  std::string name;
};
struct StoreParticipationRequested {};  // internal: staff only
struct StoreParticipationDenied {       // internal
  std::string reason;
};
struct StoreParticipatingToggled {
  bool is_participating = false;
};
using StoreEvent = std::variant<StoreCreated, StoreRebranded, StoreParticipationRequested,
                                StoreParticipationDenied, StoreParticipatingToggled>;

struct Store {
  bool exists = false;
  std::string name;
  std::string location;
  Participation participation = Participation::kPrivate;

  void apply(const StoreEvent& event);
};

using StoreDecision = Decision<std::vector<StoreEvent>>;

[[nodiscard]] StoreDecision create(const Store& store, std::string_view name,
                                   std::string_view location);
[[nodiscard]] StoreDecision rebrand(const Store& store, std::string_view name);
[[nodiscard]] StoreDecision request_participation(const Store& store);
/// Of a request; a private store may also be let in without one, by a store admin.
[[nodiscard]] StoreDecision approve_participation(const Store& store);
[[nodiscard]] StoreDecision deny_participation(const Store& store, std::string_view reason);
/// The owner leaves or a store admin revokes; also takes an open request back.
[[nodiscard]] StoreDecision end_participation(const Store& store);

}  // namespace mallbots::stores
