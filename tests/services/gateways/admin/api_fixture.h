// The gateway's API over contexts that are made up, asked without a server. One test at a time.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "clients/toolkit/testkit/manual_clock.h"
#include "services/gateways/admin/api.h"
#include "tests/services/gateways/admin/fake_contexts.h"
#include "tests/support/temp_dir.h"

namespace mallbots::admin {

using gateways::Role;
using nlohmann::json;

inline constexpr const char* kHost = "127.0.0.1:8081";

struct Peer final : gateways::SocketPeer {
  gateways::Sent send(std::string text) override {
    if (is_stuck) return gateways::Sent::kFull;
    told.push_back(json::parse(text));
    return gateways::Sent::kQueued;
  }
  void close(std::uint16_t code, std::string) override { closed = code; }
  [[nodiscard]] json last(const std::string& op) const {
    for (auto at = told.rbegin(); at != told.rend(); ++at) {
      if ((*at)["op"] == op) return *at;
    }
    return nullptr;
  }

  std::vector<json> told;
  std::uint16_t closed = 0;
  bool is_stuck = false;
};

class Admin : public ::testing::Test {
 protected:
  Admin() {
    for (std::size_t i = 0; i < gateways::kRoles; ++i) {
      const auto role = static_cast<Role>(i);
      const std::string name(name_of(role));
      EXPECT_TRUE(staff_.put({name, {role}, {"s1"}}, std::nullopt));
      cookies_[role] = staff_.use_link(staff_.make_link(name).value()).value()->token;
    }
    api_.add_to(router_);
    for (const std::string id : {"s1", "s2"}) {
      auto& store = contexts_.stores.stores[id];
      store.set_id(id);
      store.set_name("<script>alert('" + id + "')</script>");
      store.set_participation("private");
    }
    order("o1", "ready", "paid");
  }

  void order(const std::string& id, const std::string& status, const std::string& invoice) {
    auto& order = contexts_.orders.orders[id];
    order.set_id(id);
    order.set_status(status);
    order.set_customer_id("c1");
    auto& bill = contexts_.payments.invoices[id];
    bill.set_id(id);
    bill.set_state(invoice);
    bill.mutable_first_amount()->set_minor(500);
    bill.mutable_amount()->set_minor(300);
  }

  struct Asked {
    Method method = Method::kGet;
    std::string path;
    std::string body{};
    std::string key{};
    std::string origin = std::string("http://") + kHost;
  };

  gateways::Response ask(const std::string& cookie, const Asked& asked) {
    Request request{.method = asked.method, .path = std::string(kPrefix) + asked.path};
    request.headers = {{"host", kHost}, {"cookie", std::string(kCookie) + "=" + cookie}};
    if (!asked.origin.empty()) request.headers.emplace_back("origin", asked.origin);
    if (!asked.key.empty()) request.headers.emplace_back("idempotency-key", asked.key);
    if (!asked.body.empty()) request.headers.emplace_back("content-type", "application/json");
    request.body = asked.body;
    request.peer = "127.0.0.1";
    std::vector<std::string> segments;
    std::string part;
    std::istringstream rest(request.path.substr(1));
    while (std::getline(rest, part, '/')) segments.push_back(part);
    const auto found = router_.find(asked.method, segments);
    const auto* match = std::get_if<gateways::Router::Match>(&found);
    if (match == nullptr) return gateways::empty_response(404);
    request.path_parameters = match->parameters;
    return match->route->handler(request);
  }
  gateways::Response ask(Role role, const Asked& asked) { return ask(cookies_[role], asked); }
  std::string key() { return "key-0123456789-" + std::to_string(++keys_); }

  /// A socket of this role, opened.
  std::shared_ptr<Peer> watch(Role role, std::unique_ptr<gateways::SocketHandler>& handler,
                              const std::string& origin = std::string("http://") + kHost) {
    Request request{.path = "/admin/v1/socket"};
    request.headers = {{"host", kHost},
                       {"origin", origin},
                       {"cookie", std::string(kCookie) + "=" + cookies_[role]}};
    for (const auto& route : router_.routes()) {
      if (!route.accept) continue;
      auto accepted = route.accept(request);
      auto* made = std::get_if<std::unique_ptr<gateways::SocketHandler>>(&accepted);
      if (made == nullptr) return nullptr;
      handler = std::move(*made);
    }
    auto peer = std::make_shared<Peer>();
    handler->on_open(peer);
    return peer;
  }

  test::TempDir folder_;
  toolkit::ManualClock clock_;
  test::FakeContexts contexts_;
  gateways::StaffBook staff_{folder_ / "staff.json", clock_};
  gateways::Board board_{"run1"};
  Api api_{{.channels = [this](const std::string&) { return contexts_.channel(); },
            .staff = &staff_,
            .board = &board_,
            .freshness = [] { return gateways::Freshness{}; },
            .plan = R"({"name":"m"})",
            .log = [](const auto&) {},
            .clock = &clock_}};
  gateways::Router router_;
  std::map<Role, std::string> cookies_;
  int keys_ = 0;
};

}  // namespace mallbots::admin
