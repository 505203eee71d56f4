// Inbox and transactional(): a handler's effect and its mark are one.
#include "clients/toolkit/store/inbox.h"

#include <gtest/gtest.h>

#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/store/transactional.h"
#include "tests/clients/toolkit/twice.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::Database;
using toolkit::Handled;
using toolkit::Inbox;
using toolkit::Message;
using toolkit::Once;
using toolkit::Outbox;
using toolkit::Transaction;

class InboxTest : public testing::Test {
 protected:
  InboxTest() { EXPECT_TRUE(database_->ensure("create table payments (id)")); }
  std::int64_t count(const std::string& table) {
    return database_->read("select count(*) from " + table)->front().integer(0);
  }
  static Result<void> pay(Transaction& transaction) {
    MALLBOTS_TRY(transaction.run("insert into payments values (1)"));
    return {};
  }
  /// One delivery to `handler`, as a router makes it.
  Handled deliver(const toolkit::Handler& handler, const std::string& id) {
    const toolkit::Draft draft{.id = id, .correlation_id = "request"};
    const auto logged =
        client::as_message(toolkit::DraftRecord{draft}.record(), {.topic = "t"}).value();
    const Message message{logged.view()};
    return twice([&] {
      Context context{around_, message};
      return toolkit::transactional(*database_, *inbox_, *outbox_)
          .wrap(handler, info_)(context, message);
    });
  }

  std::unique_ptr<Database> database_ = Database::open().value();
  std::unique_ptr<Inbox> inbox_ = Inbox::open(*database_, {.keep_ms = 1'000}).value();
  std::unique_ptr<Outbox> outbox_ = Outbox::open(*database_).value();
  toolkit::InProcessBus bus_;
  toolkit::HandlerInfo info_{.name = "h", .group = "payments", .topics = {"t"}};
  Context::Surroundings around_{&info_, &bus_, &toolkit::system_clock(), {}};
};

TEST_F(InboxTest, AMessageThatComesTwiceHasItsEffectOnce) {
  // M9.1, M9.3
  EXPECT_EQ(inbox_->handle_once("g", "id", pay), Once::kHandled);
  EXPECT_EQ(inbox_->handle_once("g", "id", pay), Once::kDuplicate);
  EXPECT_EQ(inbox_->handle_once("g", "id", pay), Once::kDuplicate);  // M7.4: three of one key
  EXPECT_EQ(count("payments"), 1);
  EXPECT_EQ(inbox_->handle_once("other group", "id", pay), Once::kHandled);
  EXPECT_EQ(inbox_->handle_once("g", "other id", pay), Once::kHandled);
  EXPECT_EQ(count("payments"), 3);
}

TEST_F(InboxTest, AFailureMarksNothingSoTheNextDeliveryIsTheFirst) {
  // D2: the mark is made with success only.
  const auto failed = inbox_->handle_once("g", "id", [](Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(pay(transaction));
    return fail(ErrorCode::kTimeout);
  });
  EXPECT_FALSE(failed);
  EXPECT_EQ(count("payments"), 0);
  EXPECT_EQ(inbox_->handle_once("g", "id", pay), Once::kHandled);
  EXPECT_EQ(count("payments"), 1);
}

TEST_F(InboxTest, EqualContentUnderTwoIdsIsTwoMessages) {
  // D3: ids decide, not the payload.
  const toolkit::Handler handler = [](Context& context, const Message&) -> Handled {
    MALLBOTS_TRY(pay(toolkit::transaction_of(context)));
    return {};
  };
  EXPECT_TRUE(deliver(handler, "a"));
  EXPECT_TRUE(deliver(handler, "b"));
  EXPECT_TRUE(deliver(handler, "b"));
  EXPECT_EQ(count("payments"), 2);
}

TEST_F(InboxTest, MarksAreForgottenAfterTheirTime) {
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(twice([&] {
      return inbox_->handle_once("g", std::to_string(i), [](auto&) { return Result<void>{}; });
    }));
  EXPECT_EQ(count("inbox"), 10);
  shift_wall_clock(10'000);
  for (int i = 10; i < 15; ++i)
    ASSERT_TRUE(twice([&] {
      return inbox_->handle_once("g", std::to_string(i), [](auto&) { return Result<void>{}; });
    }));
  shift_wall_clock(-10'000);
  EXPECT_EQ(count("inbox"), 5);
}

TEST_F(InboxTest, EffectPublicationAndMarkAreOneTransaction) {
  bool fails = true;
  const toolkit::Handler handler = [&](Context& context, const Message&) -> Handled {
    MALLBOTS_TRY(pay(toolkit::transaction_of(context)));
    context.publish("events.Paid", {.payload = "1"});
    if (fails) return toolkit::try_again("Bug", "half way");
    return {};
  };
  EXPECT_FALSE(deliver(handler, "id"));
  EXPECT_EQ(count("payments") + count("inbox") + count("outbox"), 0);
  fails = false;
  EXPECT_TRUE(deliver(handler, "id"));
  EXPECT_TRUE(deliver(handler, "id"));
  EXPECT_EQ(count("payments"), 1);
  EXPECT_EQ(count("inbox"), 1);
  EXPECT_EQ(count("outbox"), 1);
  EXPECT_TRUE(outbox_->backlog()->waiting == 1);
}

}  // namespace
}  // namespace mallbots::test
