// The kiosk gateway over the real contexts: the way of a customer, and what may go wrong on it.
#include "tests/services/gateways/kiosk/kiosk_fixture.h"

namespace mallbots::kiosk {
namespace {

constexpr std::int64_t kQuarterHourMs = 15 * 60 * 1'000;

TEST_F(KioskTest, CustomerComesFromStoresToAnOrderThatIsApprovedAndPaid) {
  open();
  fill();
  const Told stores = ask("GET", "/kiosk/v1/stores");
  ASSERT_EQ(stores.status, 200);
  EXPECT_EQ(stores.body["stores"].size(), 1U);
  EXPECT_TRUE(stores.body["next"].is_null());
  const auto at = stores.head.find("ETag: ") + 6;
  const std::string etag = stores.head.substr(at, stores.head.find('\r', at) - at);
  EXPECT_EQ(ask("GET", "/kiosk/v1/stores", nullptr, "If-None-Match: " + etag + "\r\n").status, 304);
  const Told products = ask("GET", "/kiosk/v1/stores/s1/products?limit=1");
  EXPECT_EQ(products.body["products"][0]["price"]["minor"], 250);
  ASSERT_TRUE(products.body["next"].is_string());

  const Told cart = put(cart_, "p1", 3);
  EXPECT_EQ(cart.body["total"]["minor"], 949);
  EXPECT_EQ(cart.body["items"][0]["amount"]["minor"], 750);
  EXPECT_EQ(
      ask("DELETE", path_of(cart_) + "/items/p2", nullptr, with(cart_)).body["total"]["minor"],
      750);
  EXPECT_EQ(put(cart_, "p2", 1).body["total"]["minor"], 949);
  const Told review = ask("POST", path_of(cart_) + "/review", nullptr, with(cart_));
  EXPECT_EQ(review.body["changed"], false);
  EXPECT_EQ(review.body["cart"]["total"]["minor"], 949);

  const Told submitted = submit(cart_, kKey, 949);
  ASSERT_EQ(submitted.status, 201) << submitted.body;
  EXPECT_EQ(submitted.body["id"], cart_.id);
  EXPECT_EQ(submitted.body["total"]["minor"], 949);
  EXPECT_EQ(submitted.body["cancelable"], true);
  EXPECT_TRUE(test::eventually([&] { return order(cart_).body["status"] == "approved"; }));
  EXPECT_TRUE(test::eventually([&] {
    const json queue = order(cart_).body["queue"];
    return queue.is_object() && queue["ahead"] == 0;
  }));
  EXPECT_EQ(put(cart_, "p1", 1).problem(), "wrong-state");

  const std::string order_path = "/kiosk/v1/orders/" + cart_.id;
  EXPECT_EQ(ask("POST", order_path + "/pay", {{"card_token", "tok_other"}}).problem(),
            "wrong-card");
  Told paid;
  EXPECT_TRUE(test::eventually([&] {
    paid = ask("POST", order_path + "/pay", {{"card_token", "tok_visa"}});
    return paid.status == 200;
  })) << paid.body;
  EXPECT_EQ(paid.body["paid"], true);
  const Told located = ask("POST", order_path + "/locate", {{"card_token", "tok_visa"}});
  EXPECT_EQ(located.body["token"], cart_.token);
  const Told canceled =
      ask("POST", order_path + "/cancel", {{"card_token", "tok_visa"}, {"reason", "too late"}});
  EXPECT_EQ(canceled.body["status"], "cancelled") << canceled.body;
  EXPECT_EQ(canceled.body["reason"], "too late");
  EXPECT_EQ(canceled.body["cancelable"], false);
}

TEST_F(KioskTest, OrderIsItsCardsBeforeItsPaymentIsBoundAndAfterItEnded) {
  // Without a depot the saga never comes to the payment.
  open({stores::make_stores, customers::make_customers, orders::make_orders,
        payments::make_payments, search::make_search});
  fill();
  ASSERT_EQ(submit(cart_, kKey, 699).status, 201);
  const std::string order_path = "/kiosk/v1/orders/" + cart_.id;
  const json card = {{"card_token", "tok_visa"}};
  Told told;
  EXPECT_TRUE(test::eventually([&] {
    told = ask("POST", order_path + "/cancel", card);
    return told.status == 200;
  })) << told.body;
  EXPECT_TRUE(test::eventually([&] { return at_the_bank_minor() == 0; }));
  // Its answer was lost.
  const Told again = ask("POST", order_path + "/cancel", card, with(cart_));
  EXPECT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(again.body["status"], "cancelled");
  EXPECT_EQ(ask("POST", order_path + "/locate", card).body["token"], cart_.token);
  EXPECT_EQ(
      ask("POST", order_path + "/cancel", {{"card_token", "tok_other"}}, with(cart_)).problem(),
      "wrong-card");
}

TEST_F(KioskTest, RepeatedSubmitIsOneOrderAndAKeyWithAnotherBodyIsRefused) {
  open();
  fill();
  const Told first = submit(cart_, kKey, 699);
  ASSERT_EQ(first.status, 201) << first.body;
  const Told again = submit(cart_, kKey, 699);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body["id"], first.body["id"]);
  EXPECT_EQ(submit(cart_, kKey, 700).problem(), "key-reused");
  EXPECT_EQ(submit(cart_, kKey, 699, "tok_other").problem(), "key-reused");
  EXPECT_EQ(submit(cart_, kOtherKey, 699).problem(), "wrong-state");
  EXPECT_TRUE(test::eventually([&] { return order(cart_).body["status"] == "approved"; }));
}

TEST_F(KioskTest, SameKeyStartsTheSameCart) {
  open();
  const std::string key = "Idempotency-Key: " + kKey + "\r\n";
  const CartAt one = start(key);
  const CartAt same = start(key);
  EXPECT_EQ(one.id, same.id);
  EXPECT_EQ(one.token, same.token);
  EXPECT_NE(start().id, one.id);
  const Told gone = ask("DELETE", path_of(one), nullptr, with(one));
  EXPECT_EQ(gone.body["state"], "canceled");
  EXPECT_EQ(start(key).id, one.id);
  EXPECT_EQ(ask("POST", "/kiosk/v1/carts", nullptr, "Idempotency-Key: short\r\n").status, 400);
}

TEST_F(KioskTest, OtherPeoplesCartsAnswerNobody) {
  open();
  fill();
  const CartAt other = start();
  const CartAt stolen{cart_.id, other.token};
  const std::string path = path_of(cart_);
  for (const std::string& headers :
       {std::string(), with(stolen), std::string("Cart-Token: \r\n"),
        "Cart-Token: " + cart_.token.substr(1) + "\r\n", std::string("Cart-Token: x\r\n")}) {
    EXPECT_EQ(ask("GET", path, nullptr, headers).problem(), "wrong-token");
    EXPECT_EQ(ask("GET", path + "/items", nullptr, headers).problem(), "wrong-token");
    EXPECT_EQ(ask("DELETE", path, nullptr, headers).problem(), "wrong-token");
    EXPECT_EQ(ask("PUT", path + "/items/p1", {{"quantity", 9}}, headers).problem(), "wrong-token");
    EXPECT_EQ(ask("DELETE", path + "/items/p1", nullptr, headers).problem(), "wrong-token");
    EXPECT_EQ(ask("POST", path + "/review", nullptr, headers).problem(), "wrong-token");
    EXPECT_EQ(ask("POST", path + "/submit", json::object(), headers).problem(), "wrong-token");
    EXPECT_EQ(ask("GET", "/kiosk/v1/orders/" + cart_.id, nullptr, headers).problem(),
              "wrong-token");
  }
  for (const char* what : {"locate", "cancel", "pay"}) {
    EXPECT_EQ(
        ask("POST", "/kiosk/v1/orders/nobody/" + std::string(what), {{"card_token", "tok_visa"}})
            .problem(),
        "wrong-card");
  }
  EXPECT_EQ(ask("GET", path, nullptr, with(cart_)).body["total"]["minor"], 699);
}

TEST_F(KioskTest, PriceChangeIsShownBeforeAnybodyPays) {
  open();
  fill();
  mall_->change_price("p1", 300);
  Told refused;
  ASSERT_TRUE(test::eventually([&] {
    refused = ask("POST", path_of(cart_) + "/review", nullptr, with(cart_));
    return refused.body["changed"] == true;
  }));
  EXPECT_EQ(refused.body["changes"][0]["kind"], "price");
  EXPECT_EQ(refused.body["changes"][0]["before"]["price"]["minor"], 250);
  EXPECT_EQ(refused.body["changes"][0]["now"]["price"]["minor"], 300);
  const Told stale = submit(cart_, kKey, 699);
  EXPECT_EQ(stale.problem(), "stale-total");
  EXPECT_EQ(stale.body["cart"]["total"]["minor"], 799);
  // A change that nobody has seen yet: submit sees it.
  mall_->change_price("p2", 100);
  Told changed;
  std::int64_t confirmed = 799;
  ASSERT_TRUE(test::eventually([&] {
    // Until orders has heard of it, the review inside of a submit changes nothing; a probe shows
    // it.
    const CartAt probe = start();
    return put(probe, "p2", 1).body["total"]["minor"] == 100;
  }));
  changed = submit(cart_, kKey, confirmed);
  EXPECT_EQ(changed.problem(), "cart-changed") << changed.body;
  EXPECT_EQ(changed.body["cart"]["total"]["minor"], 700);
  EXPECT_EQ(submit(cart_, kOtherKey, 700).status, 201);
}

TEST_F(KioskTest, StoreThatLeavesTakesItsProductsOutOfCarts) {
  open();
  fill();
  mall_->close_store("s1");
  EXPECT_EQ(ask("GET", "/kiosk/v1/stores").body["stores"].size(), 0U);
  EXPECT_EQ(ask("GET", "/kiosk/v1/stores/s1/products").status, 404);
  ASSERT_TRUE(test::eventually([&] { return put(start(), "p1", 1).status == 409; }));
  const Told refused = submit(cart_, kKey, 699);
  EXPECT_EQ(refused.problem(), "cart-changed");
  EXPECT_EQ(refused.body["changes"][0]["kind"], "vanished");
  EXPECT_TRUE(refused.body["changes"][0]["now"].is_null());
  EXPECT_EQ(submit(cart_, kOtherKey, 0).problem(), "wrong-state");
  EXPECT_EQ(ask("GET", path_of(cart_), nullptr, with(cart_)).body["state"], "open");
}

TEST_F(KioskTest, DeclinedCardLeavesTheCartForAnother) {
  open();
  fill();
  EXPECT_EQ(submit(cart_, kKey, 699, "tok_declined").problem(), "declined");
  EXPECT_EQ(submit(cart_, kKey, 699, "tok_declined").problem(), "declined");
  EXPECT_EQ(submit(cart_, kOtherKey, 699).status, 201);
}

TEST_F(KioskTest, LostAnswerOfTheProviderIsAskedForAgain) {
  open();
  fill();
  EXPECT_EQ(submit(cart_, kKey, 699, "tok_slow").status, 201);
  EXPECT_TRUE(test::eventually([&] { return order(cart_).body["status"] == "approved"; }));
}

TEST_F(KioskTest, SubmitThatNobodyCompletesIsGivenUp) {
  open({stores::make_stores, orders::make_orders, customers::make_customers},
       {{"kiosk.timeout_ms", "500"}});
  fill();
  EXPECT_EQ(submit(cart_, kKey, 699).status, 503);
  ASSERT_TRUE(mall_->kiosk().sweep(wall_now_ms()));
  ASSERT_TRUE(mall_->kiosk().sweep(wall_now_ms() + 2 * kQuarterHourMs));
  mall_.reset();
  open();
  EXPECT_EQ(submit(cart_, kKey, 699).problem(), "wrong-state");
  EXPECT_EQ(submit(cart_, kOtherKey, 699).status, 201);
  ASSERT_TRUE(mall_->kiosk().sweep(wall_now_ms() + 2 * kQuarterHourMs));
  EXPECT_EQ(submit(cart_, kOtherKey, 699).status, 201);
}

TEST_F(KioskTest, ContextThatIsAwayCostsNoCart) {
  open({stores::make_stores, orders::make_orders, payments::make_payments},
       {{"kiosk.timeout_ms", "500"}});
  fill();
  const Told away = submit(cart_, kKey, 699);
  EXPECT_EQ(away.status, 503);
  EXPECT_EQ(away.problem(), "unavailable");
  EXPECT_THAT(away.head, HasSubstr("Retry-After: 1"));
  EXPECT_EQ(ask("GET", path_of(cart_), nullptr, with(cart_)).body["state"], "open");
  mall_.reset();
  open();  // the tokens hold over a new start
  EXPECT_EQ(submit(cart_, kKey, 699).status, 201);
}

TEST_F(KioskTest, HostileValuesAreRefusedAndChangeNothing) {
  open();
  fill();
  const std::string path = path_of(cart_);
  for (const json& body :
       {json(nullptr), json::array(), json("x"), json::object(), json{{"quantity", -1}},
        json{{"quantity", 100'001}}, json{{"quantity", "2"}}, json{{"quantity", 1.5}},
        json{{"quantity", 1}, {"price", 1}}}) {
    const Told told = ask("PUT", path + "/items/p1", body, with(cart_));
    EXPECT_TRUE(told.status == 400 || (body.is_null() && told.status == 415)) << body;
  }
  EXPECT_EQ(ask("PUT", path + "/items/nothing", {{"quantity", 1}}, with(cart_)).status, 404);
  for (const char* query : {"limit=0", "limit=201", "limit=x", "limit=1x", "cursor=%21%21"}) {
    EXPECT_EQ(ask("GET", "/kiosk/v1/stores?" + std::string(query)).status, 400) << query;
  }
  const json good = {{"phone", "+441234567890"},
                     {"name", "Ann"},
                     {"card_token", "tok_visa"},
                     {"confirmed_total", {{"minor", 699}, {"currency", "GBP"}}}};
  const std::string headers = with(cart_) + "Idempotency-Key: " + kKey + "\r\n";
  for (const auto& [field, value] : std::map<std::string, json>{{"phone", "12"},
                                                                {"phone ", "x"},
                                                                {"name", std::string(201, 'a')},
                                                                {"card_token", 7},
                                                                {"confirmed_total", 699},
                                                                {"more", 1}}) {
    json bad = good;
    bad[field] = value;
    const Told told = ask("POST", path + "/submit", bad, headers);
    EXPECT_EQ(told.status, 400) << field << told.body;
    EXPECT_EQ(told.body.dump().find("tok_visa"), std::string::npos);
  }
  EXPECT_EQ(ask("POST", path + "/submit", good, with(cart_)).status, 400);
  EXPECT_EQ(ask("GET", path, nullptr, with(cart_)).body["total"]["minor"], 699);
}

TEST_F(KioskTest, PageAndDocumentAreGiven) {
  open({});
  EXPECT_EQ(ask("GET", "/kiosk/v1/openapi.json").body["openapi"], "3.0.3");
  EXPECT_EQ(ask("GET", "/kiosk/v1/version").body["name"], "kiosk");
  const Told page = ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head, HasSubstr("Content-Security-Policy"));
  EXPECT_EQ(ask("GET", "/page/dom.js").status, 200);
}

}  // namespace
}  // namespace mallbots::kiosk
