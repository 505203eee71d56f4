#include "tests/services/gateways/admin/admin_mall.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "clients/admin.h"
#include "services/customers/api.grpc.pb.h"
#include "services/gateways/admin/service.h"
#include "services/gateways/fleet/topics.h"
#include "services/mall/registry.h"
#include "services/orders/api.grpc.pb.h"
#include "services/payments/api.grpc.pb.h"
#include "tests/services/host_calls.h"

namespace mallbots::test {
namespace {

using gateways::Role;
using nlohmann::json;

const std::vector<std::string> kServices = {"customers", "orders", "depot",         "payments",
                                            "stores",    "search", "notifications", "admin"};

}  // namespace

std::string Asked::text() const {
  std::string text = method + " /admin/v1" + path + " HTTP/1.1\r\nHost: localhost\r\n";
  const auto line = [&text](const char* name, const std::string& value) {
    if (!value.empty()) text.append(name).append(": ").append(value).append("\r\n");
  };
  line("Cookie", cookie);
  line("Origin", origin);
  line("Idempotency-Key", key);
  text += more;
  if (body) {
    line("Content-Type", type);
    line("Content-Length", std::to_string(body->size()));
  }
  return text + "\r\n" + body.value_or("");
}

AdminMall::AdminMall() = default;
AdminMall::~AdminMall() { stop(); }

Result<void> AdminMall::start(Settings settings) {
  if (!daemon_.start()) return fail(ErrorCode::kIo, daemon_.log());
  const std::string data = data_dir();
  auto host = Host::open({.name = "test",
                          .runtime_dir = daemon_.runtime_dir(),
                          .data_dir = data,
                          .settings = std::move(settings),
                          .log = [](const toolkit::LogLine&) {}});
  if (!host) return std::unexpected(std::move(host).error());
  host_ = std::move(*host);
  for (const mall::Entry& entry : mall::registry()) {
    if (std::ranges::find(kServices, entry.name) == kServices.end()) continue;
    auto service = entry.make(*host_);
    if (!service) return std::unexpected(std::move(service).error());
    services_.push_back(std::move(*service));
  }
  MALLBOTS_TRY(host_->start());
  const auto& gateway = dynamic_cast<const admin::AdminService&>(*services_.back());
  port_ = gateway.port();
  address_ = gateway.address();
  staff_ = std::make_unique<gateways::StaffBook>(admin::staff_file(data));
  sign_in();
  return {};
}

void AdminMall::sign_in() {
  const auto enter = [this](const gateways::StaffMember& member) {
    EXPECT_TRUE(staff_->put(member, std::nullopt));
    const auto link = staff_->make_link(member.name);
    return "mallbots_staff=" + staff_->use_link(link.value()).value()->token;
  };
  for (std::size_t i = 0; i < gateways::kRoles; ++i) {
    const auto role = static_cast<Role>(i);
    cookies_[role] = enter({std::string(name_of(role)), {role}, {"s1"}});
  }
  everybody_ = enter({"everybody", {Role::kStoreAdmin, Role::kDepotStaff, Role::kDepotAdmin}, {}});
}

void AdminMall::stop() {
  if (host_) host_->stop();
  services_.clear();
  host_.reset();
}

RawAnswer AdminMall::ask(const Asked& asked) const { return RawClient(port_).ask(asked.text()); }

RawAnswer AdminMall::command(const std::string& method, const std::string& path,
                             const std::optional<std::string>& body) {
  return ask(
      {.method = method, .path = path, .body = body, .key = new_key(), .cookie = everybody_});
}

json AdminMall::see(const std::string& path) const {
  const RawAnswer answer = ask({.path = path, .cookie = everybody_});
  EXPECT_EQ(answer.status, 200) << path << answer.body;
  return json::parse(answer.body, nullptr, false);
}

void AdminMall::open_store() {
  EXPECT_EQ(command("POST", "/stores", R"({"id":"s1","name":"Tea","location":"10,4"})").status,
            201);
  EXPECT_EQ(command("POST", "/stores/s1/participation-request").status, 200);
  EXPECT_EQ(command("POST", "/stores/s1/participation").status, 200);
  ASSERT_EQ(
      command("POST", "/stores/s1/products",
              R"({"id":"mug","name":"Mug","sku":"m-1","price":{"minor":250,"currency":"GBP"}})")
          .status,
      201);
  customerspb::FindOrRegisterRequest who;
  who.set_name("Ada");
  who.set_sms_number("+442079461357");
  customerspb::CustomerRequest customer;
  using customerspb::CustomersService;
  done<CustomersService>(*host_, "customers", &CustomersService::Stub::FindOrRegister, who,
                         customer);
  customer_ = customer.id();
}

void AdminMall::submit(const std::string& order) {
  using orderspb::OrdersService;
  using paymentspb::PaymentsService;
  google::protobuf::Empty nothing;
  paymentspb::AuthorizeRequest hold;
  hold.set_id("p-" + order);
  hold.set_customer_id(customer_);
  hold.set_card_token("tok_1");
  hold.mutable_amount()->set_minor(500);
  hold.mutable_amount()->set_currency("GBP");
  done<PaymentsService>(*host_, "payments", &PaymentsService::Stub::Authorize, hold, nothing);
  orderspb::CartRequest cart;
  cart.set_id(order);
  orderspb::Cart shown;
  done<OrdersService>(*host_, "orders", &OrdersService::Stub::StartCart, cart, shown);
  orderspb::SetQuantityRequest line;
  line.set_id(order);
  line.set_product_id("mug");
  line.set_quantity(2);
  // The catalogue of orders hears of the product a moment later.
  ASSERT_TRUE(eventually([&] {
    return call<OrdersService>(*host_, "orders", &OrdersService::Stub::SetQuantity, line, shown)
        .ok();
  }));
  orderspb::CheckOutCartRequest out;
  out.set_id(order);
  out.set_customer_id(customer_);
  out.set_payment_id("p-" + order);
  *out.mutable_confirmed_total() = hold.amount();
  done<OrdersService>(*host_, "orders", &OrdersService::Stub::CheckOutCart, out, nothing);
  const auto status = [&] { return see("/orders/" + order).value("status", ""); };
  ASSERT_TRUE(eventually([&] {
    return ask({.path = "/orders/" + order, .cookie = everybody_}).status == 200 &&
           status() == "approved";
  }));
}

std::string AdminMall::fetch() { return fetch_two_mugs(*host_); }

std::map<std::string, std::uint64_t> AdminMall::records() {
  std::map<std::string, std::uint64_t> records;
  const auto topics = client::Admin(host_->connection()).list_topics();
  EXPECT_TRUE(topics);
  if (!topics) return records;
  for (const auto& topic : *topics) {
    if (topic.name != fleet::kPositionsTopic) records[topic.name] = topic.records;
  }
  return records;
}

std::map<std::string, std::uint64_t> AdminMall::records_at_rest() {
  auto last = records();
  BootNanos since_ns = boot_now_ns();
  EXPECT_TRUE(eventually([&] {
    auto now = records();
    if (now != last) since_ns = boot_now_ns();
    last = std::move(now);
    return boot_now_ns() - since_ns > kSecond / 2;
  }));
  return last;
}

std::string problem_of(const RawAnswer& answer) {
  const json body = json::parse(answer.body, nullptr, false);
  EXPECT_TRUE(answer.has("application/problem+json")) << answer.head << answer.body;
  EXPECT_TRUE(body.is_object()) << answer.body;
  if (!body.is_object()) return {};
  EXPECT_EQ(body.value("status", 0), answer.status);
  for (const char* word : {"title", "detail", "remedy"}) {
    EXPECT_FALSE(body.value(word, "").empty()) << word << " " << answer.body;
  }
  const std::string type = body.value("type", "");
  return type.substr(type.rfind(':') + 1);
}

}  // namespace mallbots::test
