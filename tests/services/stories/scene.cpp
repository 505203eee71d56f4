#include "tests/services/stories/scene.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "clients/admin.h"
#include "clients/event_store.h"
#include "clients/toolkit/store/database.h"
#include "services/gateways/access/staff.h"
#include "services/mall/story.h"
#include "services/simulators/staff_session.h"
#include "tests/services/mall/mall_fixture.h"

namespace mallbots::test {
namespace {

using nlohmann::json;
using simulators::Answer;
using simulators::HttpAddress;
using simulators::HttpClient;
using simulators::StaffSession;

constexpr std::int64_t kPatienceMs = 40'000;
constexpr const char* kPassword = "a word that nobody guesses";
constexpr const char* kServices =
    "customers,orders,depot,payments,stores,search,notifications,fleet,kiosk,admin";

std::int64_t pence_of(const json& body, const char* name) {
  const auto money = body.find(name);
  return money == body.end() || !money->is_object() ? 0 : money->value("minor", std::int64_t{0});
}

std::string text_of(const json& body, const char* name) {
  const auto text = body.find(name);
  return text == body.end() || !text->is_string() ? "" : text->get<std::string>();
}

/// Carts of reviews, orders, lists and invoices: what each has of it.
Told told_from(const Result<Answer>& answer) {
  Told told;
  if (!answer) {
    ADD_FAILURE() << answer.error().sentence();
    return told;
  }
  told.status = answer->status;
  told.body = answer->body;
  json body = json::parse(answer->body, nullptr, false);
  if (!body.is_object()) return told;
  const std::string type = text_of(body, "type");
  told.problem = type.substr(type.rfind(':') + 1);
  for (const json& change : body.value("changes", json::array()))
    told.changes.push_back(text_of(change, "kind") + " " + text_of(change, "product_id"));
  if (body.contains("cart")) body = json(body["cart"]);
  told.state =
      text_of(body, body.contains("status") && body["status"].is_string() ? "status" : "state");
  told.reason = text_of(body, "reason");
  told.total = pence_of(body, body.contains("amount") ? "amount" : "total");
  const auto paid = body.find("paid");
  if (paid != body.end())
    told.paid = paid->is_boolean() ? std::int64_t{paid->get<bool>()} : pence_of(body, "paid");
  return told;
}

HttpAddress address_from(const std::string& url) {
  const auto address = HttpAddress::parse(url);
  EXPECT_TRUE(address) << address.error().sentence();
  return address.value_or(HttpAddress{"127.0.0.1", 1});
}

}  // namespace

// --- Scene

struct Scene::Parts {
  Parts(Manner manner, double limit_s, const std::string& apart)
      : mall(manner, {.services = kServices,
                      .settings = {"depot.stranded_ms=300", "depot.offer_ms=60000"},
                      .limit_s = limit_s,
                      .apart = apart}) {}

  RunningMall mall;
  std::unique_ptr<StaffSession> staff;
  int commands = 0;
};

Scene::Scene(Manner manner, double limit_s, const std::string& apart)
    : parts_(std::make_unique<Parts>(manner, limit_s, apart)) {}
Scene::~Scene() = default;
RunningMall& Scene::mall() noexcept { return parts_->mall; }
std::string Scene::kiosk() const { return parts_->mall.address_of("kiosk"); }
std::string Scene::admin() const { return parts_->mall.address_of("admin"); }

void Scene::open() {
  using enum gateways::Role;
  std::filesystem::create_directories(mall().data_dir());
  gateways::StaffBook book(mall().data_dir() + "/staff.json");
  ASSERT_TRUE(book.put({"grace", {kStoreAdmin, kDepotAdmin}, {}}, kPassword));
  ASSERT_TRUE(mall().start()) << mall().log();
  sign_in();
  furnish();
  ASSERT_FALSE(testing::Test::HasFailure());
}

void Scene::close() {
  if (!mall().is_open()) return;
  EXPECT_TRUE(mall().stop()) << mall().log();
}

void Scene::sign_in() {
  parts_->staff = std::make_unique<StaffSession>(address_from(admin()),
                                                 simulators::StaffAccount{"grace", kPassword});
}

void Scene::furnish() {
  const auto open = [this](const std::string& id, const std::string& name) {
    staff("POST", "stores", json{{"id", id}, {"name", name}, {"location", "10,4"}}.dump());
    staff("POST", "stores/" + id + "/participation-request");
    EXPECT_EQ(staff("POST", "stores/" + id + "/participation").status, 200);
  };
  const auto sell = [this](const std::string& store, const std::string& id, int pence) {
    const json product = {
        {"id", id}, {"name", id}, {"sku", id}, {"price", {{"minor", pence}, {"currency", "GBP"}}}};
    const Told told = staff("POST", "stores/" + store + "/products", product.dump());
    EXPECT_EQ(told.status, 201) << told.body;
  };
  open("s1", "Tea House");
  open("s2", "Book Barn");
  sell("s1", "mug", 250);
  sell("s1", "cake", 199);
  sell("s2", "book", 900);
  Customer first(*this);  // the kiosk hears of products a moment later
  for (const char* product : {"mug", "cake", "book"})
    EXPECT_TRUE(eventually([&] { return first.put(product, 1).status == 200; }, 20)) << product;
}

Told Scene::staff(const std::string& method, const std::string& path, const std::string& body) {
  const std::string where = "/admin/v1/" + path;
  if (method == "GET") return told_from(parts_->staff->see(where));
  const std::string key = "story-command-" + std::to_string(++parts_->commands);
  return told_from(parts_->staff->command(method, where, key, body));
}

Told Scene::order(const std::string& id) { return staff("GET", "orders/" + id); }

Told Scene::invoice(const std::string& order) {
  const Told whole = staff("GET", "orders/" + order);
  const json body = json::parse(whole.body, nullptr, false);
  if (!body.is_object() || !body.contains("invoice") || !body["invoice"].is_object()) return {};
  return told_from(Answer{.status = whole.status, .body = body["invoice"].dump()});
}

std::string Scene::list_id_of(const std::string& order) {
  const json body = json::parse(staff("GET", "orders/" + order).body, nullptr, false);
  return body.is_object() ? text_of(body, "shopping_id") : "";
}

Told Scene::list_of(const std::string& order) {
  return staff("GET", "depot/lists/" + list_id_of(order));
}

Told Scene::change_price(const std::string& store, const std::string& product, std::int64_t pence) {
  const json body = {{"price", {{"minor", pence}, {"currency", "GBP"}}}};
  return staff("PUT", "stores/" + store + "/products/" + product + "/price", body.dump());
}

Told Scene::withdraw(const std::string& store) {
  return staff("DELETE", "stores/" + store + "/participation");
}

Told Scene::disable_customer_of(const std::string& order) {
  const json body = json::parse(staff("GET", "orders/" + order).body, nullptr, false);
  return staff("PUT", "customers/" + text_of(body, "customer_id") + "/enabled",
               json{{"enabled", false}}.dump());
}

Told Scene::count(const std::string& order, const Quantities& counted) {
  json counts = json::array();
  for (const auto& [product, quantity] : counted)
    counts.push_back({{"product_id", product}, {"quantity", quantity}});
  return staff("POST", "depot/lists/" + list_id_of(order) + "/inventory",
               json{{"counted", counts}}.dump());
}

Told Scene::take_cash(const std::string& order) {
  return staff("POST", "pickup/orders/" + order + "/payment", json{{"by", "cash"}}.dump());
}

Told Scene::release(const std::string& order) {
  Told told;
  EXPECT_TRUE(eventually(
      [&] {
        told = staff("POST", "pickup/orders/" + order + "/release");
        return told.status == 200;
      },
      20))
      << told.body;
  return told;
}

Told Scene::cancel(const std::string& order, const std::string& reason) {
  return staff("POST", "orders/" + order + "/cancellation", json{{"reason", reason}}.dump());
}

void Scene::wait_for(const std::string& order, const std::string& state) {
  Told now;
  EXPECT_TRUE(eventually(
      [&] {
        now = this->order(order);
        return now.state == state;
      },
      30))
      << "it is " << now.state << ", not " << state << ' ' << now.body << mall().log();
}

void Scene::wait_for_invoice(const std::string& order, const std::string& state) {
  Told now;
  EXPECT_TRUE(eventually(
      [&] {
        now = invoice(order);
        return now.state == state;
      },
      30))
      << "it is " << now.state << ", not " << state << mall().log();
}

std::string Scene::cookie() {
  HttpClient client(address_from(admin()), kPatienceMs);
  const json body = {{"name", "grace"}, {"password", kPassword}};
  const auto answer = client.ask({"POST", "/admin/v1/session", body.dump()});
  return answer ? answer->cookie : "";
}

void Scene::reopen(const std::function<void()>& meanwhile) {
  close();
  meanwhile();
  ASSERT_TRUE(mall().start()) << mall().log();
  sign_in();
}

void Scene::rewind() {
  const auto connection = client::Connection::open({.runtime_dir = mall().daemon().runtime_dir()});
  ASSERT_TRUE(connection) << connection.error().sentence();
  client::Admin admin{**connection};
  const auto groups = admin.list_groups();
  ASSERT_TRUE(groups);
  std::size_t moved = 0;
  for (const client::GroupListing& group : *groups) {
    ASSERT_TRUE(eventually([&] {  // members that have just ended
      const auto moves = admin.seek_group(group.group, {}, true);
      if (moves) moved += moves->size();
      return moves.has_value();
    })) << group.group;
  }
  ASSERT_GT(moved, 0U);
}

void Scene::wait_until_quiet() {
  const auto connection = client::Connection::open({.runtime_dir = mall().daemon().runtime_dir()});
  ASSERT_TRUE(connection) << connection.error().sentence();
  client::Admin admin{**connection};
  int quiet = 0;
  EXPECT_TRUE(eventually(
      [&] {
        const auto groups = admin.list_groups();
        const bool is_quiet = groups && std::ranges::all_of(*groups, [](const auto& group) {
                                return group.lag == 0;
                              });
        quiet = is_quiet ? quiet + 1 : 0;
        return quiet == 50;
      },
      30));
}

std::vector<std::string> Scene::history(const std::string& order) {
  const auto connection =
      client::Connection::open({.runtime_dir = mall().daemon().runtime_dir()}).value();
  const auto store = client::EventStore::open(*connection, "mallbots.orders.events.Order").value();
  const auto events = store->read("order-" + order).value();
  std::vector<std::string> names;
  for (const client::StreamEvent& event : events) {
    const toolkit::Message message{event.message.view()};
    names.emplace_back(message.name().substr(0, message.name().rfind("_v")));
  }
  return names;
}

std::vector<std::string> Scene::told_of(const std::string& order) {
  const auto all = mall::read_history(
      {.runtime_dir = mall().daemon().runtime_dir(), .waiting = client::Waiting::kBlock});
  EXPECT_TRUE(all) << all.error().sentence();
  std::vector<std::string> told;
  if (!all) return told;
  for (const mall::Fact& fact : mall::story_of(*all, order))
    told.push_back(fact.topic + " " + fact.name);
  return told;
}

std::vector<Account> Scene::accounts() {
  close();
  std::vector<Account> accounts;
  const auto books = toolkit::Database::open({.path = mall().data_dir() + "/payment-provider.db"});
  EXPECT_TRUE(books) << books.error().sentence();
  if (!books) return accounts;
  const auto rows = (*books)->read("select held, captured, refunded from accounts order by rowid");
  EXPECT_TRUE(rows);
  if (!rows) return accounts;
  for (const auto& row : *rows)
    accounts.push_back({row.integer(0), row.integer(1), row.integer(2)});
  return accounts;
}

std::vector<std::string> Scene::texts(const std::string& order) {
  close();
  std::vector<std::string> kinds;
  const auto sent = toolkit::Database::open({.path = mall().data_dir() + "/notifications.db"});
  EXPECT_TRUE(sent) << sent.error().sentence();
  if (!sent) return kinds;
  const auto rows = (*sent)->read("select key from carried_sms order by key");
  EXPECT_TRUE(rows);
  if (!rows) return kinds;
  for (const auto& row : *rows)
    if (row.text(0).starts_with(order + "/"))
      kinds.emplace_back(row.text(0).substr(order.size() + 1));
  return kinds;
}

std::vector<std::string> Scene::files_with(const std::string& text) {
  close();
  std::vector<std::string> files;
  const std::filesystem::path folder = mall().daemon().folder() / "";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), {}};
    if (content.find(text) != std::string::npos) files.push_back(entry.path().filename());
  }
  if ((mall().log() + mall().daemon().log()).find(text) != std::string::npos)
    files.emplace_back("standard error");
  return files;
}

std::string Scene::mallbots(std::vector<std::string> words) {
  words.insert(words.begin(), binary("mallbots"));
  words.insert(words.end(), {"--runtime-dir", mall().daemon().runtime_dir()});
  const Finished done = run(words);
  EXPECT_EQ(done.ended.exit_code, 0) << words[1] << ' ' << words[2] << ": " << done.errors;
  return done.output;
}

// --- Customer

struct Customer::Line {
  explicit Line(const std::string& kiosk)
      : address(kiosk), client(address_from(kiosk), kPatienceMs) {}
  std::string address;
  HttpClient client;
};

Customer::Customer(Scene& scene, std::string phone, std::string card)
    : scene_(&scene), phone_(std::move(phone)), card_(std::move(card)) {}
Customer::~Customer() = default;

Told Customer::ask(const std::string& method, const std::string& path, const std::string& body,
                   const std::string& key) {
  simulators::Question question{method, "/kiosk/v1/" + path, body, {}};
  if (!token_.empty()) question.headers["Cart-Token"] = token_;
  if (!key.empty()) question.headers["Idempotency-Key"] = key;
  const std::string kiosk = scene_->kiosk();  // another one after a start
  if (!line_ || line_->address != kiosk) line_ = std::make_unique<Line>(kiosk);
  return told_from(line_->client.ask(question));
}

Told Customer::put(const std::string& product, int quantity) {
  if (id_.empty()) {
    const Told cart = ask("POST", "carts");
    const json body = json::parse(cart.body, nullptr, false);
    if (!body.is_object() || !body.contains("cart")) {
      ADD_FAILURE() << "no cart: " << cart.body;
      return cart;
    }
    id_ = text_of(body["cart"], "id");
    token_ = text_of(body, "token");
  }
  const Told told =
      ask("PUT", "carts/" + id_ + "/items/" + product, json{{"quantity", quantity}}.dump());
  if (told.status == 200) total_ = told.total;
  return told;
}

Told Customer::review() {
  const Told told = ask("POST", "carts/" + id_ + "/review");
  if (told.status == 200) total_ = told.total;
  return told;
}

Told Customer::submit() {
  const json body = {{"phone", phone_},
                     {"name", "Ada"},
                     {"card_token", card_},
                     {"confirmed_total", {{"minor", total_}, {"currency", "GBP"}}}};
  return ask("POST", "carts/" + id_ + "/submit", body.dump(),
             "submit-of-" + id_ + "-" + std::to_string(++submits_));
}

Told Customer::look() { return ask("GET", "orders/" + id_); }

Told Customer::cancel() {
  return ask("POST", "orders/" + id_ + "/cancel",
             json{{"card_token", card_}, {"reason", "changed my mind"}}.dump());
}

Told Customer::pay() {
  Told told;
  EXPECT_TRUE(eventually(  // the invoice comes a moment after the approval
      [&] {
        told = ask("POST", "orders/" + id_ + "/pay", json{{"card_token", card_}}.dump());
        return told.status == 200;
      },
      20))
      << told.body;
  return told;
}

void Customer::leave() {
  id_.clear();
  token_.clear();
  total_ = 0;
}

void Customer::orders_tea() {
  EXPECT_EQ(put("mug", 2).status, 200);
  EXPECT_EQ(put("cake", 1).total, 699);
  const Told told = submit();
  EXPECT_EQ(told.status, 201) << told.body;
}

void Customer::is_approved() {
  orders_tea();
  scene_->wait_for(id_, "approved");
}

}  // namespace mallbots::test
