// What nobody should send, to every call of openapi.json, in a whole mall: the right status and
// sentence, no failure of the gateway, and no record in any log.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "services/gateways/admin/permissions.h"
#include "tests/services/gateways/admin/admin_mall.h"

namespace mallbots::test {
namespace {

using gateways::Role;
using nlohmann::json;

constexpr const char* kSocket = "/admin/v1/socket";

/// A body that is right, and some that are not: the call's own rules, beside those for all.
struct Bodies {
  std::string good;
  std::vector<std::string> bad;
};

std::string long_text(std::size_t size) { return '"' + std::string(size, 'x') + '"'; }

/// Each wrong type of a text field named `name`; `rest` are the other fields, with a comma.
std::vector<std::string> bad_texts(const std::string& name, const std::string& rest = {}) {
  std::vector<std::string> bodies;
  for (const std::string& value :
       {std::string("7"), std::string("true"), std::string("[]"), std::string("{}"),
        std::string("\"\""), std::string("\"a\\u0000b\""), std::string("\"\\ud800\""),
        long_text(100'000)}) {
    bodies.push_back("{" + rest + "\"" + name + "\":" + value + "}");
  }
  return bodies;
}

std::vector<std::string> joined(std::vector<std::string> all,
                                const std::vector<std::string>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<std::string> bad_prices(const std::string& rest = {}) {
  std::vector<std::string> bodies;
  for (const char* price :
       {"7", "\"7\"", "null", "[]", "{}", R"({"minor":1})", R"({"minor":"1","currency":"GBP"})",
        R"({"minor":1.5,"currency":"GBP"})", R"({"minor":1e300,"currency":"GBP"})",
        R"({"minor":9223372036854775808,"currency":"GBP"})", R"({"minor":-1,"currency":"GBP"})",
        R"({"minor":1,"currency":"XXXX"})", R"({"minor":1,"currency":"GBP","more":1})"}) {
    bodies.push_back("{" + rest + "\"price\":" + price + "}");
  }
  return bodies;
}

std::map<std::string, Bodies> bodies_of_calls() {
  const std::vector<std::string> letters = {
      R"({"all":false})",
      R"({"all":"true"})",
      R"({"ids":[]})",
      R"({"ids":7})",
      R"({"ids":[7]})",
      R"({"ids":["a"],"all":true})",
      json{{"ids", std::vector<std::string>(201, "0-1")}}.dump()};
  return {
      {"POST /session",
       {R"({"link":"no such link"})",
        {R"({"link":7})", R"({"name":"a"})", R"({"link":"a","name":"b","password":"c"})",
         R"({"name":"a","password":7})", "{\"name\":\"a\",\"password\":" + long_text(201) + "}",
         R"({"name":["a"],"password":"b"})"}}},
      {"POST /stores",
       {R"({"name":"New","location":"1,1"})", joined(bad_texts("name", R"("location":"1,1",)"),
                                                     bad_texts("location", R"("name":"New",)"))}},
      {"PATCH /stores/{store}", {R"({"name":"Other"})", bad_texts("name")}},
      {"POST /stores/{store}/participation-denial", {R"({"reason":"no"})", bad_texts("reason")}},
      {"POST /stores/{store}/products",
       {R"({"name":"Cup","sku":"c-1","price":{"minor":1,"currency":"GBP"}})",
        joined(bad_prices(R"("name":"Cup","sku":"c-1",)"),
               bad_texts("name", R"("sku":"c-1","price":{"minor":1,"currency":"GBP"},)"))}},
      {"PATCH /stores/{store}/products/{product}",
       {R"({"name":"Cup","description":"round"})", bad_texts("name", R"("description":"round",)")}},
      {"PUT /stores/{store}/products/{product}/price",
       {R"({"price":{"minor":7,"currency":"GBP"}})", bad_prices()}},
      {"POST /orders/{order}/cancellation", {R"({"reason":"why not"})", bad_texts("reason")}},
      {"POST /depot/lists/{list}/inventory",
       {R"({"counted":[{"product_id":"mug","quantity":2}]})",
        {R"({"counted":{}})", R"({"counted":[7]})", R"({"counted":[{}]})",
         R"({"counted":[{"product_id":"mug","quantity":-1}]})",
         R"({"counted":[{"product_id":"mug","quantity":1e9}]})",
         R"({"counted":[{"product_id":"mug","quantity":99999999999999999999}]})",
         R"({"counted":[{"product_id":7,"quantity":1}]})",
         R"({"counted":[{"product_id":"mug","quantity":1,"more":1}]})"}}},
      {"POST /pickup/search",
       {R"({"number":"o"})",
        {R"({"number":7})", R"({"phone":[]})", R"({"number":"a","phone":"b"})",
         "{\"number\":" + long_text(101) + "}", R"({"number":null,"phone":null})"}}},
      {"POST /pickup/orders/{order}/payment",
       {R"({"by":"card"})", joined(bad_texts("by"), {R"({"by":"gold"})"})}},
      {"PUT /customers/{customer}/enabled",
       {R"({"enabled":false})",
        {R"({"enabled":"true"})", R"({"enabled":1})", R"({"enabled":null})"}}},
      {"PUT /customers/{customer}/number",
       {R"({"number":"+442079460000"})",
        joined(bad_texts("number"), {R"({"number":"call me"})", R"({"number":"+44'; drop"})"})}},
      {"POST /operations/dead-letters/{group}/{topic}/replay", {R"({"all":true})", letters}},
      {"POST /operations/dead-letters/{group}/{topic}/purge", {R"({"all":true})", letters}},
  };
}

/// One call of the document.
struct Documented {
  std::string name;  ///< "POST /stores/{store}"
  std::string permission;
  bool is_command = false;
  bool is_list = false;  ///< has a cursor
  std::vector<std::string> parameters;
  std::string others;  ///< a method that this address does not have
  Asked right;         ///< everything as it should be, but for the session
};

class Hostile : public testing::Test {
 protected:
  void SetUp() override {
    const auto started = mall_.start();
    ASSERT_TRUE(started) << started.error().sentence();
    mall_.open_store();
    ASSERT_FALSE(HasFatalFailure());
    mall_.submit("o1");
    ASSERT_FALSE(HasFatalFailure());
    list_ = mall_.fetch();
    ASSERT_FALSE(HasFatalFailure());
  }

  std::vector<Documented> documented();
  [[nodiscard]] std::string filled(std::string path) const {
    const std::map<std::string, std::string> ids = {
        {"{store}", "s1"},       {"{product}", "mug"},   {"{order}", "o1"},
        {"{list}", list_},       {"{bot}", "b1"},        {"{customer}", mall_.customer()},
        {"{group}", "no-group"}, {"{topic}", "no-topic"}};
    for (const auto& [name, id] : ids) {
      const auto at = path.find(name);
      if (at != std::string::npos) path.replace(at, name.size(), id);
    }
    return path;
  }
  Asked signed_in(Asked asked) const {
    asked.cookie = mall_.everybody();
    return asked;
  }
  void expect(const std::string& what, const Asked& asked, int status, const std::string& name) {
    const RawAnswer answer = mall_.ask(asked);
    EXPECT_EQ(answer.status, status) << what << ": " << answer.body.substr(0, 400);
    if (answer.status < 400 || asked.method == "HEAD") return;
    EXPECT_EQ(problem_of(answer), name) << what << ": " << answer.body.substr(0, 400);
  }
  void expect_invalid(const std::string& what, const Asked& asked) {
    expect(what, asked, 400, "invalid");
  }
  /// Nothing was told to anybody, and the gateway is well.
  void expect_no_record(const std::map<std::string, std::uint64_t>& before) {
    EXPECT_EQ(mall_.records_at_rest(), before);
    EXPECT_EQ(mall_.ask({.path = "/health"}).status, 200);
  }

  AdminMall mall_;
  std::string list_;
};

std::vector<Documented> Hostile::documented() {
  const json document = mall_.see("/openapi.json");
  const auto bodies = bodies_of_calls();
  std::vector<Documented> calls;
  for (const auto& [path, methods] : document["paths"].items()) {
    if (path == kSocket) continue;
    for (const auto& [method, said] : methods.items()) {
      Documented call{.permission = said.value("x-permission", "")};
      std::string word = method;
      std::ranges::transform(word, word.begin(), [](char c) { return std::toupper(c); });
      const std::string behind = path.substr(std::string("/admin/v1").size());
      call.name = word + " " + behind;
      for (const json& one : said.value("parameters", json::array())) {
        call.is_command |= one.value("$ref", "").ends_with("IdempotencyKey");
        call.is_list |= one.value("name", "") == "cursor";
        if (one.value("in", "") == "path") call.parameters.push_back(one["name"]);
      }
      for (const char* other : {"PATCH", "PUT", "DELETE", "POST", "GET"}) {
        std::string small = other;
        std::ranges::transform(small, small.begin(), [](char c) { return std::tolower(c); });
        if (!methods.contains(small)) call.others = other;
      }
      call.right = {.method = word, .path = filled(behind)};
      if (said.contains("requestBody")) call.right.body = bodies.at(call.name).good;
      calls.push_back(call);
    }
  }
  return calls;
}

TEST_F(Hostile, WhoMayNotChangesAndSeesNothing) {
  const auto before = mall_.records_at_rest();
  for (const Documented& call : documented()) {
    Asked asked = call.right;
    if (call.is_command) asked.key = mall_.new_key();
    if (!call.permission.empty()) {
      expect(call.name + ", no session", asked, 401, "not-signed-in");
      asked.cookie = "mallbots_staff=" + std::string(4'000, 'a');
      expect(call.name + ", made-up session", asked, 401, "not-signed-in");
      asked.cookie = "mallbots_staff=../../etc/passwd";
      expect(call.name + ", strange session", asked, 401, "not-signed-in");
      const auto row = std::ranges::find(gateways::permission_table(), call.permission,
                                         &gateways::PermissionRow::name);
      for (std::size_t i = 0; i < gateways::kRoles; ++i) {
        if (row->scopes[i] != gateways::Scope::kNone) continue;
        asked.cookie = mall_.cookie(static_cast<Role>(i));
        expect(call.name + ", wrong role", asked, 403, "forbidden");
      }
      asked.cookie = mall_.everybody();
    }
    if (call.right.method == "GET") continue;
    for (const char* origin : {"http://evil.example", "null", "https://localhost", "localhost"}) {
      asked.origin = origin;
      expect(call.name + ", origin " + origin, asked, 403, "wrong-origin");
    }
  }
  expect_no_record(before);
  EXPECT_EQ(mall_.see("/session")["name"], "everybody");
}

TEST_F(Hostile, AddressesThatAreNoneAreRefused) {
  const auto before = mall_.records_at_rest();
  for (const Documented& call : documented()) {
    Asked asked = signed_in(call.right);
    if (!call.others.empty()) {
      asked.method = call.others;
      expect(call.others + " at " + call.name, asked, 405, "wrong-method");
    }
    for (const std::string& parameter : call.parameters) {
      const auto with = [&](const std::string& value) {
        std::string path = call.name.substr(call.name.find(' ') + 1);
        path.replace(path.find("{" + parameter + "}"), parameter.size() + 2, value);
        Asked other = signed_in(call.right);
        other.path = filled(path);
        if (call.is_command) other.key = mall_.new_key();
        return other;
      };
      expect_invalid(call.name + ", no UTF-8", with("%ff%fe"));
      expect_invalid(call.name + ", broken percent code", with("%z1"));
      expect_invalid(call.name + ", zero byte", with("a%00b"));
      expect(call.name + ", too long", with(std::string(101, 'x')), 404, "unknown");
      expect(call.name + ", nobody", with("nobody-of-that-name"), 404, "unknown");
      expect(call.name + ", path in it", with("..%2f..%2fetc%2fpasswd"), 404, "unknown");
    }
    asked = signed_in(call.right);
    asked.path += "?" + std::string(8'000, 'x');
    expect(call.name + ", long address", asked, 414, "address-too-long");
    asked.path = call.right.path;
    asked.more = "X-Much: " + std::string(20'000, 'x') + "\r\n";
    expect(call.name + ", long header", asked, 431, "headers-too-large");
    asked.more = "X-Bytes: \xff\xfe\r\n";
    expect_invalid(call.name + ", header without UTF-8", asked);
    if (!call.is_list) continue;
    for (const char* query : {"limit=0", "limit=201", "limit=-1", "limit=x", "limit=1.0",
                              "limit=", "limit=99999999999999999999", "cursor=no-cursor",
                              "cursor=%ff", "nothing=1", "limit=1&limit=x%zz"}) {
      asked = signed_in(call.right);
      asked.path += std::string("?") + query;
      expect_invalid(call.name + "?" + query, asked);
    }
    asked.path = call.right.path + "?cursor=" + std::string(2'000, 'A');
    expect_invalid(call.name + ", long cursor", asked);
  }
  expect_no_record(before);
}

TEST_F(Hostile, BodiesThatAreNoneAreRefusedByName) {
  const auto before = mall_.records_at_rest();
  const auto bodies = bodies_of_calls();
  for (const Documented& call : documented()) {
    if (!call.right.body) continue;
    const auto with = [&](const std::string& body) {
      Asked asked = signed_in(call.right);
      if (call.is_command) asked.key = mall_.new_key();
      asked.body = body;
      return asked;
    };
    std::vector<std::string> bad = {"",
                                    " ",
                                    "{",
                                    "[]",
                                    "7",
                                    "null",
                                    "\"text\"",
                                    "{}x",
                                    "{}",
                                    "{\"a\":\xff\xfe}",
                                    "{\"no\\u0020field\":1}",
                                    std::string(3, '\0')};
    bad.push_back(std::string(100'000, '['));
    std::string deep;
    for (int i = 0; i < 20'000; ++i) deep += R"({"name":)";
    bad.push_back(deep + "1" + std::string(20'000, '}'));
    std::string more = bodies.at(call.name).good;
    bad.push_back(more.insert(more.size() - 1, R"(,"__proto__":{"x":1})"));
    bad.push_back(bodies.at(call.name).good.substr(0, bodies.at(call.name).good.size() - 1));
    bad.push_back(bad.back() + "," + bodies.at(call.name).good.substr(1));  // each field twice
    for (const std::string& body : joined(bad, bodies.at(call.name).bad)) {
      expect_invalid(call.name + " " + body.substr(0, 80), with(body));
    }
    Asked asked = with(*call.right.body);
    asked.type = "text/plain";
    expect(call.name + ", text/plain", asked, 415, "not-json");
    asked.type = "";
    expect(call.name + ", no type", asked, 415, "not-json");
    asked = with(*call.right.body);
    asked.body.reset();
    expect(call.name + ", no body", asked, 411, "no-length");
    expect(call.name + ", huge", with("{\"name\":" + long_text(300'000) + "}"), 413, "too-large");
    // Cut off half-way: nobody knows what it should have been.
    RawClient client(mall_.port());
    const std::string whole = with(*call.right.body).text();
    client.say(whole.substr(0, whole.size() - 3));
    client.say_no_more();
    EXPECT_EQ(client.answer().status, 0) << call.name;
  }
  expect_no_record(before);
}

TEST_F(Hostile, KeysThatAreNoneAreRefusedAndOneKeyIsOneRequest) {
  const auto before = mall_.records_at_rest();
  const std::string used = mall_.new_key();
  const Asked first{.method = "POST",
                    .path = "/pickup/orders/nobody/release",
                    .key = used,
                    .cookie = mall_.everybody()};
  expect("the key's own request", first, 404, "unknown");
  for (const Documented& call : documented()) {
    if (!call.is_command) continue;
    Asked asked = signed_in(call.right);
    for (const std::string& key :
         {std::string(), std::string("short"), std::string(129, 'k'),
          std::string("has spaces in it ......"), std::string("k\xc3\xa9y-that-is-not-ascii")}) {
      asked.key = key;
      expect_invalid(call.name + ", key " + key.substr(0, 20), asked);
    }
    asked.key = used;
    expect(call.name + ", another's key", asked, 422, "key-reused");
  }
  expect("the same again", first, 404, "unknown");
  expect_no_record(before);
}

TEST_F(Hostile, BytesThatNeverEndAreCutOff) {
  const auto before = mall_.records_at_rest();
  const std::string head =
      "POST /admin/v1/stores HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Idempotency-Key: " +
      mall_.new_key() + "\r\nCookie: " + mall_.everybody() + "\r\n";
  RawClient chunks(mall_.port());
  chunks.say(head + "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 400; ++i) chunks.say("400\r\n" + std::string(1024, 'x') + "\r\n");
  EXPECT_EQ(chunks.answer().status, 413);
  EXPECT_TRUE(chunks.is_ended());
  RawClient headers(mall_.port());
  headers.say("GET /admin/v1/health HTTP/1.1\r\n");
  for (int i = 0; i < 1'000; ++i)
    headers.say("X-" + std::to_string(i) + ": " + std::string(50, 'x') + "\r\n");
  EXPECT_EQ(headers.answer().status, 431);
  for (const std::string& bytes : {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
                                   std::string(64, '\0'), std::string("GET / HTTP/9.9\r\n\r\n")}) {
    RawClient client(mall_.port());
    client.say(bytes);
    client.say_no_more();
    const int status = client.answer().status;
    EXPECT_TRUE(status == 400 || status == 0 || status == 505) << status;
  }
  expect_no_record(before);
}

TEST_F(Hostile, IllegalTransitionsAreRefusedInTheDomainsWords) {
  using Body = std::optional<std::string>;
  const auto illegal = [&](const std::string& method, const std::string& path, const Body& body,
                           const std::string& name) {
    const auto before = mall_.records_at_rest();
    const RawAnswer answer = mall_.command(method, path, body);
    EXPECT_EQ(answer.status, 409) << method << path << answer.body;
    EXPECT_EQ(problem_of(answer), name) << method << path << answer.body;
    EXPECT_EQ(mall_.records_at_rest(), before) << method << path;
  };
  illegal("POST", "/stores/s1/participation-denial", R"({"reason":"no"})", "wrong-state");
  illegal("POST", "/pickup/orders/o1/release", {}, "wrong-state");
  illegal("POST", "/operations/sagas/o1/resume", {}, "wrong-state");
  const std::string counted = R"({"counted":[{"product_id":"mug","quantity":2}]})";
  const std::string inventory = "/depot/lists/" + list_ + "/inventory";
  ASSERT_EQ(mall_.command("POST", inventory, counted).status, 200);
  ASSERT_TRUE(eventually([&] { return mall_.see("/orders/o1")["status"] == "ready"; }));
  illegal("POST", inventory, counted, "done-already");
  illegal("POST", "/pickup/orders/o1/release", {}, "wrong-state");  // it is not paid
  ASSERT_EQ(mall_.command("POST", "/pickup/orders/o1/payment", R"({"by":"cash"})").status, 200);
  illegal("POST", "/pickup/orders/o1/payment", R"({"by":"card"})", "done-already");
  ASSERT_TRUE(eventually([&] {  // orders hears of the payment a moment later
    return mall_.command("POST", "/pickup/orders/o1/release").status == 200;
  }));
  ASSERT_TRUE(eventually([&] { return mall_.see("/orders/o1")["status"] == "completed"; }));
  illegal("POST", "/pickup/orders/o1/release", {}, "done-already");
  illegal("POST", "/orders/o1/cancellation", R"({"reason":"too late"})", "wrong-state");
}

}  // namespace
}  // namespace mallbots::test
