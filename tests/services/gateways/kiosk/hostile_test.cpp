// Hostile input at every call of the kiosk: each way to spoil a request, at each call that it can
// be tried at. The right status and words come back, nothing falls over, nothing is half done.
#include <random>

#include "services/gateways/kiosk/kiosk.h"
#include "services/gateways/kiosk/pages.h"
#include "tests/services/gateways/kiosk/hostile_calls.h"
#include "tests/services/gateways/kiosk/kiosk_fixture.h"

namespace mallbots::kiosk {
namespace {

/// What is sent, and what is to come back.
struct Trial {
  std::string what;
  std::string bytes;
  int status = 400;
  std::string problem = "invalid";
  bool is_cut = false;  ///< the peer stops in the middle: no answer, or 400
};

class HostileTest : public KioskTest {
 protected:
  void SetUp() override {
    KioskTest::SetUp();
    open();
    fill();
    other_ = start();
    ordered_ = start();
    ASSERT_EQ(put(ordered_, "p1", 2).status, 200);
    ASSERT_EQ(put(ordered_, "p2", 1).status, 200);
    ASSERT_EQ(submit(ordered_, kOtherKey, 699, kCard).status, 201);
    ASSERT_TRUE(test::eventually([&] { return order(ordered_).body["status"] == "approved"; }));
    ASSERT_TRUE(test::eventually([&] {
      return ask("POST", order_path() + "/locate", {{"card_token", kCard}}).status == 200;
    }));
  }
  [[nodiscard]] std::string order_path() const { return "/kiosk/v1/orders/" + ordered_.id; }

  [[nodiscard]] std::string target_of(const Call& call) const {
    std::string target = call.pattern;
    for (const auto& [name, value] : {std::pair<std::string, std::string>{"{store_id}", "s1"},
                                      {"{product_id}", "p1"},
                                      {"{cart_id}", cart_.id},
                                      {"{order_id}", ordered_.id}}) {
      const auto at = target.find(name);
      if (at != std::string::npos) target.replace(at, name.size(), value);
    }
    return target;
  }
  [[nodiscard]] CartAt cart_of(const Call& call) const {
    return call.pattern.starts_with(kOrder) ? ordered_ : cart_;
  }
  [[nodiscard]] Wire good(const Call& call) const {
    Wire wire{.method = call.method, .target = target_of(call)};
    if (call.has_token) wire.headers += with(cart_of(call));
    if (call.has_key) wire.headers += "Idempotency-Key: " + kKey + "\r\n";
    if (!call.body.is_null()) {
      wire.type = "Content-Type: application/json\r\n";
      wire.body = call.body.dump();
    }
    return wire;
  }
  [[nodiscard]] Wire with_body(const Call& call, std::string body) const {
    Wire wire = good(call);
    wire.body = std::move(body);
    return wire;
  }

  void spoil_form(const Call& call);
  void spoil_body(const Call& call);
  void spoil_fields(const Call& call);
  void spoil_total(const Call& call);
  void spoil_token(const Call& call);
  void spoil_key(const Call& call);
  void spoil_card(const Call& call);
  void spoil_list(const Call& call);

  void add(std::string what, const Wire& wire, int status = 400, std::string problem = "invalid") {
    trials_.push_back({std::move(what), wire.bytes(), status, std::move(problem)});
  }
  void run(const Call& call);
  void check(const Call& call, const Trial& trial);
  void expect_nothing_done();

  CartAt other_, ordered_;
  std::vector<Trial> trials_;
};

void HostileTest::spoil_form(const Call& call) {
  const std::string whole = good(call).bytes();
  const std::size_t head = good(call).head().size();
  trials_.push_back({"cut in the first line", whole.substr(0, 7), 400, "", true});
  trials_.push_back({"cut in the head", whole.substr(0, head - 3), 400, "", true});
  if (!call.body.is_null())
    trials_.push_back({"cut in the body", whole.substr(0, whole.size() - 2), 400, "", true});
  trials_.push_back({"no HTTP", "\x16\x03\x01\x02" + whole, 400, ""});
  Wire wire = good(call);
  wire.version = "HTTP/9.9";
  add("another HTTP", wire, 400, "");
  wire = good(call);
  wire.headers += "X: " + std::string(20'000, 'x') + "\r\n";
  add("a huge header", wire, 431, "headers-too-large");
  wire = good(call);
  wire.target += "?x=" + std::string(5'000, 'x');
  add("a huge address", wire, 414, "address-too-long");
  for (const char* bad : {"?x=%ff", "?x=%C0%AF", "?x=%zz", "?x=%00", "?x=a b"}) {
    wire = good(call);
    wire.target += bad;
    add(std::string("address ") + bad, wire, 400, "");
  }
  wire = good(call);
  wire.headers += "X: \xff\xfe\r\n";
  add("a header that is no UTF-8", wire, 400, "");
  wire = good(call);
  wire.method = "PATCH";
  add("another method", wire, 405, "wrong-method");
  wire = good(call);
  wire.target += "/more/more/more";
  add("a longer address", wire, 404, "unknown");
  wire = good(call);
  wire.host = "Host: evil.example\r\n";
  add("another host", wire, 421, "wrong-host");
  wire = good(call);
  wire.host += wire.host;
  add("two hosts", wire, 400, "invalid");
  if (call.method == "GET") return;
  wire = good(call);
  wire.headers += "Origin: http://evil.example\r\n";
  add("another origin", wire, 403, "wrong-origin");
}

void HostileTest::spoil_body(const Call& call) {
  if (call.body.is_null()) return;
  add("a huge body", with_body(call, std::string(70'000, ' ')), 413, "too-large");
  Wire wire = good(call);
  wire.says_length = false;
  wire.body.clear();
  add("no length", wire, 411, "no-length");
  wire.headers += "Content-Length: 99999999999\r\n";
  add("a huge promise", wire, 413, "too-large");
  wire = good(call);
  wire.type = "Content-Type: text/plain\r\n";
  add("no JSON by its type", wire, 415, "not-json");
  const std::string text = good(call).body;
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("[]"), std::string("7"),
        std::string("\"text\""), std::string(60'000, '['), text.substr(0, text.size() - 1),
        text.substr(0, text.size() / 2), text + text, "[" + text + "]", text + std::string(1, '\0'),
        std::string("\xff\xfe{}"), std::string("{\"card_token\":\"\xff\"}"),
        std::string("{\"quantity\":1e400}"), std::string("{'quantity':1}")}) {
    add("body " + body.substr(0, 40), with_body(call, body));
  }
}

void HostileTest::spoil_fields(const Call& call) {
  if (call.body.is_null()) return;
  json more = call.body;
  more["more"] = 1;
  add("a field more", with_body(call, more.dump()));
  std::string twice = call.body.dump();
  twice.replace(twice.size() - 1, 1, "," + call.body.dump().substr(1));
  add("fields twice", with_body(call, twice));
  for (const auto& [field, value] : call.body.items()) {
    const bool is_optional = call.optional.contains(field);
    std::vector<json> wrong = {json::array(), json::array({value}),   json::object(), true,
                               1.5,           std::string(5'000, 'x')};
    if (!is_optional) wrong.emplace_back(nullptr);
    if (value.is_string()) {
      wrong.insert(wrong.end(),
                   {json(7), json(""), json(" "), json(std::string("a\0b", 3)), json("a\nb"),
                    json("a\x7f"
                         "b")});
    } else {
      wrong.insert(wrong.end(),
                   {json("3"), json(-1), json(100'001), json(1e3), json(std::uint64_t{1} << 63)});
    }
    for (const json& bad : wrong) {
      json body = call.body;
      body[field] = bad;
      add(field + " = " + bad.dump().substr(0, 40), with_body(call, body.dump()));
    }
    if (is_optional) continue;
    json less = call.body;
    less.erase(field);
    add("no " + field, with_body(call, less.dump()));
  }
}

void HostileTest::spoil_total(const Call& call) {
  if (!call.body.is_object() || !call.body.contains("confirmed_total")) return;
  for (const json& bad :
       {json{{"minor", 699}}, json{{"currency", "GBP"}},
        json{{"minor", "699"}, {"currency", "GBP"}}, json{{"minor", 699.5}, {"currency", "GBP"}},
        json{{"minor", 699}, {"currency", "gbp"}}, json{{"minor", 699}, {"currency", "POUNDS"}},
        json{{"minor", 699}, {"currency", 1}}, json{{"minor", INT64_MAX}, {"currency", "GBP"}},
        json{{"minor", 699}, {"currency", "GBP"}, {"more", 1}}}) {
    json body = call.body;
    body["confirmed_total"] = bad;
    add("confirmed_total = " + bad.dump(), with_body(call, body.dump()));
  }
  for (const json& other :
       {json{{"minor", 698}, {"currency", "GBP"}}, json{{"minor", -699}, {"currency", "GBP"}},
        json{{"minor", 699}, {"currency", "EUR"}}}) {
    json body = call.body;
    body["confirmed_total"] = other;
    add("confirmed_total = " + other.dump(), with_body(call, body.dump()), 409, "stale-total");
  }
}

void HostileTest::spoil_token(const Call& call) {
  if (!call.has_token) return;
  const std::string token = cart_of(call).token;
  const std::string changed = (token.front() == '0' ? "1" : "0") + token.substr(1);
  for (const std::string& wrong :
       {std::string(), "Cart-Token: " + other_.token + "\r\n", std::string("Cart-Token: \r\n"),
        "Cart-Token: " + token.substr(1) + "\r\n", "Cart-Token: " + token + "0\r\n",
        "Cart-Token: " + changed + "\r\nCart-Token: " + token + "\r\n",
        "Cart-Token: " + std::string(10'000, '0') + "\r\n",
        std::string("Cart-Token: ' or 1=1\r\n")}) {
    Wire wire = good(call);
    wire.headers = wrong + (call.has_key ? "Idempotency-Key: " + kKey + "\r\n" : "");
    add("token " + wrong.substr(0, 40), wire, 403, "wrong-token");
  }
  Wire wire = good(call);
  const std::string& id = cart_of(call).id;
  wire.target.replace(wire.target.find(id), id.size(), "nobody");
  add("nobody's", wire, 403, "wrong-token");
}

void HostileTest::spoil_key(const Call& call) {
  if (!call.has_key) return;
  for (const std::string& wrong : {std::string("short"), std::string(129, 'k'), std::string(" "),
                                   std::string("0123456789 012345"),
                                   std::string("0123456789\xC3\xA4"
                                               "012345")}) {
    Wire wire = good(call);
    wire.headers =
        (call.has_token ? with(cart_of(call)) : "") + "Idempotency-Key: " + wrong + "\r\n";
    add("key " + wrong, wire);
  }
  if (call.body.is_null()) return;
  Wire wire = good(call);
  wire.headers = with(cart_of(call));
  add("no key", wire);
}

void HostileTest::spoil_card(const Call& call) {
  if (!call.has_card) return;
  json body = call.body;
  body["card_token"] = "tok_other";
  add("another card", with_body(call, body.dump()), 403, "wrong-card");
  Wire wire = with_body(call, body.dump());
  wire.headers += with(other_);
  add("another card and another cart's token", wire, 403, "wrong-card");
  wire.headers = with(ordered_);
  add("another card once it is approved", wire, 403, "wrong-card");
  wire = good(call);
  wire.target.replace(wire.target.find(ordered_.id), ordered_.id.size(), "nobody");
  add("nobody's order", wire, 403, "wrong-card");
  wire = good(call);
  wire.target.replace(wire.target.find(ordered_.id), ordered_.id.size(), cart_.id);
  add("a cart that is no order", wire, 403, "wrong-card");
}

void HostileTest::spoil_list(const Call& call) {
  if (!call.is_list) return;
  for (const char* bad :
       {"limit=0", "limit=-1", "limit=201", "limit=1x", "limit=", "limit=99999999999999999999",
        "limit=1.5", "cursor=%21%21", "cursor=' or 1=1", "cursor=%2e%2e%2f"}) {
    Wire wire = good(call);
    wire.target += std::string("?") + bad;
    add(bad, wire, 400, "");
  }
  Wire wire = good(call);
  wire.target += "?cursor=" + std::string(2'000, 'x');
  add("a huge cursor", wire, 400, "invalid");
}

void HostileTest::check(const Call& call, const Trial& trial) {
  SCOPED_TRACE(call.method + " " + call.pattern + ": " + trial.what);
  RawClient client(mall_->kiosk().port());
  client.say(trial.bytes);
  if (trial.is_cut) client.say_no_more();
  const RawAnswer answer = client.answer();
  EXPECT_EQ(answer.body.find("secret"), std::string::npos);
  EXPECT_EQ(answer.body.find(kPhone), std::string::npos);
  if (trial.is_cut) {
    EXPECT_TRUE(answer.status == 0 || answer.status == 400) << answer.status;
    return;
  }
  EXPECT_EQ(answer.status, trial.status) << answer.body;
  EXPECT_TRUE(answer.has("application/problem+json"));
  const json body = json::parse(answer.body, nullptr, false);
  ASSERT_TRUE(body.is_object()) << answer.body;
  EXPECT_EQ(body.value("status", 0), answer.status);
  for (const char* field : {"type", "title", "detail", "remedy"})
    EXPECT_FALSE(body.value(field, "").empty()) << field;
  if (trial.problem.empty()) return;
  EXPECT_EQ(body.value("type", ""), "urn:mallbots:problem:" + trial.problem) << body;
}

void HostileTest::expect_nothing_done() {
  const Told cart = ask("GET", path_of(cart_), nullptr, with(cart_));
  EXPECT_EQ(cart.body["state"], "open");
  EXPECT_EQ(cart.body["total"]["minor"], 699);
  EXPECT_EQ(cart.body["items"].size(), 2U);
  const Told seen = order(ordered_);
  EXPECT_EQ(seen.body["status"], "approved");
  EXPECT_EQ(seen.body["paid"], false);
  EXPECT_EQ(at_the_bank_minor(), 699);
}

void HostileTest::run(const Call& call) {
  trials_.clear();
  spoil_form(call);
  spoil_body(call);
  spoil_fields(call);
  spoil_total(call);
  spoil_token(call);
  spoil_key(call);
  spoil_card(call);
  spoil_list(call);
  for (const Trial& trial : trials_) check(call, trial);
  SCOPED_TRACE(call.method + " " + call.pattern);
  expect_nothing_done();
}

TEST(HostileCalls, AreAllThatThereAre) {
  Kiosk kiosk{KioskParts{}};  // nobody is asked here
  gateways::Router router = kiosk.routes();
  add_pages(router);
  std::set<std::string> routes;
  for (const gateways::Route& route : router.routes()) {
    if (!route.pattern.starts_with("/kiosk/")) continue;
    routes.insert(std::string(gateways::name_of(route.method)) + " " + route.pattern);
  }
  std::set<std::string> tried;
  for (const Call& call : kCalls) tried.insert(call.method + " " + call.pattern);
  EXPECT_EQ(tried, routes);
}

TEST_F(HostileTest, EverySpoiledRequestIsRefusedInItsWordsAndNothingIsDone) {
  for (const Call& call : kCalls) run(call);
}

TEST_F(HostileTest, ReplayedKeysGiveTheFirstOutcomeOrAreRefused) {
  ASSERT_EQ(submit(ordered_, kOtherKey, 699, kCard).status, 201);
  const std::string path = path_of(ordered_) + "/submit";
  const std::string headers = with(ordered_) + "Idempotency-Key: " + kOtherKey + "\r\n";
  for (const auto& [field, value] : {std::pair<std::string, json>{"phone", "+44 1234 567891"},
                                     {"name", "Bob"},
                                     {"card_token", "tok_other"},
                                     {"confirmed_total", {{"minor", 700}, {"currency", "GBP"}}}}) {
    json body = kSubmit;
    body[field] = value;
    const Told told = ask("POST", path, body, headers);
    EXPECT_EQ(told.status, 422) << field;
    EXPECT_EQ(told.problem(), "key-reused") << field;
  }
  EXPECT_EQ(submit(ordered_, kKey, 699, kCard).problem(), "wrong-state");
  EXPECT_EQ(submit(ordered_, kKey, 699, kCard).problem(), "wrong-state");
  expect_nothing_done();
}

TEST_F(HostileTest, WhatIsOverCannotBeChanged) {
  const CartAt gone = start();
  ASSERT_EQ(put(gone, "p1", 1).status, 200);
  ASSERT_EQ(ask("DELETE", path_of(gone), nullptr, with(gone)).status, 200);
  for (const auto& [cart, state] : {std::pair{gone, "canceled"}, {ordered_, "checked_out"}}) {
    SCOPED_TRACE(state);
    const std::string path = path_of(cart);
    EXPECT_EQ(put(cart, "p1", 5).problem(), "wrong-state");
    EXPECT_EQ(ask("DELETE", path + "/items/p1", nullptr, with(cart)).problem(), "wrong-state");
    EXPECT_EQ(ask("POST", path + "/review", nullptr, with(cart)).problem(), "wrong-state");
    EXPECT_EQ(submit(cart, kKey, 250).problem(), "wrong-state");
    EXPECT_EQ(ask("GET", path, nullptr, with(cart)).body["state"], state);
  }
  EXPECT_EQ(ask("DELETE", path_of(ordered_), nullptr, with(ordered_)).problem(), "wrong-state");
  EXPECT_EQ(submit(other_, kKey, 0).problem(), "wrong-state");  // empty
  expect_nothing_done();

  const json card = {{"card_token", kCard}};
  Told told;
  ASSERT_TRUE(test::eventually([&] {
    told = ask("POST", order_path() + "/pay", card);
    return told.status == 200;
  })) << told.body;
  EXPECT_EQ(ask("POST", order_path() + "/pay", card).status, 200);
  EXPECT_EQ(at_the_bank_minor(), 699);
  EXPECT_EQ(ask("POST", order_path() + "/cancel", card).status, 200);
  EXPECT_EQ(ask("POST", order_path() + "/cancel", card).status, 200);
  EXPECT_EQ(order(ordered_).body["status"], "cancelled");
  EXPECT_TRUE(test::eventually([&] { return at_the_bank_minor() == 0; })) << at_the_bank_minor();
  EXPECT_TRUE(test::eventually([&] {
    told = ask("POST", order_path() + "/pay", card);
    return told.problem() == "wrong-state";
  })) << told.status
      << told.body;
  EXPECT_EQ(at_the_bank_minor(), 0);
}

TEST_F(HostileTest, BytesAtRandomNeverStopTheKiosk) {
  std::mt19937 random(7);
  for (const Call& call : kCalls) {
    const std::string whole = good(call).bytes();
    for (int turn = 0; turn < 40; ++turn) {
      std::string bytes = whole;
      for (int change = 0; change < 3; ++change) {
        const std::size_t at = random() % bytes.size();
        const std::size_t kind = random() % 3;
        if (kind == 0) bytes[at] = static_cast<char>(random());
        if (kind == 1) bytes.erase(at, random() % 8);
        if (kind == 2) bytes.insert(at, random() % 8, static_cast<char>(random()));
      }
      RawClient client(mall_->kiosk().port());
      client.say(bytes);
      client.say_no_more();
      EXPECT_LT(client.answer().status, 500) << call.pattern << " turn " << turn;
    }
  }
  EXPECT_EQ(ask("GET", "/kiosk/v1/health").status, 200);
  EXPECT_EQ(ask("GET", path_of(other_), nullptr, with(other_)).status, 200);
}

}  // namespace
}  // namespace mallbots::kiosk
