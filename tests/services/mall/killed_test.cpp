// Scenario 15: a service is killed in the middle of an order, several times; everything happens
// once, and the order's story ends as if nothing had been.
#include "clients/toolkit/store/database.h"
#include "tests/services/mall/mall_fixture.h"

namespace mallbots::test {
namespace {

struct Victim {
  Manner manner;
  const char* service;
};

class Killed : public testing::TestWithParam<Victim> {
 protected:
  /// The one that was started again after the kill before, when there is one.
  void kill() {
    EXPECT_TRUE(eventually([this] { return mall_.kill(GetParam().service); })) << mall_.log();
  }
  /// By the provider's books, once the mall is closed.
  void expect_captured_once(std::int64_t pence) {
    const auto books = toolkit::Database::open({.path = mall_.data_dir() + "/payment-provider.db"});
    ASSERT_TRUE(books) << books.error().sentence();
    const auto rows = (*books)->read("select held, captured, refunded from accounts");
    ASSERT_TRUE(rows);
    ASSERT_EQ(rows->size(), 1U);
    EXPECT_EQ(rows->front().integer(0), 0);
    EXPECT_EQ(rows->front().integer(1), pence);
    EXPECT_EQ(rows->front().integer(2), 0);
  }

  RunningMall mall_{GetParam().manner};
};

TEST_P(Killed, InTheMiddleOfAnOrderEverythingHappensOnce) {
  ASSERT_TRUE(mall_.start()) << mall_.log();
  Story story{mall_};
  ASSERT_NO_FATAL_FAILURE(story.open_store());
  ASSERT_NO_FATAL_FAILURE(story.fill_cart());
  ASSERT_NO_FATAL_FAILURE(story.check_out());
  kill();  // while the saga runs
  story.wait_for("approved");
  ASSERT_NO_FATAL_FAILURE(story.start_shopping());
  kill();
  ASSERT_NO_FATAL_FAILURE(story.bring_it_in());
  ASSERT_NO_FATAL_FAILURE(story.pay());
  kill();
  ASSERT_NO_FATAL_FAILURE(story.carry_away());
  story.wait_for("completed");
  EXPECT_EQ(story.invoice().paid().minor(), 699);
  auto history = story.history();
  std::ranges::sort(history);  // payment and readiness come in either order
  EXPECT_EQ(history,
            (std::vector<std::string>{"OrderApproved_v1", "OrderCompleted_v1", "OrderCreated_v1",
                                      "OrderPaid_v1", "OrderReadied_v1", "OrderStarted_v1"}));
  ASSERT_TRUE(mall_.stop()) << mall_.log();
  expect_captured_once(699);
}

INSTANTIATE_TEST_SUITE_P(
    Services, Killed,
    testing::Values(Victim{Manner::kSeparate, "customers"}, Victim{Manner::kSeparate, "orders"},
                    Victim{Manner::kSeparate, "depot"}, Victim{Manner::kSeparate, "payments"},
                    Victim{Manner::kSeparate, "stores"}, Victim{Manner::kSeparate, "search"},
                    Victim{Manner::kSeparate, "notifications"},
                    Victim{Manner::kTogether, "orders"}),
    [](const auto& of) {
      return of.param.manner == Manner::kTogether ? std::string{"all"} : of.param.service;
    });

}  // namespace
}  // namespace mallbots::test
