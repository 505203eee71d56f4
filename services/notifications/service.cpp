#include "services/notifications/service.h"

#include "services/notifications/adapters/customers.h"
#include "services/notifications/adapters/simulated_sms.h"
#include "services/notifications/app/notifications.h"

namespace mallbots::notifications {
namespace {

struct NotificationsService final : Service {
  std::unique_ptr<Numbers> numbers;
  std::unique_ptr<SimulatedSms> carrier;
  std::unique_ptr<Notifications> notifications;
};

}  // namespace

Result<std::unique_ptr<Service>> make_notifications(Host& host) {
  const auto store = host.open_store("notifications");
  if (!store) return std::unexpected(store.error());
  auto service = std::make_unique<NotificationsService>();
  service->numbers = make_numbers(host.channel("customers"));
  auto carrier = SimulatedSms::open(store->database, host.clock());
  if (!carrier) return std::unexpected(std::move(carrier).error());
  service->carrier = std::move(*carrier);
  auto notifications =
      Notifications::open(store->database, {*service->numbers, *service->carrier, host.clock()});
  if (!notifications) return std::unexpected(std::move(notifications).error());
  service->notifications = std::move(*notifications);
  MALLBOTS_TRY(host.handle(service->notifications->registration()));
  host.announce("notifications");
  return service;
}

}  // namespace mallbots::notifications
