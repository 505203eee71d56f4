// Story 7: the customer cancels while the saga runs. Whoever is faster, the order ends cancelled,
// and nothing is left of it: no list, no hold, no open invoice.
#include <set>

#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

constexpr int kOrders = 12;

STORY(CanceledWhilePending, LeavesNothingBehind) {
  std::vector<std::unique_ptr<Customer>> customers;
  for (int i = 0; i < kOrders; ++i) {
    Customer& ada = *customers.emplace_back(std::make_unique<Customer>(*this));
    ada.orders_tea();
    for (int late = 0; late < i % 4; ++late) ada.look();  // sooner or later in the saga
    const Told told = ada.cancel();
    EXPECT_EQ(told.status, 200) << told.body;
  }
  for (const auto& ada : customers) wait_for(ada->order(), "cancelled");
  wait_until_quiet();
  for (const auto& ada : customers) {
    const auto told = told_of(ada->order());
    const auto times = [&told](const std::string& what) { return std::ranges::count(told, what); };
    EXPECT_EQ(times("mallbots.orders.events.Order OrderCanceled"), 1);
    EXPECT_EQ(times("mallbots.payments.events.Invoice InvoiceCreated"),
              times("mallbots.payments.events.Invoice InvoiceCanceled"));
    if (list_id_of(ada->order()).empty()) continue;
    EXPECT_EQ(list_of(ada->order()).state, "canceled");
  }
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_FALSE(robbie.has_list());
  EXPECT_EQ(accounts(), (std::vector<Account>(kOrders)));
}

}  // namespace
}  // namespace mallbots::test
