// Routes, bodies, rates and addresses, without a server.
#include <gtest/gtest.h>

#include "services/gateways/http/internal/rate_limit.h"
#include "services/gateways/http/internal/target.h"
#include "services/gateways/http/json_body.h"
#include "services/gateways/http/router.h"

namespace mallbots::gateways {
namespace {

Handler naming(const std::string& name) {
  return [name](const Request&) { return json_response(200, name); };
}

std::string found(const Router& router, Method method, std::vector<std::string> segments) {
  const auto result = router.find(method, segments);
  if (const auto* match = std::get_if<Router::Match>(&result)) {
    return match->route->handler({}).body;
  }
  if (const auto* wrong = std::get_if<Router::WrongMethod>(&result)) return wrong->allowed;
  return "none";
}

TEST(Router, LiteralWinsOverParameter) {
  Router router;
  router.get("/a/{id}", naming("parameter"));
  router.get("/a/all", naming("literal"));
  router.get("/{x}/all", naming("later"));
  router.remove("/a/{id}", naming("remove"));
  router.get("/", naming("root"));
  EXPECT_EQ(found(router, Method::kGet, {"a", "all"}), "literal");
  EXPECT_EQ(found(router, Method::kGet, {"a", "b"}), "parameter");
  EXPECT_EQ(found(router, Method::kGet, {"b", "all"}), "later");
  EXPECT_EQ(found(router, Method::kDelete, {"a", "all"}), "remove");
  EXPECT_EQ(found(router, Method::kPut, {"a", "b"}), "GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(found(router, Method::kGet, {"a", ""}), "none");
  EXPECT_EQ(found(router, Method::kGet, {"a", "b", "c"}), "none");
  EXPECT_EQ(found(router, Method::kGet, {""}), "root");
}

TEST(RouterDeathTest, SecondRouteOfOneAddressIsOurError) {
  Router router;
  router.get("/a", naming("one"));
  EXPECT_DEATH(router.get("/a", naming("two")), "");
}

Request with_body(std::string body) {
  Request request;
  request.body = std::move(body);
  return request;
}

TEST(JsonBody, ReadsEachKindOfField) {
  JsonBody body(with_body(R"({"t":" x ","n":-5,"b":true,"m":{"minor":1250,"currency":"GBP"},)"
                          R"("l":[{"q":1},{"q":2}],"o":null})"));
  EXPECT_EQ(body.text("t", 10), "x");
  EXPECT_EQ(body.integer("n", {-10, 10}), -5);
  EXPECT_TRUE(body.boolean("b"));
  EXPECT_EQ(body.money("m"), (Money{1250, {}}));
  std::int64_t sum = 0;
  body.objects("l", 2, [&](JsonBody& item) { sum += item.integer("q", {0, 9}); });
  EXPECT_EQ(sum, 3);
  EXPECT_FALSE(body.optional_text("o", 5));
  EXPECT_FALSE(body.optional_text("p", 5));
  EXPECT_FALSE(body.problem());
}

TEST(JsonBody, NamesTheFirstFieldThatIsWrongAndNoValue) {
  const auto problem_of = [](const std::string& text) {
    JsonBody body(with_body(text));
    static_cast<void>(body.text("t", 10));
    body.objects("l", 2, [](JsonBody& item) { static_cast<void>(item.integer("q", {0, 9})); });
    static_cast<void>(body.money("m"));
    const auto problem = body.problem();
    return problem ? problem->body : "";
  };
  EXPECT_NE(problem_of(R"({"t":"secret-longer-than-ten"})").find("'t' has 22 bytes"),
            std::string::npos);
  EXPECT_EQ(problem_of(R"({"t":"secret-longer-than-ten"})").find("secret"), std::string::npos);
  EXPECT_NE(problem_of(R"({"t":"a\u0000"})").find("'t'"), std::string::npos);
  EXPECT_NE(problem_of(R"({"t":"a","l":[{"q":1},{"q":10}]})").find("'l[1].q'"), std::string::npos);
  EXPECT_NE(problem_of(R"({"t":"a","l":[{},{},{}]})").find("'l' is not a list"), std::string::npos);
  EXPECT_NE(problem_of(R"({"t":"a","l":[],"m":{"minor":1.5,"currency":"GBP"}})").find("'m'"),
            std::string::npos);
  EXPECT_NE(problem_of(R"({"t":"a","l":[],"m":{"minor":1,"currency":"gbp"}})").find("'m'"),
            std::string::npos);
  EXPECT_NE(problem_of(R"({"t":"a","l":[],"m":{"minor":1,"currency":"GBP"},"z":1})").find("'z'"),
            std::string::npos);
}

TEST(JsonBody, RefusesAFieldThatStandsTwiceInAnObjectHoweverDeep) {
  const auto problem_of = [](const std::string& text) {
    JsonBody body(with_body(text));
    static_cast<void>(body.optional_text("t", 10));
    if (text.find("\"l\"") != std::string::npos)
      body.objects("l", 2, [](JsonBody& item) { static_cast<void>(item.integer("q", {0, 9})); });
    const auto problem = body.problem();
    return problem ? problem->body : "";
  };
  for (const char* twice : {R"({"t":"a","t":"a"})", R"({"t":"a","\u0074":"b"})",
                            R"({"l":[{"q":1},{"t":1,"q":2,"t":1}]})"}) {
    EXPECT_NE(problem_of(twice).find("'t' stands more than once in one object"), std::string::npos)
        << twice << problem_of(twice);
  }
  EXPECT_EQ(problem_of(R"({"t":"a","l":[{"q":1},{"q":1}]})"), "");
}

TEST(RateLimit, TokensFlowInAndAreTaken) {
  RateLimit limit(10, 3);
  BootNanos now = kSecond;
  for (int count = 0; count < 3; ++count) EXPECT_TRUE(limit.take("1.2.3.4", now));
  EXPECT_FALSE(limit.take("1.2.3.4", now));
  EXPECT_TRUE(limit.take("1.2.3.5", now));
  now += kSecond / 10;
  EXPECT_TRUE(limit.take("1.2.3.4", now));
  EXPECT_FALSE(limit.take("1.2.3.4", now));
}

TEST(RateLimit, OneSubscriberOfIpv6CountsOnce) {
  RateLimit limit(1, 1);
  EXPECT_TRUE(limit.take("2001:db8::1", kSecond));
  EXPECT_FALSE(limit.take("2001:db8::2", kSecond));
  EXPECT_TRUE(limit.take("2001:db8:0:1::2", kSecond));
}

TEST(RateLimit, MemoryIsBounded) {
  RateLimit limit(1, 2);
  for (int number = 0; number < 30'000; ++number) {
    static_cast<void>(limit.take(
        "10." + std::to_string(number / 250) + ".0." + std::to_string(number % 250), kSecond));
  }
  EXPECT_LE(limit.peers(), RateLimit::kPeers + 1);
  EXPECT_TRUE(limit.take("192.0.2.1", 100 * kSecond));
  EXPECT_LE(limit.peers(), 10U);
}

TEST(Target, IsTakenApart) {
  const auto target = parse_target("/a%20b/c?x=1&y=%3D&z");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments, (std::vector<std::string>{"a b", "c"}));
  EXPECT_EQ(target->query, (Pairs{{"x", "1"}, {"y", "="}, {"z", ""}}));
  EXPECT_EQ(parse_target("/")->segments, std::vector<std::string>{""});
  EXPECT_FALSE(parse_target(""));
  EXPECT_FALSE(parse_target("/%"));
  EXPECT_FALSE(parse_target("/?x=%ff"));
  std::string many = "/";
  for (int count = 0; count < 200; ++count) many += "a/";
  EXPECT_FALSE(parse_target(many));
  EXPECT_EQ(host_without_port("LocalHost:80"), "localhost");
  EXPECT_EQ(host_without_port("[::1]:80"), "[::1]");
  EXPECT_EQ(host_without_port("a@b"), "");
}

}  // namespace
}  // namespace mallbots::gateways
