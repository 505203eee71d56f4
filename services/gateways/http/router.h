// Router: which handler answers which address.
//
//   Router router;
//   router.get("/kiosk/v1/carts/{cart_id}", [&](const Request& request) { ... });
//   router.put("/kiosk/v1/carts/{cart_id}/items/{product_id}", handler, Body::kJson);
//   router.web_socket("/admin/v1/socket", accept);
//   router.assets("/", page_assets());
//
// Who calls: whoever builds a gateway, before the server starts; afterwards it is read by any
// thread. CHECK: two routes of the same method and pattern. A literal segment wins over a
// parameter; a parameter takes one segment, not empty, of at most 100 bytes.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/gateways/http/assets.h"
#include "services/gateways/http/message.h"
#include "services/gateways/http/web_socket.h"

namespace mallbots::gateways {

/// Runs on a worker and may wait for contexts. An exception is answered with 500.
using Handler = std::function<Response(const Request&)>;

enum class Body : std::uint8_t {
  kNone,  ///< one that comes nevertheless is read and dropped
  kJson,  ///< Content-Type application/json, not empty
};

inline constexpr std::size_t kBodyBytes = 64 * 1024;
inline constexpr std::size_t kParameterBytes = 100;

struct Route {
  Method method = Method::kGet;
  std::string pattern;
  Handler handler;
  Body body = Body::kNone;
  std::size_t body_bytes = kBodyBytes;  ///< at most; more is 413
  AcceptSocket accept{};                ///< a WebSocket's: there is no handler
};

class Router {
 public:
  void add(Route route);
  void get(std::string pattern, Handler handler) {
    add({Method::kGet, std::move(pattern), std::move(handler)});
  }
  void put(std::string pattern, Handler handler, Body body = Body::kJson) {
    add({Method::kPut, std::move(pattern), std::move(handler), body});
  }
  void post(std::string pattern, Handler handler, Body body = Body::kJson) {
    add({Method::kPost, std::move(pattern), std::move(handler), body});
  }
  void remove(std::string pattern, Handler handler) {
    add({Method::kDelete, std::move(pattern), std::move(handler)});
  }
  void web_socket(std::string pattern, AcceptSocket accept);
  /// Each asset under `prefix` + its path; "index.html" is the folder itself, too.
  void assets(const std::string& prefix, std::span<const Asset> assets);

  struct Match {
    const Route* route = nullptr;
    Pairs parameters;
  };
  struct WrongMethod {
    std::string allowed;  ///< for Allow: "GET, HEAD, OPTIONS"
  };
  struct NoSuchPath {};
  /// `segments` are decoded; "/" is one empty segment.
  [[nodiscard]] std::variant<Match, WrongMethod, NoSuchPath> find(
      Method method, std::span<const std::string> segments) const;
  /// What Allow says, empty: no such address.
  [[nodiscard]] std::string allowed(std::span<const std::string> segments) const;

  [[nodiscard]] const std::vector<Route>& routes() const noexcept { return routes_; }

 private:
  std::vector<Route> routes_;
  std::vector<std::vector<std::string>> patterns_;  ///< segments of routes_, at the same places
};

}  // namespace mallbots::gateways
