// Api: the staff's gateway without its server: the table of calls with sessions, permissions,
// idempotency keys in front of them, and the live socket.
//
// Who calls: make_admin builds it and gives its routes to a server; the server's workers call the
// handlers. The server ends before it.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "clients/toolkit/clock.h"
#include "clients/toolkit/log.h"
#include "services/gateways/admin/calls.h"
#include "services/gateways/admin/viewer.h"
#include "services/gateways/http/router.h"

namespace mallbots::admin {

struct ApiParts {
  Channels channels;
  gateways::StaffBook* staff = nullptr;
  gateways::Board* board = nullptr;
  std::function<gateways::Freshness()> freshness;
  Calls further{};     ///< of operations
  std::string plan{};  ///< the floor plan as JSON
  toolkit::Log log{};
  toolkit::Clock* clock = nullptr;
};

class Api {
 public:
  explicit Api(ApiParts parts);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;
  ~Api();

  [[nodiscard]] const Calls& calls() const noexcept;
  void add_to(gateways::Router& router);
  /// Tells viewers what is new, and beats; until stopped.
  void run(const std::stop_token& stop);
  [[nodiscard]] std::size_t viewers() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::string_view kPrefix = "/admin/v1";
inline constexpr std::string_view kCookie = "mallbots_staff";

/// As in openapi.json.
[[nodiscard]] std::string_view open_api() noexcept;

}  // namespace mallbots::admin
