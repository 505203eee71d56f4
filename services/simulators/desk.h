// Desk: where the mall's staff works: what they see at the admin gateway's REST API and do there,
// signed in, as the page's users are.
//
// Who calls: one thread per desk. It rides out what HttpClient does, and whatever is said twice has
// its effect once. Errors: Timeout (nobody answered for minutes), NotPermitted (name or password),
// Refused (what is looked for cannot be seen). A command that is refused is no error: false.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/runtime/money.h"
#include "services/simulators/staff_session.h"
#include "shm/base/clock.h"

namespace mallbots::simulators {

struct ListAtDepot {
  std::string id;
  std::string order_id;
  std::map<std::string, std::int64_t> picked;  ///< by product
};

struct OrderSeen {
  std::string id;
  std::string customer_id;
  std::string customer_name;
  bool is_paid = false;
};

struct NewProduct {
  std::string id;
  std::string store_id;
  std::string name;
  std::string sku;
  Money price;
};

/// Where a desk is to stand.
struct DeskPlace {
  std::string admin;          ///< http://HOST:PORT of the admin gateway
  std::string name;           ///< of the staff
  std::string password_file;  ///< its first line
};

class Desk {
 public:
  /// BadArgument: the place is none, or there is no password.
  [[nodiscard]] static Result<std::unique_ptr<Desk>> stand_at(const DeskPlace& place);

  [[nodiscard]] Result<std::vector<ListAtDepot>> at_depot();
  [[nodiscard]] Result<std::vector<OrderSeen>> orders(const std::string& status);

  [[nodiscard]] Result<bool> count(const ListAtDepot& list);
  [[nodiscard]] Result<bool> pay(const std::string& order_id, bool in_cash);
  [[nodiscard]] Result<bool> release(const std::string& order_id);
  [[nodiscard]] Result<bool> cancel(const std::string& order_id, const std::string& reason);
  [[nodiscard]] Result<bool> disable(const std::string& customer_id);

  /// `at`: "x,y" on the floor plan. Takes part when this has succeeded.
  [[nodiscard]] Result<bool> open_store(const std::string& id, const std::string& name,
                                        const std::string& at);
  [[nodiscard]] Result<bool> add_product(const NewProduct& product);
  /// The sentence of the last refusal.
  [[nodiscard]] const std::string& why_not() const noexcept { return why_not_; }

 private:
  Desk(HttpAddress admin, StaffAccount account) : session_(std::move(admin), std::move(account)) {}
  template <class Visit>
  [[nodiscard]] Result<void> each(const std::string& path, const std::string& rows,
                                  const Visit& visit);
  /// `body`: JSON, or empty.
  [[nodiscard]] Result<bool> command(const std::string& method, const std::string& path,
                                     const std::string& body);

  StaffSession session_;
  std::int64_t began_ns_ = wall_now_ns();
  std::uint64_t commands_ = 0;
  std::string why_not_;
};

}  // namespace mallbots::simulators
