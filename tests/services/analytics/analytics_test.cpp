// Analytics comes to a mall that runs, and goes again.
#include <signal.h>

#include "clients/admin.h"
#include "services/analytics/app/report.h"
#include "tests/services/mall/mall_fixture.h"
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

class Analytics : public testing::Test, public Scene {
 protected:
  Analytics() : Scene(Manner::kTogether) {}
  void SetUp() override { open(); }
  void TearDown() override { close(); }

  [[nodiscard]] std::string runtime_dir() { return mall().daemon().runtime_dir(); }
  [[nodiscard]] Process join() {
    return Process::start({binary("mall"), "run", "analytics", "--runtime-dir", runtime_dir(),
                           "--data-dir", mall().data_dir()},
                          {.limit_s = 100});
  }
  /// What it says; asked until it is up to date and says this.
  std::string report_with(const std::string& text) {
    std::string report;
    EXPECT_TRUE(eventually(
        [&] {
          report = run({binary("analytics"), "--socket-dir", runtime_dir() + "/mall"}).output;
          return report.find(text) != std::string::npos &&
                 report.find("up to date") != std::string::npos;
        },
        30))
        << report;
    return report;
  }
  void complete(Customer& customer, Robot& robot, const std::vector<std::string>& missing = {}) {
    robot.wait_for_list();
    count(customer.order(), robot.fetch(missing));
    wait_for(customer.order(), "ready");
    customer.pay();
    release(customer.order());
    wait_for(customer.order(), "completed");
  }
  std::string groups() {
    const auto connection = client::Connection::open({.runtime_dir = runtime_dir()}).value();
    client::Admin admin{*connection};
    std::string names;
    const auto all = admin.list_groups().value();
    for (const auto& group : all) names += group.group + ' ';
    return names;
  }
};

TEST(AnalyticsProgress, SaysHowFarItIs) {
  analyticspb::Progress progress;
  progress.set_read(120);
  progress.set_left(3'880);
  EXPECT_EQ(analytics::shown(progress), "read 120 of 4000 events of the log, 3 %");
  progress.set_left(0);
  EXPECT_EQ(analytics::shown(progress), "read 120 events, up to date");
}

TEST_F(Analytics, CatchesUpFromTheFirstEventOfAMallThatRuns) {
  Robot robbie(*this, "b1");
  robbie.connect();
  Customer ada(*this);
  ada.is_approved();
  complete(ada, robbie);
  Customer grace(*this, "+442079460001");
  grace.put("mug", 2);
  grace.put("book", 1);
  EXPECT_EQ(grace.submit().status, 201);
  wait_for(grace.order(), "approved");
  complete(grace, robbie, {"book"});
  Customer joan(*this, "+442079460002");
  joan.is_approved();
  EXPECT_EQ(joan.cancel().status, 200);
  wait_for(joan.order(), "cancelled");

  Process analytics = join();
  EXPECT_TRUE(analytics.says("up to date", 30)) << analytics.errors();
  const std::string report = report_with("3 created, 2 completed, 1 cancelled, 0 rejected");
  EXPECT_NE(report.find("Tea House"), std::string::npos) << report;
  EXPECT_EQ(report.find("Book Barn"), std::string::npos) << "nothing of it came in\n" << report;
  EXPECT_NE(report.find("11.99 GBP"), std::string::npos) << report;
  EXPECT_NE(report.find("the count: 2 orders"), std::string::npos) << report;
  EXPECT_NE(report.find("1  changed my mind"), std::string::npos) << report;
}

TEST_F(Analytics, GoesUnnoticedAndTakesUpAgainWhereItWas) {
  const std::string before = groups();
  Robot robbie(*this, "b1");
  robbie.connect();
  Customer ada(*this);
  {
    Process analytics = join();
    ada.is_approved();
    complete(ada, robbie);
    report_with("1 created, 1 completed");
    analytics.send(SIGKILL);
    static_cast<void>(analytics.wait());
  }
  EXPECT_EQ(groups(), before) << "nothing is kept for it";
  Customer grace(*this, "+442079460001");
  grace.is_approved();
  complete(grace, robbie);
  wait_until_quiet();
  Process again = join();
  const std::string report = report_with("2 created, 2 completed");
  EXPECT_NE(report.find("13.98 GBP"), std::string::npos) << report;
}

}  // namespace
}  // namespace mallbots::test
