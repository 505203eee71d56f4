// Where a phone number and a card's token are after a day: the number in the customers' database
// and nowhere else, the token nowhere. Every file of mall and broker is searched: topics,
// databases, logs.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

const std::string kNumber = "2079461357";  // without the country's code, however it is written
const std::string kOther = "2079461468";
const std::string kWrong = "+4420794615799999999999";
const std::string kCard = "tok_8713550912";
const std::string kDeclined = "tok_declined_7726150";

STORY(PersonalData, StaysWhereItBelongs) {
  Customer ada(*this, "+44" + kNumber, kCard);
  ada.is_approved();
  ada.pay();
  Robot robbie(*this, "b1");
  robbie.connect();
  count(ada.order(), robbie.fetch({"cake"}));
  wait_for(ada.order(), "ready");
  EXPECT_EQ(staff("POST", "pickup/search", R"({"phone": "+44)" + kNumber + "\"}").status, 200);
  release(ada.order());
  wait_for(ada.order(), "completed");

  Customer canceled(*this, "+44" + kNumber, kCard);
  canceled.is_approved();
  EXPECT_EQ(canceled.cancel().status, 200);
  wait_for(canceled.order(), "cancelled");

  Customer declined(*this, "+44" + kOther, kDeclined);
  declined.put("mug", 1);
  EXPECT_EQ(declined.submit().status, 403);
  Customer mistyped(*this, kWrong, kCard);
  mistyped.put("mug", 1);
  EXPECT_EQ(mistyped.submit().status, 400);

  disable_customer_of(ada.order());
  Customer rejected(*this, "+44" + kNumber, kCard);
  rejected.orders_tea();
  wait_for(rejected.order(), "rejected");
  wait_until_quiet();

  for (const std::string& number : {kNumber, kOther}) {
    const auto files = files_with(number);
    EXPECT_FALSE(files.empty()) << "what is searched for is not where it belongs";
    for (const std::string& file : files)
      EXPECT_TRUE(file.starts_with("customers.db")) << number << " stands in " << file;
  }
  for (const std::string& secret : {kWrong, kCard, kDeclined})
    EXPECT_EQ(files_with(secret), std::vector<std::string>{}) << secret;
  EXPECT_FALSE(files_with(ada.order()).empty());
}

}  // namespace
}  // namespace mallbots::test
