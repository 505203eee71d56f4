// M16 and M18: read models, kept and built anew.
#include "clients/toolkit/views/view_runner.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/clients/toolkit/saga/service.h"
#include "tests/clients/toolkit/views/bus_reader.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using toolkit::BuildState;
using toolkit::field;
using toolkit::Handled;
using toolkit::View;
using toolkit::ViewBuild;
using toolkit::ViewWork;

struct Issued {
  static constexpr auto kMessage = toolkit::event("Issued", 1);
  std::string invoice;
  std::string customer;
  std::int64_t cents = 0;
  static constexpr auto fields() {
    return std::tuple{field("invoice", &Issued::invoice), field("customer", &Issued::customer),
                      field("cents", &Issued::cents)};
  }
};
/// What the first year wrote: whole euros.
struct PaidV0 {
  static constexpr auto kMessage = toolkit::event("Paid", 0);
  std::string invoice;
  std::string payment;
  std::int64_t euros = 0;
  bool fully = false;
  static constexpr auto fields() {
    return std::tuple{field("invoice", &PaidV0::invoice), field("payment", &PaidV0::payment),
                      field("euros", &PaidV0::euros), field("fully", &PaidV0::fully)};
  }
};
struct Paid {
  static constexpr auto kMessage = toolkit::event("Paid", 1);
  std::string invoice;
  std::string payment;
  std::int64_t cents = 0;
  std::int64_t time = 0;
  bool fully = false;
  static constexpr auto fields() {
    return std::tuple{field("invoice", &Paid::invoice), field("payment", &Paid::payment),
                      field("cents", &Paid::cents), field("time", &Paid::time),
                      field("fully", &Paid::fully)};
  }
  static Paid upcast(PaidV0 before) {
    return {before.invoice, before.payment, before.euros * 100, 0, before.fully};
  }
};
struct Voided {
  static constexpr auto kMessage = toolkit::event("Voided", 1);
  std::string invoice;
  static constexpr auto fields() { return std::tuple{field("invoice", &Voided::invoice)}; }
};
struct Shown {
  static constexpr auto kMessage = toolkit::internal_event("Shown", 1);
  std::string invoice;
  static constexpr auto fields() { return std::tuple{field("invoice", &Shown::invoice)}; }
};

/// All on one topic, so that their order holds.
const toolkit::TopicNames kNames{.service = "billing",
                                 .event_topic = [](const auto&) { return "events"; }};

Handled done(const Result<std::int64_t>& changed) {
  if (!changed) return std::unexpected(toolkit::HandlerFailure{changed.error()});
  return {};
}

View invoices(std::int64_t form = 1) {
  const std::string more = form > 1 ? ", customer text" : "";
  return View{"invoices", form,
              "create table {invoices} (id text primary key, cents integer, paid integer default 0,"
              " last_paid integer default 0, fully integer default 0, voided integer default 0" +
                  more + ");",
              kNames}
      .on<Issued>([form](ViewWork& work, const Issued& event) -> Handled {
        if (event.invoice == "malformed") return toolkit::give_up("Malformed", "no such invoice");
        work.publish(Shown{event.invoice});
        return form == 1 ? done(work.run("insert into {invoices} (id, cents) values (?, ?)",
                                         {event.invoice, event.cents}))
                         : done(work.run("insert into {invoices} (id, cents, customer)"
                                         " values (?, ?, ?)",
                                         {event.invoice, event.cents, event.customer}));
      })
      .on<Paid>([](ViewWork& work, const Paid& event) -> Handled {
        work.publish(Shown{event.invoice});
        return done(
            work.run("update {invoices} set paid = paid + ?,"
                     " last_paid = max(last_paid, ?), fully = fully or ? where id = ?",
                     {event.cents, event.time, event.fully, event.invoice}));
      })
      .on<Voided>([](ViewWork& work, const Voided& event) -> Handled {
        return done(work.run("update {invoices} set voided = 1 where id = ?", {event.invoice}));
      });
}

/// Fails as often as it is told to when it is to go anywhere but to the beginning.
class BrittleReader final : public BusReader {
 public:
  BrittleReader(toolkit::InProcessBus& bus, int& failures)
      : BusReader(bus, {"events"}), left_(failures) {}
  Result<void> seek(const client::TopicPartition& partition, Offset next) override {
    if (next != 0 && left_-- > 0) return fail(ErrorCode::kConnectionLost, "brittle");
    return BusReader::seek(partition, next);
  }

 private:
  int& left_;
};

class ViewRunnerTest : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<toolkit::ViewRunner> runner(std::vector<View> forms = {invoices()},
                                              std::size_t batch = 3) {
    auto made = std::make_unique<toolkit::ViewRunner>(
        std::move(forms), service_.store(),
        [this]() -> Result<std::unique_ptr<toolkit::TopicReader>> {
          return std::make_unique<BrittleReader>(service_.bus, seeks_to_fail_);
        },
        toolkit::ViewOptions{.batch = batch, .retry_ms = 1});
    const auto opened = made->open();
    EXPECT_TRUE(opened) << opened.error().sentence();
    return made;
  }
  template <class Event>
  void happens(const Event& event, const std::string& id = {}) {
    const toolkit::EventBus events{kNames};
    toolkit::SendingOptions options{.id = id.empty() ? toolkit::new_message_id() : id};
    for (int i = 0; i < (GetParam() ? 2 : 1); ++i)  // the relay died after it had published
      ASSERT_TRUE(events.publish(service_.bus, event, {}, options));
  }
  static void catch_up(toolkit::ViewRunner& runner) {
    for (;;) {
      const auto applied = runner.run_once();
      ASSERT_TRUE(applied) << applied.error().sentence();
      if (*applied == 0) return;
    }
  }
  /// id:paid/cents last fully voided
  std::string shown() {
    std::string text;
    const auto rows = service_.database->read(
        "select id, paid, cents, last_paid, fully, voided from invoices order by id");
    if (!rows) return rows.error().sentence();
    for (const toolkit::Row& row : *rows) {
      text += std::string{row.text(0)} + ":" + std::to_string(row.integer(1)) + "/" +
              std::to_string(row.integer(2)) + " " + std::to_string(row.integer(3)) +
              (row.integer(4) != 0 ? " fully" : "") + (row.integer(5) != 0 ? " voided" : "") + "; ";
    }
    return text;
  }
  std::size_t pushes() {
    service_.pump.run();
    return service_.count("internal-events.billing.Shown");
  }
  static ViewBuild build(toolkit::ViewRunner& runner, std::size_t index) {
    return runner.builds().value().at(index);
  }
  Service service_;
  int seeks_to_fail_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Publications, ViewRunnerTest, testing::Values(false, true),
                         [](const auto& of) { return of.param ? "Twice" : "Once"; });

TEST_P(ViewRunnerTest, EveryFieldIsExactAfterEachEvent) {
  // M16.1, M16.2, M13.3
  const auto view = runner();
  happens(Issued{.invoice = "a", .cents = 1'000});
  catch_up(*view);
  EXPECT_EQ(shown(), "a:0/1000 0; ");
  happens(Issued{.invoice = "b", .cents = 500});
  catch_up(*view);
  EXPECT_EQ(shown(), "a:0/1000 0; b:0/500 0; ");
  happens(Paid{.invoice = "a", .payment = "p1", .cents = 400, .time = 20});
  catch_up(*view);
  EXPECT_EQ(shown(), "a:400/1000 20; b:0/500 0; ");
  happens(Paid{.invoice = "a", .payment = "p2", .cents = 600, .time = 10, .fully = true});
  catch_up(*view);
  EXPECT_EQ(shown(), "a:1000/1000 20 fully; b:0/500 0; ");
  happens(Voided{.invoice = "b"});
  catch_up(*view);
  EXPECT_EQ(shown(), "a:1000/1000 20 fully; b:0/500 0 voided; ");
  EXPECT_EQ(pushes(), 4U);
}

TEST_P(ViewRunnerTest, TheLagIsKnown) {
  // M16.5
  const auto view = runner();
  for (int i = 0; i < 5; ++i) happens(Issued{.invoice = std::to_string(i)});
  EXPECT_EQ(view->lag(), GetParam() ? 10U : 5U);
  ASSERT_TRUE(view->run_once());
  EXPECT_EQ(view->lag(), GetParam() ? 7U : 2U);
  catch_up(*view);
  EXPECT_EQ(view->lag(), 0U);
}

TEST_P(ViewRunnerTest, ARebuildFromTheOldestMapsOldVersionsAndIsSilent) {
  // M18.1, M18.4
  happens(Issued{.invoice = "old", .cents = 700});
  happens(PaidV0{.invoice = "old", .payment = "p", .euros = 7, .fully = true});
  const auto view = runner();
  happens(Issued{.invoice = "new", .cents = 100});
  catch_up(*view);
  const std::string before = shown();
  EXPECT_EQ(before, "new:0/100 0; old:700/700 0 fully; ");
  EXPECT_EQ(pushes(), 1U);  // what lay there before the view has no effects
  for (std::int64_t round = 2; round < 4; ++round) {
    EXPECT_EQ(view->rebuild(), round);
    catch_up(*view);
    catch_up(*view);
    EXPECT_EQ(build(*view, static_cast<std::size_t>(round) - 1).state, BuildState::kLive);
    EXPECT_EQ(shown(), before);
    EXPECT_EQ(pushes(), 1U);
  }
}

TEST_P(ViewRunnerTest, EventsDuringARebuildReachBothBuildsOnce) {
  // M18.2
  const auto view = runner();
  for (int i = 0; i < 10; ++i) happens(Issued{.invoice = "i" + std::to_string(i), .cents = 1});
  catch_up(*view);
  ASSERT_TRUE(view->rebuild());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(view->run_once());
    happens(Paid{.invoice = "i" + std::to_string(i), .cents = 1});
    happens(Issued{.invoice = "j" + std::to_string(i), .cents = 1});
  }
  catch_up(*view);
  catch_up(*view);
  EXPECT_EQ(build(*view, 1).state, BuildState::kLive);
  EXPECT_EQ(service_.number("select count(*) from invoices"), 20);
  EXPECT_EQ(service_.number("select sum(paid) from invoices"), 10);
  EXPECT_EQ(service_.number("select sum(paid) from invoices_b1"), 10);
  EXPECT_EQ(pushes(), 30U);
}

TEST_P(ViewRunnerTest, ARebuildThatWasStoppedGoesOnWhereItWas) {
  // M18.3
  auto view = runner();
  for (int i = 0; i < 10; ++i) happens(Issued{.invoice = std::to_string(i), .cents = 1});
  catch_up(*view);
  ASSERT_TRUE(view->rebuild());
  ASSERT_TRUE(view->run_once());
  EXPECT_EQ(build(*view, 1).applied, 3U);
  view = runner();
  EXPECT_EQ(build(*view, 1).applied, 3U);
  catch_up(*view);
  catch_up(*view);
  EXPECT_EQ(build(*view, 1).state, BuildState::kLive);
  EXPECT_EQ(service_.number("select count(*) from invoices"), 10);
}

TEST_P(ViewRunnerTest, ANewFormIsBuiltBesideTheLiveOneAndTheSwitchCanBeTakenBack) {
  // M18.5
  auto view = runner();
  happens(Issued{.invoice = "a", .customer = "Ada", .cents = 5});
  catch_up(*view);
  view = runner({invoices(1), invoices(2)});
  happens(Issued{.invoice = "b", .customer = "Bob", .cents = 5});
  ASSERT_TRUE(view->run_once());
  catch_up(*view);
  catch_up(*view);
  EXPECT_EQ(build(*view, 1).state, BuildState::kLive);
  EXPECT_EQ(build(*view, 1).form, 2);
  EXPECT_EQ(
      service_.database->read("select customer from invoices where id = 'b'")->front().text(0),
      "Bob");
  happens(Issued{.invoice = "c", .customer = "Cem", .cents = 5});
  catch_up(*view);
  ASSERT_TRUE(view->switch_to(1));
  EXPECT_EQ(service_.number("select count(*) from invoices"), 2);
  EXPECT_EQ(view->switch_to(2).error().code, ErrorCode::kBusy);
  catch_up(*view);
  EXPECT_EQ(service_.number("select count(*) from invoices"), 3);
  EXPECT_EQ(pushes(), 3U);  // c once, although both builds were live when it was applied
  ASSERT_TRUE(view->drop(2));
  EXPECT_EQ(view->drop(1).error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(view->drop(7).error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(view->builds()->size(), 1U);
}

TEST_P(ViewRunnerTest, ALiveFormWhoseCodeIsGoneIsReadUntilTheNewOneIsThere) {
  auto view = runner();
  happens(Issued{.invoice = "a", .cents = 5});
  catch_up(*view);
  happens(Issued{.invoice = "b", .cents = 5});
  view = runner({invoices(2)});
  EXPECT_EQ(service_.number("select count(*) from invoices"), 1);
  catch_up(*view);
  catch_up(*view);
  catch_up(*view);
  EXPECT_EQ(service_.number("select count(*) from invoices"), 2);
  EXPECT_EQ(pushes(), 2U);
}

TEST_P(ViewRunnerTest, ABuildWhoseReaderCannotGoBackMissesNothing) {
  auto view = runner();
  for (int i = 0; i < 5; ++i) happens(Issued{.invoice = std::to_string(i), .cents = 1});
  catch_up(*view);
  view = runner({invoices(2)});  // built up to where the live one stands, whose code is gone
  for (int i = 5; i < 8; ++i) happens(Issued{.invoice = std::to_string(i), .cents = 1});
  seeks_to_fail_ = 1;
  for (int i = 0; i < 20; ++i) static_cast<void>(view->run_once());
  EXPECT_LT(seeks_to_fail_, 1);
  EXPECT_EQ(service_.number("select count(*) from invoices"), 8);
}

TEST_P(ViewRunnerTest, WhatIsGivenUpIsPassedOverAndCounted) {
  const auto view = runner();
  happens(Issued{.invoice = "malformed"});
  happens(Issued{.invoice = "b", .cents = 1});
  catch_up(*view);
  EXPECT_EQ(shown(), "b:0/1 0; ");
  EXPECT_EQ(build(*view, 0).skipped, GetParam() ? 2U : 1U);
}

TEST_P(ViewRunnerTest, AHandlerThatFailsStopsItsBuildUntilItSucceeds) {
  const auto view = runner();
  happens(Issued{.invoice = "a", .cents = 1});
  happens(Issued{.invoice = "a", .cents = 2});  // the key is taken
  const auto failed = view->run_once();
  ASSERT_FALSE(failed);
  EXPECT_EQ(service_.number("select count(*) from invoices"), 1);
  EXPECT_FALSE(view->run_once());
  ASSERT_TRUE(service_.database->transact([](toolkit::Transaction& transaction) {
    return transaction.run("delete from invoices_b1");
  }));
  catch_up(*view);
  EXPECT_EQ(shown(), "a:0/2 0; ");
}

TEST_P(ViewRunnerTest, ARunningOneFollowsTheLogAndRebuilds) {
  const auto view = runner();
  std::jthread thread{[&](const std::stop_token& stop) { view->run(stop); }};
  happens(Issued{.invoice = "a", .cents = 1});
  ASSERT_TRUE(eventually([&] { return shown() == "a:0/1 0; "; }));
  ASSERT_TRUE(view->rebuild());
  ASSERT_TRUE(eventually([&] { return build(*view, 1).state == BuildState::kLive; }));
  EXPECT_EQ(shown(), "a:0/1 0; ");
  EXPECT_EQ(view->last_error(), "");
}

}  // namespace
}  // namespace mallbots::test
