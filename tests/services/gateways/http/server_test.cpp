#include "services/gateways/http/server.h"

#include <gmock/gmock.h>
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "services/gateways/http/json_body.h"
#include "tests/services/gateways/http/raw_client.h"

namespace mallbots::gateways {
namespace {

using testing::HasSubstr;

constexpr std::string_view kHost = "Host: localhost\r\n";

std::string get(const std::string& path, const std::string& headers = {}) {
  return "GET " + path + " HTTP/1.1\r\n" + std::string(kHost) + headers + "\r\n";
}
std::string put(const std::string& path, const std::string& body,
                const std::string& type = "application/json") {
  return "PUT " + path + " HTTP/1.1\r\n" + std::string(kHost) + "Content-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// A door that handlers wait at.
class Gate {
 public:
  void open() {
    const std::lock_guard lock{mutex_};
    is_open_ = true;
    opened_.notify_all();
  }
  void pass() {
    std::unique_lock lock{mutex_};
    ++waiting_;
    came_.notify_all();
    opened_.wait(lock, [this] { return is_open_; });
  }
  void wait_for(int count) {
    std::unique_lock lock{mutex_};
    came_.wait(lock, [&] { return waiting_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  std::condition_variable came_;
  int waiting_ = 0;
  bool is_open_ = false;
};

class ServerTest : public testing::Test {
 protected:
  Router router() {
    Router routes;
    routes.get("/things/{id}", [](const Request& request) {
      return json_response(200, "\"" + std::string(request.parameter("id")) + "\"");
    });
    routes.put("/things/{id}", [](const Request& request) {
      JsonBody body(request);
      const auto count = body.integer("count", {0, 10});
      if (auto bad = body.problem()) return *bad;
      return json_response(200, std::to_string(count));
    });
    routes.post(
        "/slow",
        [this](const Request&) {
          gate_.pass();
          return json_response(200, "\"done\"");
        },
        Body::kNone);
    routes.post(
        "/throws", [](const Request&) -> Response { throw std::runtime_error("oh"); }, Body::kNone);
    static constexpr Asset kAssets[] = {{"index.html", "<p>page</p>"}, {"js/a.js", "let a;"}};
    routes.assets("/", kAssets);
    return routes;
  }
  Server& start(ServerOptions options = {}) {
    options.name = "test";
    auto started = Server::start(std::move(options), router());
    EXPECT_TRUE(started) << started.error().detail;
    server_ = *std::move(started);
    return *server_;
  }
  RawAnswer ask(const std::string& request) { return RawClient(server_->port()).ask(request); }

  Gate gate_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ConnectionIsKeptAndPipelinedRequestsAreAnsweredInOrder) {
  RawClient client(start().port());
  EXPECT_EQ(client.ask(get("/things/7")).body, "\"7\"");
  client.say(get("/things/8") + put("/things/8", R"({"count": 3})") + get("/nowhere") +
             get("/things/9", "Connection: close\r\n"));
  EXPECT_EQ(client.answer().body, "\"8\"");
  EXPECT_EQ(client.answer().body, "3");
  EXPECT_EQ(client.answer().status, 404);
  const RawAnswer last = client.answer();
  EXPECT_EQ(last.body, "\"9\"");
  EXPECT_TRUE(last.has("Connection: close"));
  EXPECT_TRUE(client.is_ended());
}

TEST_F(ServerTest, EveryAnswerHasItsCommonHeaders) {
  start();
  const RawAnswer answer = ask(get("/things/7"));
  EXPECT_TRUE(answer.has("X-Content-Type-Options: nosniff"));
  EXPECT_TRUE(answer.has("Cache-Control: no-store"));
  EXPECT_TRUE(answer.has("\r\nDate: "));
  EXPECT_TRUE(answer.has("Content-Type: application/json"));
}

TEST_F(ServerTest, PercentCodesAreResolvedAndBadOnesRefused) {
  start();
  EXPECT_EQ(ask(get("/things/a%2Fb%20%C3%A4")).body, "\"a/b \xC3\xA4\"");
  for (const char* path : {"/things/%", "/things/%zz", "/things/%ff", "/things/%00", "/things/a b",
                           "/things/%C0%AF", "things"}) {
    EXPECT_EQ(ask(get(path)).status, 400) << path;
  }
  EXPECT_EQ(ask(get("/things/")).status, 404);
  EXPECT_EQ(ask(get("/things/" + std::string(101, 'a'))).status, 404);
  EXPECT_EQ(ask(get("http://localhost/things/7")).body, "\"7\"");
}

TEST_F(ServerTest, HeadAndOptionsAnswerWithoutBody) {
  RawClient client(start().port());
  client.say("HEAD /things/7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const RawAnswer head = client.answer(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("Content-Length: 3"));
  const RawAnswer options = client.ask("OPTIONS /things/7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_TRUE(options.has("Allow: GET, HEAD, PUT, OPTIONS"));
  EXPECT_EQ(client.ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 204);
  EXPECT_EQ(client.ask("OPTIONS /no HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 404);
  EXPECT_EQ(client.ask(get("/things/8")).body, "\"8\"");
}

TEST_F(ServerTest, WrongMethodsNameTheRightOnes) {
  start();
  for (const char* method : {"DELETE", "TRACE", "PROPFIND"}) {
    const RawAnswer answer =
        ask(std::string(method) + " /things/7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_TRUE(answer.has("Allow: GET, HEAD, PUT, OPTIONS")) << method;
    EXPECT_THAT(answer.body, HasSubstr("urn:mallbots:problem:wrong-method"));
  }
}

TEST_F(ServerTest, BodiesAreCheckedForLengthTypeAndContent) {
  start();
  EXPECT_EQ(ask("PUT /things/7 HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 411);
  EXPECT_EQ(ask(put("/things/7", "{}", "text/plain")).status, 415);
  EXPECT_EQ(ask(put("/things/7", R"({"count":1})", "application/json; charset=utf-8")).status, 200);
  for (const char* body :
       {"", "{", "[]", "null", "\xff\xfe", "{\"count\": \"\xff\"}", R"({"count": "1"})",
        R"({"count": 1.0})", R"({"count": 11})", R"({"count": -1})", R"({"count": 1e400})",
        R"({"count": 99999999999999999999})", R"({"count": null})", R"({})",
        R"({"count": 1, "more": 2})"}) {
    const RawAnswer answer = ask(put("/things/7", body));
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_TRUE(answer.has("application/problem+json"));
  }
  EXPECT_EQ(ask(put("/things/7", std::string("{\"count\":1}\0", 12))).status, 400);
  const std::string deep(60'000, '[');
  EXPECT_EQ(ask(put("/things/7", deep)).status, 400);
}

TEST_F(ServerTest, TooLargeBodiesAreRefusedBeforeTheyAreRead) {
  start();
  const std::string huge(kBodyBytes + 1, ' ');
  EXPECT_EQ(ask(put("/things/7", huge)).status, 413);
  RawClient promised(server_->port());
  const RawAnswer early = promised.ask(
      "PUT /things/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 99999999999\r\n\r\n");
  EXPECT_EQ(early.status, 413);
  EXPECT_TRUE(promised.is_ended());
  RawClient chunked(server_->port());
  chunked.say(
      "PUT /things/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  for (int part = 0; part < 20; ++part) chunked.say("1000\r\n" + std::string(4096, ' ') + "\r\n");
  EXPECT_EQ(chunked.answer().status, 413);
}

TEST_F(ServerTest, ChunkedBodiesAndInvitedBodiesAreRead) {
  RawClient client(start().port());
  EXPECT_EQ(client
                .ask("PUT /things/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                     "application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "5\r\n{\"cou\r\n7\r\nnt\": 4}\r\n0\r\n\r\n")
                .body,
            "4");
  EXPECT_EQ(client
                .ask("PUT /things/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                     "application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n")
                .status,
            100);
  EXPECT_EQ(client.ask(R"({"count": 5})").body, "5");
}

TEST_F(ServerTest, BytesThatAreNoRequestEndTheConnectionWithAReason) {
  start();
  const std::string both =
      "PUT /things/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 11\r\nTransfer-Encoding: chunked\r\n\r\n{\"count\":1}";
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02 hello\r\n\r\n"), std::string("GET / HTTP/2.0\r\n\r\n"),
        std::string("GET /\r\n\r\n"), std::string("get things\r\n\r\n"), both,
        std::string("GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n"),
        std::string("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
        std::string("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: "
                    "2\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: localhost\r\nX: \xff\xfe\r\n\r\n")}) {
    RawClient client(server_->port());
    EXPECT_EQ(client.ask(bytes).status, 400) << bytes;
  }
  RawClient truncated(server_->port());
  truncated.say("PUT /things/7 HTTP/1.1\r\nHost: localh");
  truncated.say_no_more();
  EXPECT_TRUE(truncated.is_ended());
  EXPECT_EQ(ask(get("/things/7")).status, 200);
}

TEST_F(ServerTest, BodyWithoutAKnownEndHidesNoSecondRequest) {
  start();
  for (const char* coding :
       {"1.1\r\nTransfer-Encoding: identity", "1.1\r\nTransfer-Encoding: chunked, identity",
        "1.1\r\nTransfer-Encoding: xchunked", "1.1\r\nTransfer-Encoding: gzip, chunked",
        "1.1\r\nTransfer-Encoding:",
        "1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked"}) {
    RawClient client(server_->port());
    client.say("POST /throws HTTP/" + std::string(coding) + "\r\nHost: localhost\r\n\r\n" +
               get("/things/7"));
    const RawAnswer refusal = client.answer();
    EXPECT_EQ(refusal.status, 400) << coding;
    EXPECT_TRUE(refusal.has("Connection: close")) << coding;
    EXPECT_EQ(client.answer().status, 0) << coding;
  }
}

TEST_F(ServerTest, LongAddressesAndHeadersAreRefused) {
  start();
  EXPECT_EQ(ask(get("/" + std::string(5'000, 'a'))).status, 414);
  EXPECT_EQ(ask(get("/" + std::string(50'000, 'a'))).status, 414);
  EXPECT_EQ(ask(get("/", "X: " + std::string(50'000, 'a') + "\r\n")).status, 431);
}

TEST_F(ServerTest, SlowPeersAreToldAndDroppedAndHoldNobodyUp) {
  start({.request_ms = 200, .idle_ms = 300});
  RawClient slow(server_->port());
  slow.say("GET /things/7 HT");
  RawClient slow_body(server_->port());
  slow_body.say(
      "PUT /things/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 12\r\n\r\n{");
  RawClient silent(server_->port());
  EXPECT_EQ(ask(get("/things/7")).status, 200);
  EXPECT_EQ(slow.answer().status, 408);
  EXPECT_TRUE(slow.is_ended());
  EXPECT_EQ(slow_body.answer().status, 408);
  EXPECT_TRUE(silent.is_ended());
}

TEST_F(ServerTest, NoMomentOfItsBytesLetsAPeerStayLonger) {
  start({.request_ms = 50});
  std::vector<std::thread> peers;
  for (int peer = 0; peer < 40; ++peer) {
    peers.emplace_back([&] {
      RawClient client(server_->port());
      client.say(
          "PUT /things/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          "Content-Length: 60000\r\n\r\n");
      // Until it is told, or for some seconds if nobody tells it.
      pollfd heard{client.descriptor(), POLLIN, 0};
      for (int bytes = 0; bytes < 5'000 && ::poll(&heard, 1, 1) == 0; ++bytes) client.say(" ");
      client.say_no_more();
      EXPECT_EQ(client.answer().status, 408);
    });
  }
  for (std::thread& peer : peers) peer.join();
}

TEST_F(ServerTest, ForeignNamesAndPagesAreRefused) {
  start();
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 421);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: 127.evil.example\r\n\r\n").status, 421);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example:8080\r\n\r\n").status, 421);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n").status, 200);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n").status, 200);
  const auto from = [&](const std::string& origin) {
    return ask("POST /throws HTTP/1.1\r\nHost: localhost:80\r\nOrigin: " + origin +
               "\r\nContent-Length: 0\r\n\r\n")
        .status;
  };
  EXPECT_EQ(from("http://evil.example"), 403);
  EXPECT_EQ(from("null"), 403);
  EXPECT_EQ(from("http://localhost:80"), 500);
}

TEST_F(ServerTest, BehindAProxyThatEndsTlsPagesOfThePublicOriginAloneAreOwn) {
  ServerOptions options;
  options.public_origin = "https://mall.example:8443";
  start(options);
  const auto from = [&](const std::string& host, const std::string& origin) {
    return ask("POST /throws HTTP/1.1\r\nHost: " + host + "\r\nOrigin: " + origin +
               "\r\nContent-Length: 0\r\n\r\n");
  };
  for (const char* host : {"mall.example:8443", "mall.example", "127.0.0.1:80"}) {
    EXPECT_EQ(from(host, options.public_origin).status, 500) << host;
    for (const char* origin : {"http://mall.example:8443", "https://mall.example", "null",
                               "https://mall.example:8443.evil.example"}) {
      const RawAnswer answer = from(host, origin);
      EXPECT_EQ(answer.status, 403) << host << " " << origin;
      EXPECT_THAT(answer.body, HasSubstr("https://mall.example:8443/"));
    }
  }
  EXPECT_EQ(from("127.0.0.1:80", "http://127.0.0.1:80").status, 403) << "the page without TLS";
  EXPECT_EQ(from("localhost", "https://localhost").status, 403);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 421);
}

TEST_F(ServerTest, PublicOriginOfAnotherFormIsRefusedWithTheRemedy) {
  for (const char* origin :
       {"mall.example", "http://mall.example", "https://", "https://mall.example/",
        "https://Mall.example", "https://mall.example:443", "https://mall.example:",
        "https://staff@mall.example", "https://mall.example https://other.example", "*", "null"}) {
    const auto started = Server::start({.name = "admin", .public_origin = origin}, router());
    ASSERT_FALSE(started) << origin;
    EXPECT_EQ(started.error().code, ErrorCode::kBadConfig);
    EXPECT_THAT(started.error().detail, HasSubstr("admin.public_origin"));
  }
}

TEST(HostNames, AreWhatStandsBetweenTheCommas) {
  EXPECT_EQ(gateways::host_names_in(""), std::vector<std::string>{});
  EXPECT_EQ(gateways::host_names_in("one.example,,two.example,"),
            (std::vector<std::string>{"one.example", "two.example"}));
}

TEST_F(ServerTest, HandlerThatThrowsIsAnsweredAndTheServerGoesOn) {
  std::atomic<int> lines = 0;
  ServerOptions options;
  options.log = [&](const toolkit::LogLine&) { ++lines; };
  start(std::move(options));
  RawClient client(server_->port());
  const RawAnswer answer =
      client.ask("POST /throws HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body.find("oh"), std::string::npos);
  EXPECT_EQ(lines, 1);
  EXPECT_EQ(client.ask(get("/things/7")).status, 200);
}

TEST_F(ServerTest, AssetsHaveETagsAndAPolicy) {
  RawClient client(start().port());
  const RawAnswer page = client.ask(get("/"));
  EXPECT_EQ(page.body, "<p>page</p>");
  EXPECT_TRUE(page.has("Content-Security-Policy: default-src 'none'"));
  EXPECT_TRUE(page.has("Content-Type: text/html; charset=utf-8"));
  const auto at = page.head.find("ETag: ");
  ASSERT_NE(at, std::string::npos);
  const std::string etag = page.head.substr(at + 6, page.head.find('\r', at) - at - 6);
  const RawAnswer again = client.ask(get("/index.html", "If-None-Match: \"x\", " + etag + "\r\n"));
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.has(etag));
  EXPECT_EQ(client.ask(get("/js/a.js")).body, "let a;");
}

TEST_F(ServerTest, MoreThanTheWorkersHoldIsRefusedAtOnce) {
  start({.workers = 1, .waiting_requests = 1});
  const std::string slow = "POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
  RawClient first(server_->port());
  first.say(slow);
  gate_.wait_for(1);
  RawClient second(server_->port());
  second.say(slow);
  RawClient third(server_->port());
  third.say(slow);
  // One of the two waits, the other is refused; which came first is the system's choice.
  while (server_->figures().overloaded == 0) std::this_thread::yield();
  gate_.open();
  EXPECT_EQ(first.answer().status, 200);
  const RawAnswer one = second.answer();
  const RawAnswer other = third.answer();
  EXPECT_EQ(one.status + other.status, 200 + 503);
  EXPECT_TRUE((one.status == 503 ? one : other).has("Retry-After: 1"));
}

TEST_F(ServerTest, ConnectionsAreBounded) {
  start({.connections = 2});
  RawClient first(server_->port());
  RawClient second(server_->port());
  EXPECT_EQ(first.ask(get("/things/7")).status, 200);
  EXPECT_EQ(second.ask(get("/things/7")).status, 200);
  RawClient third(server_->port());
  EXPECT_EQ(third.answer().status, 503);
  EXPECT_EQ(first.ask(get("/things/7")).status, 200);
}

TEST_F(ServerTest, StopFinishesWhatIsBeingHandled) {
  start();
  RawClient idle(server_->port());
  RawClient busy(server_->port());
  busy.say("POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  gate_.wait_for(1);
  std::thread stopping([&] { server_->stop(); });
  EXPECT_TRUE(idle.is_ended());
  gate_.open();
  const RawAnswer answer = busy.answer();
  EXPECT_EQ(answer.body, "\"done\"");
  EXPECT_TRUE(answer.has("Connection: close"));
  busy.end();
  stopping.join();
  EXPECT_EQ(RawClient(server_->port()).ask(get("/things/7")).status, 0);
}

TEST_F(ServerTest, OpenAddressWithoutTlsIsRefusedWithTheRemedy) {
  const auto started = Server::start({.name = "kiosk", .bind = "0.0.0.0"}, router());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(started.error().detail, HasSubstr("kiosk.tls_certificate"));
}

TEST_F(ServerTest, TakenPortNamesItsOwner) {
  const auto port = start().port();
  const auto second = Server::start({.name = "kiosk", .port = port}, router());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(second.error().detail, HasSubstr(std::to_string(getpid())));
  EXPECT_THAT(second.error().detail, HasSubstr("kiosk.port"));
}

TEST_F(ServerTest, UnreadableCertificateIsNamed) {
  const auto started = Server::start(
      {.name = "kiosk", .tls_certificate = "/nowhere.pem", .tls_key = "/nowhere.key"}, router());
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, HasSubstr("/nowhere.pem"));
}

}  // namespace
}  // namespace mallbots::gateways
