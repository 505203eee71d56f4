// Commands whose effect was not told, and come again with their key.
#include "tests/services/gateways/admin/admin_api.h"

namespace mallbots::admin {
namespace {

// It took effect, and what was to be told of it could not be read.
TEST_F(Admin, SameKeyAfterAnEffectThatWasNotToldIsToldIt) {
  order("o5", "ready", "paid");
  order("o6", "ready", "pending");
  order("o7", "approved", "pending");
  contexts_.depot.lists["l5"].set_id("l5");
  contexts_.depot.lists["l5"].set_status("active");
  const struct {
    Asked asked;
    test::Absence& absence;
    const int& effects;
  } rows[] = {
      {{Method::kPost, "/pickup/orders/o5/release", "", key()},
       contexts_.orders.absence,
       contexts_.orders.released},
      {{Method::kPost, "/pickup/orders/o6/payment", R"({"by":"cash"})", key()},
       contexts_.payments.absence,
       contexts_.payments.paid},
      {{Method::kPost, "/orders/o7/cancellation", R"({"reason":"no robot"})", key()},
       contexts_.orders.absence,
       contexts_.orders.canceled},
      {{Method::kPost, "/depot/lists/l5/inventory", R"({"counted":[]})", key()},
       contexts_.depot.absence,
       contexts_.depot.counted},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.asked.path);
    row.absence.behind_next_change();
    EXPECT_EQ(ask(Role::kDepotAdmin, row.asked).status, 503);
    EXPECT_EQ(row.effects, 1);
    Asked others = row.asked;
    others.key = key();
    EXPECT_PROBLEM(ask(Role::kDepotAdmin, others), 409, "done-already");
    const auto told = ask(Role::kDepotAdmin, row.asked);
    EXPECT_EQ(told.status, 200) << told.body;
    EXPECT_EQ(ask(Role::kDepotAdmin, row.asked).body, told.body);
  }
}

// What one took in cash is not what another's card paid meanwhile.
TEST_F(Admin, SameKeyAfterSomebodyElsePaidIsToldSo) {
  order("o8", "ready", "pending");
  contexts_.payments.absence.behind_next_change();
  contexts_.payments.absence.changed();
  const Asked asked{Method::kPost, "/pickup/orders/o8/payment", R"({"by":"cash"})", key()};
  EXPECT_EQ(ask(Role::kDepotStaff, asked).status, 503);  // nothing was done
  contexts_.payments.invoices["o8"].set_state("paid");
  contexts_.payments.invoices["o8"].set_paid_by("card");
  EXPECT_PROBLEM(ask(Role::kDepotStaff, asked), 409, "done-already");
  EXPECT_EQ(contexts_.payments.paid, 0);
}

}  // namespace
}  // namespace mallbots::admin
