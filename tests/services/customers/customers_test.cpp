#include "services/customers/app/customers.h"

#include "tests/services/service_fixture.h"

namespace mallbots::customers {
namespace {

using test::refusal_of;

class CustomersTest : public test::ServiceTest {
 protected:
  std::string ada() { return customers_->find_or_register("Ada", "+44 20 7946 0000").value(); }
  toolkit::Handled ask(const std::string& id) {
    customersapi::AuthorizeCustomer command;
    command.set_id(id);
    return deliver(command, [&](toolkit::Context& context, const auto& body) {
      return customers_->authorize(context, body);
    });
  }
  std::unique_ptr<Customers> customers_ = Customers::open(units()).value();
};

TEST_F(CustomersTest, OneNumberIsOneCustomerHoweverOftenTheyCome) {
  const std::string id = ada();
  EXPECT_EQ(customers_->find_or_register("Ada again", "0044 2079 460000").value(), id);
  EXPECT_NE(customers_->find_or_register("Bob", "+442079460001").value(), id);
  EXPECT_EQ(told("mallbots.customers.events.Customer").size(), 2U);
}

TEST_F(CustomersTest, EventsCarryTheNumberMasked) {
  const std::string id = ada();
  ASSERT_TRUE(customers_->change_sms_number(id, "+442079460077"));
  const auto registered = all_of<customersapi::CustomerRegistered>(topic_names());
  const auto changed = all_of<customersapi::CustomerSmsChanged>(topic_names());
  ASSERT_EQ(registered.size(), 1U);
  ASSERT_EQ(changed.size(), 1U);
  EXPECT_EQ(registered[0].sms_number(), "+44********00");
  EXPECT_EQ(changed[0].sms_number(), "+44********77");
  EXPECT_EQ(customers_->get(id)->sms_number, "+442079460077");
}

TEST_F(CustomersTest, TwoCustomersNeverShareANumber) {
  const std::string id = ada();
  const std::string bob = customers_->find_or_register("Bob", "+442079460001").value();
  EXPECT_EQ(refusal_of(customers_->change_sms_number(bob, "+442079460000")),
            RefusalKind::kWrongState);
  EXPECT_EQ(customers_->get(bob)->sms_number, "+442079460001");
  EXPECT_TRUE(all_of<customersapi::CustomerSmsChanged>(topic_names()).empty());
}

TEST_F(CustomersTest, WhoIsDisabledIsRefusedUntilEnabledAgain) {
  const std::string id = ada();
  EXPECT_TRUE(ask(id).has_value());
  ASSERT_TRUE(customers_->disable(id));
  ASSERT_TRUE(customers_->disable(id));
  const auto refused = ask(id);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().type, "Refused");
  EXPECT_EQ(refused.error().again, toolkit::Again::kNever);
  ASSERT_TRUE(customers_->enable(id));
  EXPECT_TRUE(ask(id).has_value());
  EXPECT_EQ(all_of<customersapi::CustomerDisabled>(topic_names()).size(), 1U);
}

TEST_F(CustomersTest, NobodyKnowsAStranger) {
  EXPECT_EQ(ask("nobody").error().type, "Refused");
  EXPECT_EQ(refusal_of(customers_->get("nobody")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(customers_->disable("nobody")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(customers_->find_or_register("", "+442079460000")), RefusalKind::kInvalid);
  EXPECT_TRUE(told("mallbots.customers.events.Customer").empty());
}

}  // namespace
}  // namespace mallbots::customers
