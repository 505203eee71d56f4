// AdminMall: all contexts and the admin gateway in this process, over a broker of their own, asked
// through the gateway's port; accounts for each role. Call from one thread.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "services/gateways/access/staff.h"
#include "services/runtime/host.h"
#include "tests/services/gateways/http/raw_client.h"
#include "tests/support/daemon.h"

namespace mallbots::test {

using gateways::RawAnswer;
using gateways::RawClient;
using Settings = std::map<std::string, std::string, std::less<>>;

/// An HTTP request; what is empty is left out.
struct Asked {
  std::string method = "GET";
  std::string path;  ///< behind /admin/v1, with the query
  std::optional<std::string> body{};
  std::string key{};
  std::string cookie{};  ///< of the session; see AdminMall::cookie
  std::string origin{};
  std::string type = "application/json";
  std::string more{};  ///< further header lines, each with its line end

  [[nodiscard]] std::string text() const;
};

class AdminMall {
 public:
  AdminMall();
  ~AdminMall();

  /// Broker, contexts, gateway. The error of what could not be opened.
  [[nodiscard]] Result<void> start(Settings settings = {});
  void stop();
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] Daemon& daemon() noexcept { return daemon_; }

  /// "mallbots_staff=...", signed in. `everybody` has all roles but that of a store owner; a store
  /// owner owns s1.
  [[nodiscard]] std::string data_dir() const { return daemon_.folder() / "shop"; }
  [[nodiscard]] const std::string& cookie(gateways::Role role) const { return cookies_.at(role); }
  [[nodiscard]] const std::string& everybody() const noexcept { return everybody_; }
  [[nodiscard]] gateways::StaffBook& staff() { return *staff_; }

  RawAnswer ask(const Asked& asked) const;
  /// A command of `everybody` with a key of its own.
  RawAnswer command(const std::string& method, const std::string& path,
                    const std::optional<std::string>& body = std::nullopt);
  /// What everybody sees there; fails the test unless it is 200.
  nlohmann::json see(const std::string& path) const;
  [[nodiscard]] std::string new_key() { return "key-of-a-test-number-" + std::to_string(++keys_); }

  /// Store s1 takes part and has mugs; customer c1.
  void open_store();
  /// Two mugs; approved.
  void submit(const std::string& order);
  /// Robot b1 takes a list and brings it to the depot's door. Its id.
  std::string fetch();
  [[nodiscard]] const std::string& customer() const noexcept { return customer_; }
  /// Records of all topics but those of robots' positions, which nobody's command makes.
  [[nodiscard]] std::map<std::string, std::uint64_t> records();
  /// The same, once half a second has brought none.
  [[nodiscard]] std::map<std::string, std::uint64_t> records_at_rest();

 private:
  void sign_in();

  Daemon daemon_;
  std::unique_ptr<Host> host_;
  std::vector<std::unique_ptr<Service>> services_;
  std::unique_ptr<gateways::StaffBook> staff_;
  std::map<gateways::Role, std::string> cookies_;
  std::string everybody_;
  std::string address_;
  std::string customer_;
  std::uint16_t port_ = 0;
  int keys_ = 0;
};

/// "urn:mallbots:problem:NAME": the name; fails the test unless the answer is a whole problem of
/// its own status.
std::string problem_of(const RawAnswer& answer);

}  // namespace mallbots::test
