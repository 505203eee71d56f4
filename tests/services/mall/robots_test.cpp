// Whole orders in a running mall, fetched by the simulated robots of `mall up --bots`: two stores
// each, and two of four robots, one of each kind, are lost half-way with a list in hand.
#include "tests/services/mall/mall_fixture.h"

namespace mallbots::test {
namespace {

using Depot = depotpb::DepotService::Stub;
using google::protobuf::Empty;

#define ASK(...)                                          \
  do {                                                    \
    const grpc::Status status_ = mall_.ask(__VA_ARGS__);  \
    ASSERT_TRUE(status_.ok()) << status_.error_message(); \
  } while (false)

class RobotsFetch : public testing::TestWithParam<Manner> {
 protected:
  /// Two mugs and a lamp, 6.99.
  void order(Story& story) {
    fill_cart(mall_, story.id(), {{"mug", 2}, {"lamp", 1}});
    story.check_out();
  }
  depotpb::ShoppingList list_of(Story& story) {
    depotpb::ListRequest request;
    request.set_id(story.order().shopping_id());
    depotpb::ShoppingList list;
    if (request.id().empty()) return list;
    static_cast<void>(mall_.ask("depot", &Depot::GetList, request, &list));
    return list;
  }
  /// Staff: what a robot has brought is counted.
  void count(const depotpb::ShoppingList& list) {
    depotpb::TakeInventoryRequest request;
    request.set_list_id(list.id());
    for (const depotpb::Stop& stop : list.stops()) {
      for (const depotpb::WantedItem& item : stop.items()) {
        depotpb::ItemCount& counted = *request.add_counted();
        counted.set_product_id(item.product_id());
        counted.set_quantity(item.picked());
      }
    }
    Empty done;
    ASK("depot", &Depot::TakeInventory, request, &done);
  }
  std::string status_of(const std::string& bot) {
    depotpb::BotRequest request;
    request.set_id(bot);
    depotpb::Bot answer;
    static_cast<void>(mall_.ask("depot", &Depot::GetBot, request, &answer));
    return answer.status();
  }

  RunningMall mall_{GetParam()};
};

TEST_P(RobotsFetch, EveryOrderThoughSomeAreLostOnTheWay) {
  ASSERT_TRUE(mall_.start({"--only", "fleet", "--bots", "4", "--speed", "200", "--set",
                           "bots.lost=2", "--set", "bots.unavailable=0", "--set",
                           "depot.heartbeat_ms=1000", "--set", "depot.stranded_ms=500"}))
      << mall_.log();
  std::vector<Story> stories;
  for (int i = 1; i <= 8; ++i) stories.emplace_back(mall_, "o" + std::to_string(i));
  ASSERT_NO_FATAL_FAILURE(stories.front().open_store());
  open_store(mall_, {"s2", "Lamps", "20,10", {{"lamp", 199}}});
  for (const char* bot : {"bot-0001", "bot-0002", "bot-0003", "bot-0004"}) {
    EXPECT_TRUE(eventually([&] { return status_of(bot) == "idle"; }, 30)) << bot;
  }
  for (Story& story : stories) ASSERT_NO_FATAL_FAILURE(order(story));

  const auto is_fetched = [this](Story& story) {
    const depotpb::ShoppingList list = list_of(story);
    if (list.status() == "active" && list.phase() == "at-depot") count(list);
    return list.status() == "completed";
  };
  EXPECT_TRUE(eventually(
      [&] {
        std::size_t fetched = 0;
        for (Story& story : stories) fetched += is_fetched(story) ? 1 : 0;
        return fetched == stories.size();
      },
      60))
      << mall_.log();

  EXPECT_EQ(status_of("bot-0001"), "offline");
  EXPECT_EQ(status_of("bot-0002"), "offline");
  for (Story& story : stories) {
    SCOPED_TRACE(story.id());
    const depotpb::ShoppingList list = list_of(story);
    ASSERT_EQ(list.stops_size(), 2);
    for (const depotpb::Stop& stop : list.stops()) EXPECT_EQ(stop.state(), "done");
    EXPECT_TRUE(list.bot_id() != "bot-0001" && list.bot_id() != "bot-0002") << list.bot_id();
    story.wait_for("ready");
    EXPECT_EQ(story.order().total().minor(), 699);
    ASSERT_NO_FATAL_FAILURE(story.pay());
    ASSERT_NO_FATAL_FAILURE(story.carry_away());
    story.wait_for("completed");
    EXPECT_EQ(story.invoice().paid().minor(), 699);
    std::vector<std::string> history = story.history();
    // Left out where a robot was quicker than the news that the order is approved.
    std::erase(history, "OrderStarted_v1");
    EXPECT_EQ(history,
              (std::vector<std::string>{"OrderCreated_v1", "OrderApproved_v1", "OrderReadied_v1",
                                        "OrderPaid_v1", "OrderCompleted_v1"}));
  }
  EXPECT_TRUE(mall_.stop()) << mall_.log();
}

INSTANTIATE_TEST_SUITE_P(Processes, RobotsFetch,
                         testing::Values(Manner::kTogether, Manner::kSeparate), [](const auto& of) {
                           return of.param == Manner::kTogether ? "Together" : "Separate";
                         });

}  // namespace
}  // namespace mallbots::test
