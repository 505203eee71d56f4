// FakeKiosk: the kiosk's REST API as far as shoppers use it, in memory, on a port of its own: carts
// that become orders, orders that are completed after they were looked at three times. It can lose
// every nth answer after it has done what was asked, and refuse every nth question with 503.
//
// Who calls: a test; the server's threads are its own. Look at carts() when nobody asks any more.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace mallbots::test {

struct FakeCart {
  std::map<std::string, std::int64_t> items;  ///< product id -> quantity
  std::string token;
  std::string state = "open";  ///< open, canceled, submitted
  std::string status;          ///< of the order
  std::string phone;
  std::int64_t total_minor = 0;
  int submits = 0;
  int looks = 0;
};

struct FakeKioskOptions {
  int lose_every = 0;    ///< 0: never
  int refuse_every = 0;  ///< 0: never
};

class FakeKiosk {
 public:
  explicit FakeKiosk(const FakeKioskOptions& options = {});
  ~FakeKiosk();

  [[nodiscard]] std::uint16_t port() const;
  /// By idempotency key of their beginning.
  [[nodiscard]] const std::map<std::string, FakeCart>& carts() const;

 private:
  struct Server;
  std::unique_ptr<Server> server_;
};

}  // namespace mallbots::test
