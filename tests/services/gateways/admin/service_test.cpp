#include "services/gateways/admin/service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "clients/toolkit/store/outbox.h"
#include "services/gateways/admin/permissions.h"
#include "services/gateways/admin/viewer.h"
#include "tests/services/gateways/admin/admin_mall.h"
#include "tests/services/gateways/http/tls_client.h"

namespace mallbots::test {
namespace {

using gateways::Role;
using nlohmann::json;

constexpr const char* kSocket = "/admin/v1/socket";

/// What comes back over TLS until it holds `wanted`, or the connection ends.
std::string over_tls(std::uint16_t port, const std::string& text, const std::string& wanted) {
  using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
  const Context context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  const RawClient client(port);
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), SSL_free);
  SSL_set_fd(tls.get(), client.descriptor());
  if (SSL_connect(tls.get()) != 1) return "no handshake";
  SSL_write(tls.get(), text.data(), static_cast<int>(text.size()));
  std::string heard;
  char bytes[4096];
  while (heard.find(wanted) == std::string::npos) {
    const int got = SSL_read(tls.get(), bytes, sizeof bytes);
    if (got <= 0) break;
    heard.append(bytes, static_cast<std::size_t>(got));
  }
  return heard;
}

class AdminService : public testing::Test {
 protected:
  void start(Settings settings = {}) {
    const auto started = mall_.start(std::move(settings));
    ASSERT_TRUE(started) << started.error().sentence();
  }
  /// The next frame of that op, others passed over; null: the connection ended.
  static json next(RawClient& socket, const std::string& op, const std::string& topic = {}) {
    while (true) {
      const auto frame = socket.next_frame();
      if (frame.opcode != 1) return nullptr;
      json message = json::parse(frame.text);
      if (message["op"] != op) continue;
      if (topic.empty() || message["topic"] == topic) return message;
    }
  }
  AdminMall mall_;
};

TEST_F(AdminService, EveryCallOfTheDocumentAnswersEveryRoleAsItsPermissionSays) {
  start();
  const json document = mall_.see("/openapi.json");
  int calls = 0;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, said] : methods.items()) {
      if (path == kSocket) continue;
      Asked asked{.path = path.substr(std::string("/admin/v1").size())};
      for (std::size_t at; (at = asked.path.find('{')) != std::string::npos;) {
        const std::size_t end = asked.path.find('}');
        const bool is_store = asked.path.substr(at, end - at) == "{store";
        asked.path.replace(at, end - at + 1, is_store ? "s1" : "nobody");
      }
      asked.method = method;
      std::ranges::transform(method, asked.method.begin(), [](char c) { return std::toupper(c); });
      // No key and no fields: a command that is allowed ends with 400.
      if (said.contains("requestBody")) asked.body = "{}";
      ++calls;
      const auto permission = said.value("x-permission", "");
      if (permission.empty()) {
        EXPECT_NE(mall_.ask(asked).status, 403) << path;
        continue;
      }
      EXPECT_EQ(mall_.ask(asked).status, 401) << path;
      if (path == "/admin/v1/session") continue;
      const auto row = std::ranges::find(gateways::permission_table(), permission,
                                         &gateways::PermissionRow::name);
      ASSERT_NE(row, gateways::permission_table().end()) << permission;
      for (std::size_t i = 0; i < gateways::kRoles; ++i) {
        asked.cookie = mall_.cookie(static_cast<Role>(i));
        const RawAnswer answer = mall_.ask(asked);
        const bool may = row->scopes[i] != gateways::Scope::kNone;
        EXPECT_EQ(answer.status != 403, may) << method << " " << path << " " << answer.body;
        EXPECT_LT(answer.status, 500) << method << " " << path << " " << answer.body;
      }
    }
  }
  EXPECT_GT(calls, 45);
}

TEST_F(AdminService, AddressOpenToOtherMachinesWithoutTlsIsRefusedWithTheRemedy) {
  const auto started = mall_.start({{"admin.bind", "0.0.0.0"}});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kBadConfig);
  EXPECT_NE(started.error().detail.find("admin.tls_certificate"), std::string::npos)
      << started.error().detail;
}

TEST_F(AdminService, OverTlsTheCookieIsSecureAndTheSocketOpens) {
  const TempDir folder;
  const std::string certificate = folder / "certificate.pem";
  const std::string key = folder / "key.pem";
  gateways::make_certificate(certificate, key);
  start(
      {{"admin.bind", "0.0.0.0"}, {"admin.tls_certificate", certificate}, {"admin.tls_key", key}});
  EXPECT_TRUE(mall_.address().starts_with("https://"));
  const std::string link = mall_.staff().make_link("depot-staff").value();
  const Asked enter{.method = "POST", .path = "/session", .body = json{{"link", link}}.dump()};
  const std::string answer = over_tls(mall_.port(), enter.text(), "permissions");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  for (const char* word : {"HttpOnly", "SameSite=Strict", "Secure"}) {
    EXPECT_NE(answer.find(word), std::string::npos) << word;
  }
  const Asked upgrade{.path = "/socket",
                      .cookie = mall_.everybody(),
                      .origin = "https://localhost",
                      .more =
                          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
                          "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"};
  const std::string hello = over_tls(mall_.port(), upgrade.text(), "hello");
  EXPECT_TRUE(hello.starts_with("HTTP/1.1 101")) << hello;
  EXPECT_NE(hello.find("hello"), std::string::npos);
  RawClient plain(mall_.port());
  EXPECT_EQ(plain.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 0);
}

TEST_F(AdminService, BehindAProxyThatEndsTlsItsPageSignsInCommandsAndOpensItsSocket) {
  const std::string own = "https://mall.example";
  start({{"admin.public_origin", own}});
  const auto sign_in = [&](const std::string& origin) {
    const std::string link = mall_.staff().make_link("depot-staff").value();
    return mall_.ask({.method = "POST",
                      .path = "/session",
                      .body = json{{"link", link}}.dump(),
                      .origin = origin});
  };
  const RawAnswer entered = sign_in(own);
  EXPECT_EQ(entered.status, 200) << entered.body;
  EXPECT_TRUE(entered.has("; Secure")) << entered.head;
  const auto store = [&](const std::string& id, const std::string& origin) {
    return mall_.ask({.method = "POST",
                      .path = "/stores",
                      .body = json{{"id", id}, {"name", "Tea"}, {"location", "10,4"}}.dump(),
                      .key = mall_.new_key(),
                      .cookie = mall_.everybody(),
                      .origin = origin});
  };
  EXPECT_EQ(store("s1", own).status, 201);
  const auto open_socket = [&](const std::string& origin) {
    return RawClient(mall_.port())
        .upgrade(kSocket, "Cookie: " + mall_.everybody() + "\r\nOrigin: " + origin + "\r\n")
        .status;
  };
  EXPECT_EQ(open_socket(own), 101);
  for (const char* other : {"http://localhost", "https://localhost", "http://mall.example"}) {
    EXPECT_EQ(problem_of(sign_in(other)), "wrong-origin") << other;
    EXPECT_EQ(problem_of(store("s2", other)), "wrong-origin") << other;
    EXPECT_EQ(open_socket(other), 403) << other;
  }
}

TEST_F(AdminService, PageIsServedWithAPolicyAndWhatPagesShare) {
  start();
  for (const std::string path : {"/", "/theme.js", "/main.js", "/page/dom.js", "/page/base.css"}) {
    RawClient client(mall_.port());
    const RawAnswer answer = client.ask("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.has("Content-Security-Policy: default-src 'none'"), path == "/") << path;
  }
}

TEST_F(AdminService, SocketTellsAnOrderFromItsCartToItsRelease) {
  start();
  mall_.open_store();
  RawClient socket(mall_.port());
  ASSERT_EQ(socket.upgrade(kSocket, "Cookie: " + mall_.everybody() + "\r\n").status, 101);
  for (const char* topic : {"orders", "lists", "invoices"}) {
    socket.frame(1, json{{"op", "subscribe"}, {"topic", topic}}.dump());
  }
  mall_.submit("o1");
  const std::string list = mall_.fetch();
  ASSERT_TRUE(eventually([&] {
    const auto body = json{{"counted", {{{"product_id", "mug"}, {"quantity", 2}}}}}.dump();
    return mall_.command("POST", "/depot/lists/" + list + "/inventory", body).status == 200;
  }));
  ASSERT_TRUE(eventually([&] { return mall_.see("/orders/o1")["status"] == "ready"; }));
  EXPECT_EQ(mall_.command("POST", "/pickup/orders/o1/payment", R"({"by":"cash"})").status, 200);
  ASSERT_TRUE(eventually([&] {  // orders hears of the payment a moment later
    return mall_.command("POST", "/pickup/orders/o1/release").status == 200;
  }));
  std::set<std::string> seen;
  std::map<std::string, std::uint64_t> at;
  while (!seen.contains("orders completed")) {
    const auto frame = socket.next_frame();
    ASSERT_EQ(frame.opcode, 1);
    const json message = json::parse(frame.text);
    if (!message.contains("rows")) continue;
    const std::string topic = message["topic"];
    EXPECT_TRUE(message["from"] == at[topic] || message["from"] == 0) << "a gap";
    at[topic] = message["to"];
    for (const json& row : message["rows"]) {
      seen.insert(topic + " " + row.value("status", row.value("state", "")));
    }
  }
  EXPECT_TRUE(seen.contains("invoices paid") || seen.contains("invoices pending"));
}

TEST_F(AdminService, AccountThatIsRemovedLosesItsSessionAndItsSocket) {
  start();
  RawClient socket(mall_.port());
  ASSERT_EQ(socket.upgrade(kSocket, "Cookie: " + mall_.cookie(Role::kDepotStaff) + "\r\n").status,
            101);
  ASSERT_FALSE(next(socket, "hello").is_null());
  ASSERT_TRUE(mall_.staff().remove("depot-staff"));
  EXPECT_EQ(mall_.ask({.path = "/session", .cookie = mall_.cookie(Role::kDepotStaff)}).status, 401);
  gateways::RawClient::Frame last;
  while (last.opcode != 8 && (last = socket.next_frame()).opcode >= 0) {
  }
  EXPECT_EQ(last.close_code(), gateways::kCloseSignedOut);
}

TEST_F(AdminService, GuessesAreHeldBackForAWhileThatRetryAfterNames) {
  start();
  const Asked guess{.method = "POST", .path = "/session", .body = R"({"link":"no such link"})"};
  int wrong = 0;
  RawAnswer answer = mall_.ask(guess);
  for (; answer.status == 401 && wrong < 100; ++wrong) answer = mall_.ask(guess);
  EXPECT_EQ(answer.status, 429) << answer.body;
  EXPECT_TRUE(answer.has("Retry-After: "));
  EXPECT_EQ(problem_of(answer), "too-many");
  EXPECT_EQ(wrong, static_cast<int>(gateways::SignInLimit::kWrongOfPeer));
}

// --- Operations

class Operations : public AdminService {
 protected:
  /// What `mallbots` prints as JSON.
  json told(std::vector<std::string> words) {
    std::vector<std::string> all = {binary("mallbots"), "--runtime-dir",
                                    mall_.daemon().runtime_dir(), "--format", "json"};
    all.insert(all.end(), words.begin(), words.end());
    const Finished finished = run(all);
    EXPECT_EQ(finished.ended.exit_code, 0) << finished.errors;
    return json::parse(finished.output, nullptr, false);
  }
  void say(std::vector<std::string> words, const std::string& input = {}) {
    std::vector<std::string> all = {binary("mallbots"), "--runtime-dir",
                                    mall_.daemon().runtime_dir()};
    all.insert(all.end(), words.begin(), words.end());
    const Finished finished = run(all, {.input = input});
    EXPECT_EQ(finished.ended.exit_code, 0) << finished.errors;
  }
  static json named(const json& rows, const std::string& field, const std::string& name) {
    for (const json& row : rows) {
      if (row.value(field, "") == name) return row;
    }
    return nullptr;
  }
};

TEST_F(Operations, TopicsGroupsAndLagAreTheBrokersOwn) {
  start();
  mall_.open_store();
  mall_.submit("o1");
  say({"topic", "create", "letters"});
  say({"produce", "letters"}, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  say({"consume", "letters", "-g", "readers", "-n", "4"});
  // Nothing moves any more: both look at the same.
  ASSERT_TRUE(eventually([&] {
    for (const json& group : told({"group", "list"})) {
      if (group["group"] != "readers" && group["lag"] != 0) return false;
    }
    return true;
  }));
  const json groups = mall_.see("/operations/groups")["groups"];
  const json list = told({"group", "list"});
  ASSERT_EQ(groups.size(), list.size());
  for (const json& theirs : list) {
    const json ours = named(groups, "group", theirs["group"]);
    ASSERT_FALSE(ours.is_null()) << theirs;
    EXPECT_EQ(ours["lag"], theirs["lag"]) << theirs;
    EXPECT_EQ(ours["members"], theirs["members"]) << theirs;
    EXPECT_EQ(ours["is_queue"], theirs["mode"] == "queue") << theirs;
    if (theirs["mode"] == "queue") continue;
    const json parts = told({"group", "describe", theirs["group"]});
    ASSERT_EQ(ours["partitions"].size(), parts.size()) << theirs;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const json& mine = ours["partitions"][i];
      EXPECT_EQ(mine["topic"], parts[i]["topic"]);
      EXPECT_EQ(mine["partition"], parts[i]["partition"]);
      EXPECT_EQ(mine["current_offset"], parts[i]["current_offset"]) << theirs;
      EXPECT_EQ(mine["end_offset"], parts[i]["log_end_offset"]) << theirs;
      EXPECT_EQ(mine["lag"], parts[i]["lag"]) << theirs;
    }
  }
  EXPECT_EQ(named(groups, "group", "readers")["lag"], 6);
  const json topics = mall_.see("/operations/topics")["topics"];
  const json their_topics = told({"topic", "list"});
  ASSERT_EQ(topics.size(), their_topics.size());
  for (const json& theirs : their_topics) {
    const json ours = named(topics, "name", theirs["topic"]);
    ASSERT_FALSE(ours.is_null()) << theirs;
    EXPECT_EQ(ours["partitions"], theirs["partitions"]);
    EXPECT_EQ(ours["records"], theirs["records"]) << theirs;
  }
}

TEST_F(Operations, AnOutboxTellsWhatItHasSetAsideAndWhy) {
  std::filesystem::create_directories(mall_.data_dir());
  {
    const auto database = toolkit::Database::open({.path = mall_.data_dir() + "/depot.db"}).value();
    const auto outbox = toolkit::Outbox::open(*database).value();
    ASSERT_TRUE(database->transact([&](toolkit::Transaction& transaction) {
      return outbox->add(transaction, "", {.payload = "whither?", .key = "o1\xff"});
    }));
  }
  start();
  json depot;
  ASSERT_TRUE(eventually(
      [&] {
        depot = named(mall_.see("/operations/outboxes")["outboxes"], "service", "depot");
        return depot.value("refused", 0) == 1;
      },
      20))
      << depot;
  ASSERT_EQ(depot["newest_refused"].size(), 1U);
  const json& row = depot["newest_refused"][0];
  EXPECT_EQ(row["topic"], "");
  EXPECT_TRUE(row["key"].get<std::string>().starts_with("o1")) << row;
  EXPECT_NE(row["reason"].get<std::string>().find("topic"), std::string::npos) << row;
  EXPECT_GT(row["added_ms"].get<std::int64_t>(), 0);
  EXPECT_EQ(depot["waiting"], 0);
  const json stores = named(mall_.see("/operations/outboxes")["outboxes"], "service", "stores");
  EXPECT_EQ(stores["refused"], 0);
  EXPECT_TRUE(stores["newest_refused"].empty());
}

TEST_F(Operations, SocketTellsTheLagThatTheCallTells) {
  start();
  say({"topic", "create", "letters"});
  say({"produce", "letters"}, "a\nb\nc\n");
  say({"consume", "letters", "-g", "readers", "-n", "1"});
  RawClient socket(mall_.port());
  ASSERT_EQ(socket.upgrade(kSocket, "Cookie: " + mall_.everybody() + "\r\n").status, 101);
  socket.frame(1, R"({"op":"subscribe","topic":"ops"})");
  for (json row; row.is_null();) {
    const auto frame = socket.next_frame();
    ASSERT_EQ(frame.opcode, 1);
    const json message = json::parse(frame.text);
    if (!message.contains("rows")) continue;
    row = named(message["rows"], "id", "group:readers");
    if (!row.is_null()) {
      EXPECT_EQ(row["lag"], 2);
    }
  }
}

}  // namespace
}  // namespace mallbots::test
