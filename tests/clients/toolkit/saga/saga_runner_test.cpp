// A saga that is answered by replies: order, compensation one by one, time, what is stuck.
#include "clients/toolkit/saga/saga_runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "tests/clients/toolkit/saga/service.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::field;
using toolkit::Handled;
using toolkit::SagaOut;
using toolkit::SagaState;

struct NewOrder {
  std::string id;
  std::string list;
  static constexpr auto fields() {
    return std::tuple{field("id", &NewOrder::id), field("list", &NewOrder::list)};
  }
};
/// One command for all steps: the test is about the runner.
struct Do {
  static constexpr auto kMessage = toolkit::command("Do", 1);
  std::string what;
  static constexpr auto fields() { return std::tuple{field("what", &Do::what)}; }
};
struct ListMade {
  static constexpr auto kMessage = toolkit::reply("ListMade", 1);
  std::string list;
  static constexpr auto fields() { return std::tuple{field("list", &ListMade::list)}; }
};

constexpr auto kSend = [](const char* what) {
  return [what](const NewOrder&, SagaOut& out) { out.send(Do{what}); };
};

toolkit::Saga<NewOrder> create_order() {
  return toolkit::Saga<NewOrder>{"create-order"}
      .undo(kSend("reject order"))
      .step("authorize customer", kSend("authorize"))
      .step("make list", kSend("make list"))
      .undo([](const NewOrder& order, SagaOut& out) { out.send(Do{"cancel " + order.list}); })
      .timeout_ms(60'000)
      .on_reply<ListMade>([](NewOrder& order, const ListMade& reply) { order.list = reply.list; })
      .step("take payment",
            [](const NewOrder&, SagaOut& out) {
              out.send(Do{"charge"});
              out.send(Do{"notify bank"});
            })
      .undo(kSend("refund"))
      .step("approve order", kSend("approve"));
}

class SagaRunnerTest : public testing::TestWithParam<bool> {
 protected:
  SagaRunnerTest() {
    service_.pump.twice = GetParam();
    EXPECT_TRUE(runner_.open());
    service_.pump.add(runner_.registration());
    toolkit::CommandProcessor processor{names_};
    EXPECT_TRUE(processor.handle<Do>(
        [this](Context&, const Do& one) -> std::expected<ListMade, toolkit::HandlerFailure> {
          if (one.what == silent_) return toolkit::try_again("Away", "not now");
          if (refused_.contains(one.what)) return toolkit::give_up("Refused", one.what);
          done_.push_back(one.what);
          return ListMade{.list = "list-7"};
        }));
    service_.pump.add(processor.registrations(), *service_.database, *service_.inbox,
                      *service_.outbox);
  }
  void begin(const std::string& id = "o-1") {
    ASSERT_TRUE(service_.database->transact([&](toolkit::Transaction& transaction) {
      EXPECT_TRUE(runner_.begin(transaction, id, NewOrder{.id = id},
                                {.correlation_id = "request", .trace = {}, .actor = "staff:ann"}));
      return Result<void>{};
    }));
    service_.pump.run();
  }
  toolkit::SagaInstance instance() { return runner_.find("o-1").value().value(); }

  toolkit::TopicNames names_{.service = "orders"};
  Service service_;
  toolkit::SagaRunner runner_{create_order().plan(), service_.store(), names_};
  std::vector<std::string> done_;
  std::set<std::string> refused_;
  std::string silent_;
};
INSTANTIATE_TEST_SUITE_P(Deliveries, SagaRunnerTest, testing::Values(false, true),
                         [](const auto& of) { return of.param ? "Twice" : "Once"; });

using Done = std::vector<std::string>;

TEST_P(SagaRunnerTest, StepsFollowTheirReplies) {
  begin();
  EXPECT_EQ(done_, (Done{"authorize", "make list", "charge", "notify bank", "approve"}));
  EXPECT_EQ(instance().state, SagaState::kDone);
  EXPECT_NE(instance().data.find("list-7"), std::string::npos);
  for (const auto& command : read_all(service_.bus, "commands.Do")) {
    EXPECT_EQ(toolkit::Message{command.view()}.correlation_id(), "request");
    EXPECT_EQ(toolkit::Message{command.view()}.actor(), "staff:ann");
  }
}

TEST_P(SagaRunnerTest, AFailureUndoesWhatWasDoneTheLastFirst) {
  refused_ = {"approve"};
  begin();
  EXPECT_EQ(done_, (Done{"authorize", "make list", "charge", "notify bank", "refund",
                         "cancel list-7", "reject order"}));
  EXPECT_EQ(instance().state, SagaState::kUndone);
  EXPECT_EQ(instance().reason, "Refused: approve");
}

TEST_P(SagaRunnerTest, AStepOfSeveralCommandsIsUndoneItselfWhenOneFails) {
  refused_ = {"notify bank"};
  begin();
  EXPECT_EQ(done_,
            (Done{"authorize", "make list", "charge", "refund", "cancel list-7", "reject order"}));
}

TEST_P(SagaRunnerTest, AStepThatIsNotAnsweredInTimeIsUndoneToo) {
  // M20.9
  silent_ = "make list";
  begin();
  EXPECT_EQ(runner_.tick(wall_now_ms()), 0U);
  EXPECT_EQ(runner_.counts()->running, 1U);
  EXPECT_EQ(runner_.tick(wall_now_ms() + 61'000), 1U);
  silent_ = "none";
  EXPECT_TRUE(eventually([&] {
    service_.pump.run();
    return instance().state == SagaState::kUndone;
  }));
  EXPECT_EQ(instance().reason, "no answer to 'make list' in time");
  // The late reply of the step changed nothing.
  EXPECT_EQ(std::ranges::count(done_, "charge"), 0);
}

TEST_P(SagaRunnerTest, AnUndoThatFailsIsStuckListedAndResumed) {
  // M20.9
  refused_ = {"approve", "refund"};
  begin();
  EXPECT_EQ(instance().state, SagaState::kStuck);
  const auto stuck = runner_.in_state(SagaState::kStuck);
  ASSERT_EQ(stuck->size(), 1U);
  EXPECT_EQ(stuck->front().step, "take payment");
  EXPECT_EQ(stuck->front().reason, "Refused: refund");
  EXPECT_EQ(runner_.counts()->stuck, 1U);
  EXPECT_EQ(runner_.resume("none").error().code, ErrorCode::kBadArgument);
  refused_.clear();
  ASSERT_TRUE(runner_.resume("o-1"));
  service_.pump.run();
  EXPECT_EQ(instance().state, SagaState::kUndone);
  EXPECT_EQ(done_.back(), "reject order");
  EXPECT_EQ(runner_.resume("o-1").error().code, ErrorCode::kBadArgument);
}

TEST_P(SagaRunnerTest, InstancesThatAreOverAreForgotten) {
  begin();
  EXPECT_EQ(runner_.forget(60'000), 0);
  shift_wall_clock(120'000);
  EXPECT_EQ(runner_.forget(60'000), 1);
  shift_wall_clock(-120'000);
  EXPECT_FALSE(runner_.find("o-1")->has_value());
}

TEST(SagaRunner, AnInstanceIsMovedByOneMessageAtATime) {
  // M20.9: 40 events for one instance on 4 threads, none is lost.
  struct Counted {
    std::int64_t count = 0;
    static constexpr auto fields() { return std::tuple{field("count", &Counted::count)}; }
  };
  Service service;
  const toolkit::TopicNames names{.service = "s"};
  const auto plan = toolkit::Saga<Counted>{"count", toolkit::SagaAnswers::kEvents}
                        .step("count", [](const Counted&, SagaOut&) {})
                        .on<ListMade>([](const ListMade& one) { return one.list; },
                                      [](Counted& counted, const ListMade&) {
                                        ++counted.count;
                                        return counted.count == 40 ? toolkit::SagaMove::next()
                                                                   : toolkit::SagaMove::stay();
                                      })
                        .plan();
  toolkit::SagaRunner runner{plan, service.store(), names};
  ASSERT_TRUE(runner.open());
  ASSERT_TRUE(service.database->transact([&](toolkit::Transaction& transaction) {
    EXPECT_TRUE(runner.begin(transaction, "x", Counted{}));
    return Result<void>{};
  }));
  const auto registration = runner.registration();
  const toolkit::Context::Surroundings around{
      &registration.info, &service.bus, &toolkit::system_clock(), {}};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 10; ++i) {
          toolkit::Draft draft = toolkit::encode(ListMade{.list = "x"});
          draft.id = std::to_string(thread) + "/" + std::to_string(i);
          const auto logged = client::as_message(toolkit::DraftRecord{draft}.record(), {}).value();
          const toolkit::Message message{logged.view()};
          Context context{around, message};
          EXPECT_TRUE(registration.handler(context, message));
        }
      });
    }
  }
  EXPECT_EQ(runner.find("x").value()->state, SagaState::kDone);
  EXPECT_EQ(runner.find("x").value()->version, 41);
}

TEST(SagaRunner, TheRunningClockEndsWhatIsOver) {
  Service service;
  const toolkit::TopicNames names{.service = "s"};
  const auto plan =
      toolkit::Saga<NewOrder>{"short"}.step("wait", kSend("nothing")).timeout_ms(5).plan();
  toolkit::SagaRunner runner{plan, service.store(), names};
  ASSERT_TRUE(runner.open());
  std::jthread clock{[&](const std::stop_token& stop) { runner.run(stop); }};
  ASSERT_TRUE(service.database->transact([&](toolkit::Transaction& transaction) {
    EXPECT_TRUE(runner.begin(transaction, "x", NewOrder{}));
    return Result<void>{};
  }));
  EXPECT_TRUE(eventually([&] { return runner.find("x").value()->state == SagaState::kUndone; }));
}

}  // namespace
}  // namespace mallbots::test
