#include "services/gateways/admin/api.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "services/gateways/admin/commands.h"
#include "services/runtime/text.h"
#include "tests/services/gateways/admin/api_fixture.h"

namespace mallbots::admin {
namespace {

using gateways::Pairs;

std::string_view type_of(const gateways::Response& response, std::string& keep) {
  keep = json::parse(response.body).value("type", "");
  return std::string_view(keep).substr(keep.rfind(':') + 1);
}
#define EXPECT_PROBLEM(response, code, name)           \
  do {                                                 \
    const auto problem_ = (response);                  \
    std::string keep_;                                 \
    EXPECT_EQ(problem_.status, code) << problem_.body; \
    EXPECT_EQ(type_of(problem_, keep_), name);         \
  } while (false)

TEST_F(Admin, EveryCallAnswersEveryRoleAsTheTableSays) {
  for (const Call& call : api_.calls()) {
    if (!call.permission) continue;
    std::string path = call.path;
    for (std::size_t at; (at = path.find('{')) != std::string::npos;) {
      const std::size_t end = path.find('}');
      const bool is_store = path.substr(at, end - at) == "{store";
      path.replace(at, end - at + 1, is_store ? "s1" : "o1");
    }
    const Asked asked{call.method, path};  // commands lack their key: 400, once they may
    EXPECT_PROBLEM(ask("", asked), 401, "not-signed-in");
    EXPECT_PROBLEM(ask(std::string(64, 'a'), asked), 401, "not-signed-in");
    for (const auto& [role, cookie] : cookies_) {
      if (path == "/session" && call.method == Method::kDelete) continue;
      const gateways::StaffMember member{"x", {role}, {}};
      const bool may = scope_of(member, *call.permission) != gateways::Scope::kNone;
      const int status = ask(cookie, asked).status;
      EXPECT_EQ(status != 403, may) << path << " " << name_of(role) << " " << status;
      EXPECT_NE(status, 401) << path;
    }
  }
}

TEST_F(Admin, EverySocketTopicAnswersEveryRoleAsTheTableSays) {
  for (const auto& topic : gateways::socket_topics()) {
    const std::string name = topic.name == "order:ID" ? "order:o1" : std::string(topic.name);
    for (const auto& [role, cookie] : cookies_) {
      std::unique_ptr<gateways::SocketHandler> socket;
      const auto peer = watch(role, socket);
      socket->on_text(json{{"op", "subscribe"}, {"topic", name}}.dump());
      const bool may = scope_of({"x", {role}, {}}, topic.permission) != gateways::Scope::kNone;
      const json refused = peer->last("refused");
      EXPECT_EQ(refused.is_null(), may) << name << " " << name_of(role);
      EXPECT_EQ(peer->last("snapshot").is_null(), !may);
      if (!may) {
        EXPECT_EQ(refused["problem"]["status"], 403);
      }
      socket->on_close();
    }
  }
}

TEST_F(Admin, CallsAreTheDocumentsCalls) {
  const json document = json::parse(open_api());
  std::set<std::string> documented;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, said] : methods.items()) documented.insert(method + " " + path);
  }
  documented.erase("get /admin/v1/socket");
  std::set<std::string> in_code;
  for (const Call& call : api_.calls()) {
    std::string method(gateways::name_of(call.method));
    for (char& c : method) c = static_cast<char>(std::tolower(c));
    const std::string path = std::string(kPrefix) + call.path;
    in_code.insert(method + " " + path);
    const json& said = document["paths"][path][method];
    const std::string permission =
        call.permission ? std::string(name_of(*call.permission)) : std::string();
    EXPECT_EQ(said.value("x-permission", ""), permission) << path;
    bool needs_key = false;
    for (const json& one : said.value("parameters", json::array())) {
      needs_key |= one.value("$ref", "") == "#/components/parameters/IdempotencyKey";
    }
    EXPECT_EQ(needs_key, call.is_command) << method << " " << path;
    EXPECT_EQ(said.contains("requestBody"), call.body == gateways::Body::kJson) << path;
  }
  // Those of operations need a broker: operations' own test holds them.
  std::erase_if(documented, [](const std::string& one) { return one.contains("/operations/"); });
  EXPECT_EQ(in_code, documented);
}

TEST_F(Admin, ReasonIsAsLongAsTheRulesAllow) {
  const json paths = json::parse(open_api())["paths"];
  for (const std::string path :
       {"/stores/{store}/participation-denial", "/orders/{order}/cancellation"}) {
    const json& said = paths[std::string(kPrefix) + path]["post"]["requestBody"]["content"]
                            ["application/json"]["schema"];
    EXPECT_EQ(said["properties"]["reason"]["maxLength"], kMaxReasonBytes) << path;
  }
}

TEST_F(Admin, SignsInByLinkAndOut) {
  const std::string link = staff_.make_link("depot-staff").value();
  const Asked asked{Method::kPost, "/session", json{{"link", link}}.dump()};
  const auto response = ask("", asked);
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(json::parse(response.body)["roles"][0], "depot-staff");
  std::string cookie;
  for (const auto& [name, value] : response.headers) {
    if (name == "Set-Cookie") cookie = value;
  }
  EXPECT_NE(cookie.find("HttpOnly"), std::string::npos);
  EXPECT_NE(cookie.find("SameSite=Strict"), std::string::npos);
  const std::string token = cookie.substr(cookie.find('=') + 1, 64);
  EXPECT_EQ(ask(token, {Method::kGet, "/session"}).status, 200);
  EXPECT_PROBLEM(ask("", asked), 401, "wrong-sign-in");
  EXPECT_EQ(ask(token, {Method::kDelete, "/session"}).status, 204);
  EXPECT_PROBLEM(ask(token, {Method::kGet, "/session"}), 401, "not-signed-in");
}

TEST_F(Admin, GuessingIsHeldBack) {
  const Asked guess{Method::kPost, "/session", R"({"name":"dora","password":"guess-guess"})"};
  for (std::size_t i = 0; i < gateways::SignInLimit::kWrongOfName; ++i) {
    EXPECT_EQ(ask("", guess).status, 401);
  }
  EXPECT_PROBLEM(ask("", guess), 429, "too-many");
}

TEST_F(Admin, ForeignOriginChangesNothing) {
  Asked asked{Method::kPost, "/pickup/orders/o1/release", "", key(), "http://evil.example"};
  EXPECT_PROBLEM(ask(Role::kDepotStaff, asked), 403, "wrong-origin");
  asked.origin = std::string("https://") + kHost;
  EXPECT_PROBLEM(ask(Role::kDepotStaff, asked), 403, "wrong-origin");
  EXPECT_EQ(contexts_.orders.released, 0);
  std::unique_ptr<gateways::SocketHandler> socket;
  EXPECT_EQ(watch(Role::kDepotStaff, socket, "http://evil.example"), nullptr);
  asked.origin = "";  // a program
  EXPECT_EQ(ask(Role::kDepotStaff, asked).status, 200);
}

TEST_F(Admin, StoreOwnerSeesOwnStoresOnly) {
  const auto stores = json::parse(ask(Role::kStoreOwner, {Method::kGet, "/stores"}).body);
  ASSERT_EQ(stores["stores"].size(), 1U);
  EXPECT_EQ(stores["stores"][0]["id"], "s1");
  EXPECT_EQ(json::parse(ask(Role::kStoreAdmin, {Method::kGet, "/stores"}).body)["stores"].size(),
            2U);
  EXPECT_EQ(ask(Role::kStoreOwner, {Method::kGet, "/stores/s1"}).status, 200);
  EXPECT_PROBLEM(ask(Role::kStoreOwner, {Method::kGet, "/stores/s2"}), 404, "unknown");
  EXPECT_PROBLEM(
      ask(Role::kStoreOwner, {Method::kPost, "/stores/s2/participation-request", "", key()}), 404,
      "unknown");
  // A product of another store under the address of one's own.
  contexts_.stores.stores["s3"].set_id("s3");
  ASSERT_TRUE(staff_.give_store("store-owner", "s3"));
  EXPECT_PROBLEM(ask(Role::kStoreOwner, {Method::kDelete, "/stores/s3/products/p1", "", key()}),
                 404, "unknown");
}

TEST_F(Admin, StoreIsMadeOnceAndItsMakerOwnsItAndNoOther) {
  const Asked asked{Method::kPost, "/stores", R"({"name":"Bakery","location":"3,4"})", key()};
  const auto first = ask(Role::kStoreOwner, asked);
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(ask(Role::kStoreOwner, asked).body, first.body);
  EXPECT_EQ(contexts_.stores.created, 1);
  const std::string id = json::parse(first.body)["id"];
  EXPECT_EQ(ask(Role::kStoreOwner, {Method::kGet, "/stores/" + id}).status, 200);
  Asked other = asked;
  other.body = R"({"name":"Butcher","location":"3,4"})";
  EXPECT_PROBLEM(ask(Role::kStoreOwner, other), 422, "key-reused");
  other = {Method::kPost, "/stores", R"({"id":"s2","name":"Tea","location":"1,1"})", key()};
  EXPECT_PROBLEM(ask(Role::kStoreOwner, other), 400, "invalid");
  EXPECT_PROBLEM(ask(Role::kStoreOwner, {Method::kGet, "/stores/s2"}), 404, "unknown");
}

TEST_F(Admin, ScriptIsDataAndRefusalsAreTheDomainsSentence) {
  const auto store = json::parse(ask(Role::kStoreAdmin, {Method::kGet, "/stores/s1"}).body);
  EXPECT_EQ(store["name"], "<script>alert('s1')</script>");
  contexts_.stores.stores["s1"].set_participation("participating");
  const auto refused =
      ask(Role::kStoreOwner, {Method::kPost, "/stores/s1/participation-request", "", key()});
  EXPECT_PROBLEM(refused, 409, "wrong-state");
  EXPECT_EQ(json::parse(refused.body)["detail"], "store s1 takes part already");
}

TEST_F(Admin, KeysAndBodiesAreChecked) {
  Asked asked{Method::kPost, "/pickup/orders/o1/payment", R"({"by":"card"})"};
  for (const std::string& bad : {std::string(), std::string("short"), std::string(129, 'k'),
                                 std::string("has spaces in it ...")}) {
    asked.key = bad;
    EXPECT_PROBLEM(ask(Role::kDepotStaff, asked), 400, "invalid");
  }
  for (const std::string bad :
       {"", "{", "[]", "7", R"({"by":7})", R"({"by":"gold"})", R"({"by":"card","more":1})",
        "{\"by\":\"\xff\xfe\"}", R"({"by":null})"}) {
    asked.body = bad;
    asked.key = key();
    EXPECT_PROBLEM(ask(Role::kDepotStaff, asked), 400, "invalid");
  }
  for (const std::string limit : {"0", "201", "-1", "x", "99999999999999999999"}) {
    Request request{.query = {{"limit", limit}}};
    EXPECT_FALSE(page_of(request)) << limit;
  }
  EXPECT_EQ(contexts_.payments.paid, 0);
}

TEST_F(Admin, KeyUsedAgainAfterANewStartIsNotTakenForTheCommandThatItCameWith) {
  const std::string used = key();
  const auto cancel = [&](const std::string& reason) {
    order("o1", "ready", "paid");
    Api api({.channels = [this](const std::string&) { return contexts_.channel(); },
             .staff = &staff_,
             .board = &board_,
             .freshness = [] { return gateways::Freshness{}; },
             .plan = R"({"name":"m"})",
             .log = [](const auto&) {},
             .clock = &clock_});
    router_ = {};
    api.add_to(router_);
    const json body = {{"reason", reason}};
    EXPECT_EQ(ask(Role::kDepotAdmin, {Method::kPost, "/orders/o1/cancellation", body.dump(), used})
                  .status,
              200);
    return contexts_.orders.cancel_requests.back();
  };
  const std::string first = cancel("the store burnt down");
  EXPECT_EQ(cancel("the store burnt down"), first);
  EXPECT_NE(cancel("the customer asked"), first);
}

TEST_F(Admin, PickupTellsTheAdjustmentAndMasksTheNumber) {
  order("o2", "ready", "pending");
  const auto pickup = json::parse(ask(Role::kDepotStaff, {Method::kGet, "/pickup/orders/o2"}).body);
  EXPECT_EQ(pickup["order"]["invoice"]["adjustment"]["minor"], -200);
  EXPECT_EQ(pickup["can_pay"], true);
  EXPECT_EQ(pickup["can_release"], false);
  EXPECT_EQ(pickup["customer"]["sms_number"].get<std::string>().find("1234567"), std::string::npos);
  EXPECT_EQ(pickup["customer"]["name"], "<img src=x onerror=alert(1)>");
  EXPECT_EQ(contexts_.orders.last_actor, "staff:depot-staff");
  EXPECT_PROBLEM(ask(Role::kDepotStaff,
                     {Method::kPost, "/pickup/orders/o2/payment", R"({"by":"tin"})", key()}),
                 400, "invalid");
}

TEST_F(Admin, TwoAtTheSamePickupMakeOneEffectAndTheOtherIsTold) {
  for (int round = 0; round < 20; ++round) {
    const std::string id = "r" + std::to_string(round);
    order(id, "ready", "paid");
    const int before = contexts_.orders.released;
    std::vector<int> statuses(8);
    {
      std::vector<std::jthread> staff;
      for (int& status : statuses) {
        const Asked asked{Method::kPost, "/pickup/orders/" + id + "/release", "", key()};
        const Role role = (keys_ % 2) != 0 ? Role::kDepotStaff : Role::kDepotAdmin;
        staff.emplace_back([&, asked, role] { status = ask(role, asked).status; });
      }
    }
    EXPECT_EQ(std::ranges::count(statuses, 200), 1);
    EXPECT_EQ(std::ranges::count(statuses, 409), 7);
    EXPECT_EQ(contexts_.orders.released, before + 1);
  }
  const auto told = ask(Role::kDepotStaff, {Method::kPost, "/pickup/orders/r0/release", "", key()});
  EXPECT_PROBLEM(told, 409, "done-already");
}

TEST_F(Admin, SameKeyAtOnceIsOneCommandWithOneAnswer) {
  order("o3", "ready", "pending");
  const Asked asked{Method::kPost, "/pickup/orders/o3/payment", R"({"by":"cash"})", key()};
  std::vector<std::string> bodies(6);
  {
    std::vector<std::jthread> threads;
    for (auto& body : bodies) {
      threads.emplace_back([&] { body = ask(Role::kDepotStaff, asked).body; });
    }
  }
  EXPECT_EQ(contexts_.payments.paid, 1);
  EXPECT_EQ(std::set<std::string>(bodies.begin(), bodies.end()).size(), 1U);
  Asked again = asked;
  again.key = key();
  EXPECT_PROBLEM(ask(Role::kDepotAdmin, again), 409, "done-already");
}

TEST_F(Admin, IllegalTransitionsAreTheDomainsAndMayBeTriedAgain) {
  order("o4", "approved", "paid");
  const Asked asked{Method::kPost, "/pickup/orders/o4/release", "", key()};
  const auto refused = ask(Role::kDepotStaff, asked);
  EXPECT_PROBLEM(refused, 409, "wrong-state");
  EXPECT_EQ(json::parse(refused.body)["detail"], "order o1 is approved, not ready");
  order("o4", "ready", "paid");
  EXPECT_EQ(ask(Role::kDepotStaff, {Method::kPost, "/pickup/orders/o4/release", "", key()}).status,
            200);
  EXPECT_PROBLEM(ask(Role::kDepotAdmin, {Method::kPost, "/orders/o4/cancellation",
                                         R"({"reason":"changed their mind"})", key()}),
                 409, "wrong-state");
  EXPECT_PROBLEM(ask(Role::kDepotStaff, {Method::kGet, "/pickup/orders/nobody"}), 404, "unknown");
}

TEST_F(Admin, ContextThatIsAwayIs503AndTheKeyMayBeUsedAgain) {
  const Asked search{Method::kGet, "/orders"};
  EXPECT_EQ(ask(Role::kDepotStaff, search).status, 503);
  const Asked count{Method::kPost, "/depot/lists/l1/inventory", R"({"counted":[]})", key()};
  EXPECT_EQ(ask(Role::kDepotStaff, count).status, 503);
  EXPECT_EQ(ask(Role::kDepotStaff, count).status, 503);
}

TEST_F(Admin, SocketSurvivesWhatIsNoMessage) {
  for (const std::string bad :
       {"", "{", "[]", "7", "{}", R"({"op":7})", R"({"op":"eval","topic":"orders"})",
        R"({"op":"subscribe"})", R"({"op":"subscribe","topic":7})",
        R"({"op":"subscribe","topic":"orders","last":-1})",
        R"({"op":"subscribe","topic":"orders","filter":{"store":7}})",
        R"({"op":"subscribe","topic":"orders","filter":{"x":"y"}})"}) {
    std::unique_ptr<gateways::SocketHandler> socket;
    const auto peer = watch(Role::kDepotStaff, socket);
    socket->on_text(bad);
    EXPECT_EQ(peer->closed, gateways::kCloseMalformed) << bad;
  }
  std::unique_ptr<gateways::SocketHandler> socket;
  const auto peer = watch(Role::kDepotStaff, socket);
  socket->on_text(R"({"op":"subscribe","topic":"nothing"})");
  EXPECT_EQ(peer->last("refused")["problem"]["status"], 404);
  for (int i = 0; i < 100; ++i) {
    socket->on_text(json{{"op", "subscribe"}, {"topic", "order:" + std::to_string(i)}}.dump());
  }
  EXPECT_EQ(peer->last("refused")["problem"]["status"], 429);
  EXPECT_EQ(peer->closed, 0);
}

TEST_F(Admin, StuckViewerHoldsUpNobodyAndMissesNothing) {
  std::unique_ptr<gateways::SocketHandler> stuck_socket;
  std::unique_ptr<gateways::SocketHandler> socket;
  const auto stuck = watch(Role::kDepotAdmin, stuck_socket);
  const auto lively = watch(Role::kDepotAdmin, socket);
  const std::string ops = R"({"op":"subscribe","topic":"ops"})";
  stuck_socket->on_text(ops);
  socket->on_text(ops);
  stuck->is_stuck = true;
  for (int i = 0; i < 2'000; ++i) {
    board_.put_ops("topic:t" + std::to_string(i % 10),
                   json{{"id", "topic:t" + std::to_string(i % 10)}, {"n", i}}.dump());
    if (i % 100 == 0) {
      stuck_socket->on_room();
      socket->on_room();
    }
  }
  socket->on_room();
  EXPECT_GE(lively->told.size(), 20U);
  EXPECT_EQ(stuck->told.size(), 2U);  // hello and the empty snapshot
  stuck->is_stuck = false;
  stuck_socket->on_room();
  const json missed =
      stuck->last("delta").is_null() ? stuck->last("snapshot") : stuck->last("delta");
  ASSERT_EQ(missed["rows"].size(), 10U);
  for (const json& row : missed["rows"]) EXPECT_GE(row["n"], 1'990);
}

TEST_F(Admin, CutSocketGoesOnWhereItWas) {
  std::unique_ptr<gateways::SocketHandler> socket;
  auto peer = watch(Role::kDepotAdmin, socket);
  board_.put_ops("a", R"({"id":"a"})");
  socket->on_text(R"({"op":"subscribe","topic":"ops"})");
  const json first = peer->last("snapshot");
  socket->on_close();
  board_.put_ops("b", R"({"id":"b"})");
  board_.remove_ops("a");
  peer = watch(Role::kDepotAdmin, socket);
  socket->on_text(
      json{{"op", "subscribe"}, {"topic", "ops"}, {"run", first["run"]}, {"last", first["to"]}}
          .dump());
  const json missed = peer->last("delta");
  EXPECT_EQ(missed["from"], first["to"]);
  EXPECT_EQ(missed["rows"].size(), 1U);
  EXPECT_EQ(missed["removed"][0], "a");
  socket->on_text(R"({"op":"subscribe","topic":"ops","run":"another","last":2})");
  EXPECT_FALSE(peer->last("snapshot").is_null());
}

TEST(Viewer, IsClosedWhenSilentOrSignedOut) {
  toolkit::ManualClock clock;
  gateways::Board board("run");
  const gateways::StaffMember dora{"dora", {Role::kDepotStaff}, {}};
  gateways::Viewer viewer(board, dora, clock);
  const auto peer = std::make_shared<Peer>();
  viewer.open(peer);
  viewer.beat(dora, {true, "no broker"});
  EXPECT_EQ(peer->last("heartbeat")["stale"], true);
  EXPECT_EQ(peer->last("heartbeat")["why"], "no broker");
  clock.advance_ms(gateways::kSilenceMs);
  viewer.take(R"({"op":"heartbeat"})");
  clock.advance_ms(gateways::kSilenceMs);
  viewer.beat(dora, {});
  EXPECT_EQ(peer->closed, 0);
  clock.advance_ms(1);
  viewer.beat(dora, {});
  EXPECT_EQ(peer->closed, gateways::kCloseSilent);
  viewer.beat(std::nullopt, {});
  EXPECT_EQ(peer->closed, gateways::kCloseSignedOut);
}

}  // namespace
}  // namespace mallbots::admin
