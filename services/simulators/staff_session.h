// StaffSession: somebody of the staff, signed in at the admin gateway, as a program.
//
// Who calls: one thread. ask() rides out what HttpClient does, and signs in anew when the gateway
// has forgotten the session (it was started again). Every command carries an idempotency key, so
// asking again has no second effect. Errors: those of HttpClient; NotPermitted (name or password).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "services/simulators/http_client.h"

namespace mallbots::simulators {

struct StaffAccount {
  std::string name;
  std::string password;
};

class StaffSession {
 public:
  StaffSession(HttpAddress admin, StaffAccount account)
      : client_(std::move(admin)), account_(std::move(account)) {}

  [[nodiscard]] Result<void> sign_in();
  [[nodiscard]] Result<Answer> see(const std::string& path) { return ask({"GET", path}); }
  /// `key`: the same for the same command for ever; made long enough here. `body`: JSON, or empty.
  [[nodiscard]] Result<Answer> command(const std::string& method, const std::string& path,
                                       const std::string& key, const std::string& body = {});

 private:
  [[nodiscard]] Result<Answer> ask(Question question);

  HttpClient client_;
  StaffAccount account_;
  std::string cookie_;
};

}  // namespace mallbots::simulators
