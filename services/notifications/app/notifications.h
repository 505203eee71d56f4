// Notifications: the application of the context. Customers are told by text message how their order
// goes: received, rejected, ready, canceled, paid, released; each of them once.
//
// An event of an order is one message, known by (order, kind). Handlers stand in no transaction:
// they ask customers for the number, then the carrier, and write down that it was sent; who dies in
// between asks again, under the same key. While customers or the carrier is away the event waits,
// and with it only what comes later of the same order.
//
// Who calls: the router, any thread; staff look (sent). Errors: those of the database.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "clients/toolkit/clock.h"
#include "clients/toolkit/cqrs/processors.h"
#include "clients/toolkit/store/database.h"
#include "services/notifications/app/ports.h"
#include "services/orders/contract.h"

namespace mallbots::notifications {

enum class Kind : std::uint8_t { kReceived, kRejected, kReady, kCanceled, kPaid, kReleased };
[[nodiscard]] std::string_view name_of(Kind kind) noexcept;

struct Sent {
  std::string order_id;
  std::string kind;
  std::int64_t at_ms = 0;
  bool was_sent = true;  ///< false: nobody to send it to
};

class Notifications {
 public:
  struct Ports {
    Numbers& numbers;
    SmsCarrier& carrier;
    toolkit::Clock& clock;
  };
  /// Makes its tables if they are not there. All live longer.
  [[nodiscard]] static Result<std::unique_ptr<Notifications>> open(toolkit::Database& database,
                                                                   const Ports& ports);

  /// Its group, without a transaction around it.
  [[nodiscard]] toolkit::Registration registration();
  /// Of one order, oldest first.
  [[nodiscard]] Result<std::vector<Sent>> sent(std::string_view order_id) const;

  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const ordersapi::OrderCreated& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const ordersapi::OrderRejected& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const ordersapi::OrderReadied& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context, const ordersapi::OrderPaid& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const ordersapi::OrderCanceled& event);
  [[nodiscard]] toolkit::Handled on(toolkit::Context& context,
                                    const ordersapi::OrderCompleted& event);

 private:
  Notifications(toolkit::Database& database, const Ports& ports) noexcept
      : database_(&database), ports_(ports) {}
  struct Notice {
    std::string order_id;
    Kind kind;
    std::string customer_id;  ///< empty: whoever the order was received from
    std::string text;
  };
  [[nodiscard]] toolkit::Handled tell(toolkit::Context& context, Notice notice);
  [[nodiscard]] Result<void> write_down(const Notice& notice, bool was_sent);
  [[nodiscard]] Result<std::string> customer_of(const Notice& notice) const;

  toolkit::Database* database_;
  Ports ports_;
};

}  // namespace mallbots::notifications
