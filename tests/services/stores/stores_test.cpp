#include "services/stores/app/stores.h"

#include <thread>

#include "clients/toolkit/views/view_runner.h"
#include "tests/clients/toolkit/views/bus_reader.h"
#include "tests/services/publishing_streams.h"
#include "tests/services/service_fixture.h"

namespace mallbots::stores {
namespace {

using test::refusal_of;

PageRequest page(std::string_view cursor, std::int64_t limit) { return {cursor, limit}; }

class StoresTest : public test::ServiceTest {
 protected:
  StoresTest() {
    EXPECT_TRUE(runner_.open());
    feeder_ = std::jthread([this](const std::stop_token& stop) { runner_.run(stop); });
  }
  Outcome<void> add(const std::string& id, std::string_view name, std::int64_t pence = 250,
                    const std::string& store = "s1") {
    return stores_.add_product(id, store, {name, "", "sku-" + id, {pence}});
  }
  void open_tea_house() { ASSERT_TRUE(stores_.create("s1", "Tea House", "10,4")); }

  static std::string topic_of(const std::string& stream) {
    return Catalogue::topics()[stream.starts_with("product-") ? 1 : 0];
  }
  test::PublishingStreams streams_{bus_, {.topic_of = topic_of, .internal_events = true}};
  toolkit::ViewRunner runner_{{Catalogue::view()}, {*database_, *inbox_, *outbox_}, [this] {
                                return Result<std::unique_ptr<toolkit::TopicReader>>(
                                    std::make_unique<test::BusReader>(bus_, Catalogue::topics()));
                              }};
  Catalogue catalogue_{*database_};
  Stores stores_{{streams_, streams_}, catalogue_};
  std::jthread feeder_;
};

TEST_F(StoresTest, WhatACallDidIsInTheNextList) {
  open_tea_house();
  ASSERT_TRUE(add("mug", "Mug"));
  ASSERT_TRUE(add("cake", "Cake", 199));
  EXPECT_EQ(catalogue_.store("s1")->name, "Tea House");
  auto products = catalogue_.products("s1", {});
  ASSERT_EQ(products->items.size(), 2U);
  EXPECT_EQ(products->items[0].name, "Cake");
  ASSERT_TRUE(stores_.change_price("mug", {300}));
  EXPECT_EQ(catalogue_.product("mug")->price, Money{300});
  ASSERT_TRUE(stores_.rebrand_product("mug", "Big Mug", "holds a pint"));
  EXPECT_EQ(catalogue_.product("mug")->description, "holds a pint");
  ASSERT_TRUE(stores_.remove_product("cake"));
  EXPECT_EQ(catalogue_.products("s1", {})->items.size(), 1U);
  EXPECT_EQ(refusal_of(catalogue_.product("cake")), RefusalKind::kUnknown);
}

TEST_F(StoresTest, StaffSeeWhoAsksToTakePartAndAnswer) {
  open_tea_house();
  EXPECT_EQ(catalogue_.stores("private", {})->items.size(), 1U);
  ASSERT_TRUE(stores_.request_participation("s1"));
  ASSERT_EQ(catalogue_.stores("requested", {})->items.size(), 1U);
  ASSERT_TRUE(stores_.deny_participation("s1", "no robot fits through the door"));
  EXPECT_EQ(catalogue_.store("s1")->participation, Participation::kPrivate);
  ASSERT_TRUE(stores_.request_participation("s1"));
  ASSERT_TRUE(stores_.approve_participation("s1"));
  EXPECT_EQ(catalogue_.stores("participating", {})->items.size(), 1U);
  ASSERT_TRUE(stores_.end_participation("s1"));
  EXPECT_TRUE(catalogue_.stores("participating", {})->items.empty());
  EXPECT_EQ(refusal_of(catalogue_.stores("maybe", {})), RefusalKind::kInvalid);
}

TEST_F(StoresTest, AProductNeedsAStore) {
  EXPECT_EQ(refusal_of(add("mug", "Mug")), RefusalKind::kUnknown);
  open_tea_house();
  EXPECT_TRUE(add("mug", "Mug"));
  EXPECT_EQ(refusal_of(add("mug", "Mug", 250, "s2")), RefusalKind::kUnknown);
}

TEST_F(StoresTest, StrangersAreNotFoundAndNotMade) {
  EXPECT_EQ(refusal_of(stores_.rebrand("s9", "x")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(stores_.approve_participation("s9")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(stores_.change_price("p9", {1})), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(stores_.remove_product("p9")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(catalogue_.store("s9")), RefusalKind::kUnknown);
  EXPECT_TRUE(catalogue_.stores({}, {})->items.empty());
  EXPECT_TRUE(told(Catalogue::topics()[0]).empty());
}

TEST_F(StoresTest, ARequestThatComesTwiceIsOneRequest) {
  open_tea_house();
  ASSERT_TRUE(add("mug", "Mug"));
  const toolkit::Cause request{.causation_id = "request-1"};
  ASSERT_TRUE(stores_.change_price("mug", {300}, request));
  ASSERT_TRUE(stores_.change_price("mug", {280}));
  ASSERT_TRUE(stores_.change_price("mug", {300}, request));  // a late repetition
  EXPECT_EQ(catalogue_.product("mug")->price, Money{280});
  open_tea_house();
  ASSERT_TRUE(add("mug", "Mug"));
  EXPECT_EQ(told(Catalogue::topics()[0]), std::vector<std::string>{"StoreCreated_v1"});
}

TEST_F(StoresTest, ListsArePagedByNameAndKeepTheirPlace) {
  for (const char* name : {"Delta", "Alpha", "Charlie", "Bravo", "Alpha"}) {
    static int number = 0;
    ASSERT_TRUE(stores_.create("s" + std::to_string(++number), name, "1,1"));
  }
  std::vector<std::string> seen;
  std::string cursor;
  do {
    auto two = catalogue_.stores({}, page(cursor, 2));
    ASSERT_TRUE(two.has_value());
    for (const ListedStore& store : two->items) seen.push_back(store.name + store.id);
    cursor = two->next;
    // Whoever comes between two pages moves nobody.
    ASSERT_TRUE(stores_.create("first", "Aardvark", "1,1"));
  } while (!cursor.empty());
  EXPECT_EQ(seen,
            (std::vector<std::string>{"Alphas2", "Alphas5", "Bravos4", "Charlies3", "Deltas1"}));
  EXPECT_EQ(refusal_of(catalogue_.stores({}, page("zz", 2))), RefusalKind::kInvalid);
  EXPECT_EQ(refusal_of(catalogue_.products("s1", page({}, 201))), RefusalKind::kInvalid);
  EXPECT_EQ(refusal_of(catalogue_.products("s1", page({}, -1))), RefusalKind::kInvalid);
}

TEST_F(StoresTest, HostileTextIsRefusedAndNothingHappens) {
  open_tea_house();
  ASSERT_TRUE(add("mug", "Mug"));
  const std::string too_long(3'000, 'x');
  for (const std::string_view bad :
       {std::string_view(""), std::string_view("  "), std::string_view("a\nb"),
        std::string_view("\xc3\x28"), std::string_view("\xed\xa0\x80"),
        std::string_view(too_long)}) {
    EXPECT_EQ(refusal_of(stores_.create("s2", bad, "1,1")), RefusalKind::kInvalid);
    EXPECT_EQ(refusal_of(stores_.create("s2", "Name", bad)), RefusalKind::kInvalid);
    EXPECT_EQ(refusal_of(stores_.create(std::string(bad), "Name", "1,1")), RefusalKind::kInvalid);
    EXPECT_EQ(refusal_of(stores_.rebrand("s1", bad)), RefusalKind::kInvalid);
    EXPECT_EQ(refusal_of(add("p2", bad)), RefusalKind::kInvalid);
    EXPECT_EQ(refusal_of(add(std::string(bad), "Name")), RefusalKind::kInvalid);
    EXPECT_EQ(refusal_of(stores_.rebrand_product("mug", bad, "")), RefusalKind::kInvalid);
  }
  EXPECT_EQ(refusal_of(stores_.create(" s2", "Name", "1,1")), RefusalKind::kInvalid);
  EXPECT_EQ(refusal_of(stores_.change_price("mug", {-1})), RefusalKind::kInvalid);
  EXPECT_EQ(refusal_of(stores_.change_price("mug", {1, {'U', 'S', 'D'}})), RefusalKind::kInvalid);
  EXPECT_EQ(catalogue_.stores({}, {})->items.size(), 1U);
  EXPECT_EQ(catalogue_.products("s1", {})->items.size(), 1U);
}

TEST_F(StoresTest, ACatalogueBuiltAnewIsTheSame) {
  open_tea_house();
  ASSERT_TRUE(stores_.request_participation("s1"));
  ASSERT_TRUE(add("mug", "Mug"));
  ASSERT_TRUE(stores_.change_price("mug", {300}));
  feeder_ = {};
  const auto build = runner_.rebuild();
  ASSERT_TRUE(build.has_value());
  while (runner_.run_once().value() != 0) {
  }
  ASSERT_EQ(runner_.builds()->back().state, toolkit::BuildState::kLive);
  EXPECT_EQ(catalogue_.store("s1")->participation, Participation::kRequested);
  EXPECT_EQ(catalogue_.product("mug")->price, Money{300});
}

}  // namespace
}  // namespace mallbots::stores
