#include <gtest/gtest.h>

#include "services/customers/domain/customer.h"
#include "tests/services/support.h"

namespace mallbots::customers {
namespace {

using test::carry_out;
using test::verdict;

Customer registered() {
  Customer customer;
  carry_out(customer, register_customer(customer, "Ada", "+44 20 7946 0000"));
  customer.id = "c1";
  return customer;
}

TEST(Customer, EveryOperationInEveryState) {
  const Customer enabled = registered();
  Customer disabled = enabled;
  carry_out(disabled, disable(disabled));

  const auto row = [](const Customer& customer) {
    return std::string{verdict(register_customer(customer, "Ada", "+442079460000")),
                       verdict(register_customer(customer, "Bob", "+442079460000")),
                       verdict(change_sms_number(customer, "+442079460001")),
                       verdict(enable(customer)), verdict(disable(customer))};
  };
  //                       register, other, change number, enable, disable
  EXPECT_EQ(row({}), "++uuu");
  EXPECT_EQ(row(enabled), ".s+.+");
  EXPECT_EQ(row(disabled), ".s++.");
}

TEST(Customer, OnlyTheEnabledMayOrder) {
  Customer customer = registered();
  EXPECT_TRUE(authorize(customer).has_value());
  carry_out(customer, disable(customer));
  EXPECT_EQ(authorize(customer).error().kind, RefusalKind::kForbidden);
  EXPECT_EQ(authorize({}).error().kind, RefusalKind::kUnknown);
}

TEST(Customer, NumbersAreKeptInOneFormAndChecked) {
  EXPECT_EQ(registered().sms_number, "+442079460000");
  EXPECT_EQ(verdict(change_sms_number(registered(), "0044 2079 460000")), '.');
  EXPECT_EQ(verdict(change_sms_number(registered(), "none")), 'i');
  EXPECT_EQ(verdict(register_customer({}, "", "+442079460000")), 'i');
}

}  // namespace
}  // namespace mallbots::customers
