// The auditor of `make demo` on small made evidence: four invoices, of which one was carried away
// (a mug was not on the shelf, so that a part was refunded), one cancelled by its customer, one
// rejected by the shop and one declined by the card. What it must find is named by the order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/depot/contract.pb.h"
#include "services/orders/contract.pb.h"
#include "services/payments/contract.pb.h"
#include "services/stores/contract.pb.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCart = "mallbots.orders.events.Cart";
constexpr const char* kOrder = "mallbots.orders.events.Order";
constexpr const char* kInvoice = "mallbots.payments.events.Invoice";
constexpr const char* kList = "mallbots.depot.events.ShoppingList";
constexpr const char* kProduct = "mallbots.stores.events.Product";

std::string base64(const std::string& bytes) {
  static constexpr char kLetters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t size = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (i < size ? static_cast<std::uint8_t>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      text += i <= size ? kLetters[bits >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

runtimepb::Money money(std::int64_t minor) {
  runtimepb::Money message;
  message.set_minor(minor);
  message.set_currency("GBP");
  return message;
}

struct Told {
  std::string topic;
  std::string name;
  std::string payload;
  std::string id{};  ///< empty: one of its own
};

class DemoAuditor : public ::testing::Test {
 protected:
  struct Line {
    std::string product;
    std::int64_t price;
    int quantity;
  };

  void SetUp() override {
    invoices_ =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,85123A,MUG,2,2010-12-01 08:26:00,2.55,17850,UK\n"
        "1,71053,\"LANTERN, SMALL\",1,2010-12-01 08:26:00,3.39,17850,UK\n"
        "1,POST,POSTAGE,1,2010-12-01 08:26:00,18.00,17850,UK\n"
        "2,85123a,MUG,1,2010-12-01 08:26:00,2.55,12345,UK\n"
        "C3,85123A,MUG,-1,2010-12-01 08:26:00,2.55,12345,UK\n"
        "4,71053,LANTERN,1,2010-12-01 08:26:00,3.39,,UK\n"
        "5,71053,LANTERN,3,2010-12-01 08:26:00,3.39,,UK\n";
    for (const auto& [id, sku] : {std::pair{"mug", "85123A@2.55"}, {"lantern", "71053@3.39"}}) {
      storesapi::ProductAdded added;
      added.set_id(id);
      added.set_sku(sku);
      tell(kProduct, added);
    }
    complete_one("O1");
    const std::vector<Line> mug = {{"mug", 255, 1}};
    submit("O2", mug);
    approve("O2", 255);
    list<depotapi::ShoppingListAvailable>("O2");
    list<depotapi::ShoppingListCanceled>("O2");
    cancel("O2", "2");
    about<paymentsapi::InvoiceCanceled>(kInvoice, "O2");
    submit("O4", {{"lantern", 339, 1}});
    about<ordersapi::OrderRejected>(kOrder, "O4");
    results_ = {
        {{"invoice", "1"}, {"outcome", "submitted"}, {"order_id", "O1"}, {"status", "completed"}},
        {{"invoice", "2"}, {"outcome", "submitted"}, {"order_id", "O2"}, {"status", "cancelled"}},
        {{"invoice", "4"}, {"outcome", "submitted"}, {"order_id", "O4"}, {"status", "rejected"}},
        {{"invoice", "5"}, {"outcome", "declined"}, {"order_id", "O5"}, {"status", ""}}};
    const std::int64_t totals[] = {594, 255, 339, 0};
    for (std::size_t i = 0; i < results_.size(); ++i) {
      results_[i]["final_total_minor"] = totals[i];
      results_[i]["submit_us"] = 12'500;
    }
    results_[1]["cancel"] = "accepted";
    closing_ = {{"invoices", 4}, {"rows", 7}, {"refused_not_goods", 1}};
    answer("O1", "completed", {{"mug", 255, 1}, {"lantern", 339, 1}},
           invoice_answer("paid", {849, 594, 594}));
    answer("O2", "cancelled", mug, invoice_answer("canceled", {255, 255, 0}));
    answer("O4", "rejected", {{"lantern", 339, 1}}, nullptr);
  }

  struct Amounts {
    std::int64_t first, amount, paid;
  };
  static nlohmann::json money_answer(std::int64_t minor) {
    return {{"minor", minor}, {"currency", "GBP"}};
  }
  static nlohmann::json invoice_answer(const char* state, const Amounts& amounts) {
    return {{"state", state},
            {"first_amount", money_answer(amounts.first)},
            {"amount", money_answer(amounts.amount)},
            {"paid", money_answer(amounts.paid)}};
  }
  /// What both gateways answer when they are asked for that order.
  void answer(const std::string& order, const char* status, const std::vector<Line>& lines,
              const nlohmann::json& invoice) {
    nlohmann::json goods = nlohmann::json::array();
    std::int64_t total = 0;
    for (const Line& line : lines) {
      goods.push_back({{"product_id", line.product}, {"quantity", line.quantity}});
      total += line.price * line.quantity;
    }
    const nlohmann::json both = {{"id", order},
                                 {"status", status},
                                 {"total", money_answer(total)},
                                 {"paid", status == std::string("completed")}};
    staff_[order] = kiosk_[order] = both;
    staff_[order].update({{"lines", goods}, {"invoice", invoice}});
    kiosk_[order]["items"] = goods;
  }
  void write_answers() {
    std::ofstream file(files_ / "answers.jsonl");
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& [order, body] : staff_)
      rows.push_back({{"id", order}, {"status", body["status"]}});
    int count = 1;
    const auto write = [&](const std::string& asked, const nlohmann::json& body) {
      file << R"({"asked":")" << asked << R"(","status":)" << (body.is_null() ? 403 : 200)
           << R"(,"body":)" << body.dump() << "}\n";
    };
    write("/admin/v1/orders?limit=200", {{"orders", rows}, {"next", nullptr}});
    for (const auto& [prefix, answers] : {std::pair{"/admin", &staff_}, {"/kiosk", &kiosk_}})
      for (const auto& [order, body] : *answers) {
        write(std::string{prefix} + "/v1/orders/" + order, body);
        ++count;
      }
    file << R"({"answers":)" << count << "}\n";
  }

  template <class Message>
  void tell(const char* topic, const Message& message) {
    told_.push_back({topic, Message::descriptor()->name(), message.SerializeAsString()});
  }
  template <class Message>
  void about(const char* topic, const std::string& order) {
    Message message;
    message.set_id(order);
    if constexpr (requires { message.set_order_id(order); }) message.set_order_id(order);
    tell(topic, message);
  }
  template <class Message>
  void invoice(const std::string& order, std::int64_t minor) {
    Message message;
    message.set_id(order);
    message.set_order_id(order);
    *message.mutable_amount() = money(minor);
    tell(kInvoice, message);
  }
  template <class Message>
  void list(const std::string& order) {
    Message message;
    message.set_id("L" + order);
    if constexpr (requires { message.set_order_id(order); }) message.set_order_id(order);
    if constexpr (requires { message.set_store_id("S"); }) message.set_store_id("S");
    tell(kList, message);
  }

  template <class Message>
  static Message with_lines(const std::string& order, const std::vector<Line>& lines) {
    Message message;
    message.set_id(order);
    std::int64_t total = 0;
    for (const Line& line : lines) {
      auto& added = *message.add_lines();
      added.set_product_id(line.product);
      *added.mutable_price() = money(line.price);
      added.set_quantity(line.quantity);
      total += line.price * line.quantity;
    }
    *message.mutable_total() = money(total);
    return message;
  }

  void submit(const std::string& order, const std::vector<Line>& lines) {
    tell(kCart, with_lines<ordersapi::CartCheckedOut>(order, lines));
    tell(kOrder, with_lines<ordersapi::OrderCreated>(order, lines));
  }
  void approve(const std::string& order, std::int64_t total) {
    ordersapi::OrderApproved approved;
    approved.set_id(order);
    *approved.mutable_total() = money(total);
    tell(kOrder, approved);
    invoice<paymentsapi::InvoiceCreated>(order, total);
  }
  void cancel(const std::string& order, const std::string& reason) {
    ordersapi::OrderCanceled canceled;
    canceled.set_id(order);
    canceled.set_reason(reason);
    tell(kOrder, canceled);
  }

  /// Two mugs and a lantern ordered and paid early; one mug is not on the shelf.
  void complete_one(const std::string& order) {
    submit(order, {{"mug", 255, 2}, {"lantern", 339, 1}});
    approve(order, 849);
    invoice<paymentsapi::InvoicePaid>(order, 849);
    about<ordersapi::OrderPaid>(kOrder, order);
    list<depotapi::ShoppingListAvailable>(order);
    list<depotapi::ShoppingListAssigned>(order);
    list<depotapi::ShoppingStarted>(order);
    about<ordersapi::OrderStarted>(kOrder, order);
    list<depotapi::BotArrivedAtStore>(order);
    depotapi::ItemsPickedUp picked;
    picked.set_id("L" + order);
    depotapi::ShoppingListCompleted counted;
    counted.set_id("L" + order);
    counted.set_order_id(order);
    for (const char* product : {"mug", "lantern"}) {
      for (depotapi::Count* count : {picked.add_picked(), counted.add_items()}) {
        count->set_product_id(product);
        count->set_quantity(1);
      }
    }
    tell(kList, picked);
    list<depotapi::ShoppingFinished>(order);
    list<depotapi::BotArrivedAtDepot>(order);
    tell(kList, counted);
    tell(kOrder,
         with_lines<ordersapi::OrderReadied>(order, {{"mug", 255, 1}, {"lantern", 339, 1}}));
    invoice<paymentsapi::InvoiceAdjusted>(order, 594);
    invoice<paymentsapi::InvoiceRefunded>(order, 255);
    about<ordersapi::OrderCompleted>(kOrder, order);
  }

  void write() {
    std::filesystem::create_directories(files_ / "topics");
    std::map<std::string, std::ofstream> dumps;
    std::map<std::string, int> offsets;
    for (std::size_t i = 0; i < told_.size(); ++i) {
      const Told& told = told_[i];
      auto& dump =
          dumps.try_emplace(told.topic, files_ / ("topics/" + told.topic + ".jsonl")).first->second;
      const std::string id = told.id.empty() ? "id-" + std::to_string(i) + "x" : told.id;
      dump << R"({"topic":")" << told.topic << R"(","partition":0,"offset":)"
           << offsets[told.topic]++ << R"(,"ts":)" << 1'000 + 10 * i
           << R"(,"key":"k","payload_base64":")" << base64(told.payload)
           << R"(","headers":["msg.id",")" << id << R"(","msg.name",")" << told.name << "_v1\"]}\n";
    }
    std::ofstream shoppers(files_ / "shoppers.jsonl");
    for (const auto& result : results_) shoppers << result.dump() << "\n";
    shoppers << closing_.dump() << "\n";
    std::ofstream(files_ / "invoices.csv") << invoices_;
    std::ofstream(files_ / "kills.txt") << kills_;
    write_answers();
  }
  Finished judge() {
    return run({"python3", "-B", "packaging/demo/auditor", "--invoices", files_ / "invoices.csv",
                "--limit", "100", "--topics", files_ / "topics", "--shoppers",
                files_ / "shoppers.jsonl", "--answers", files_ / "answers.jsonl", "--kills",
                files_ / "kills.txt"});
  }
  Finished audit() {
    write();
    return judge();
  }
  void expect_finding(const std::string& finding) {
    const Finished done = audit();
    EXPECT_EQ(done.ended.exit_code, 1) << done.output << done.errors;
    EXPECT_THAT(done.output, HasSubstr(finding));
    EXPECT_THAT(done.output, Not(HasSubstr("every penny its place")));
  }
  /// The nth of that name, told as `change` wants it.
  template <class Message>
  void change(std::size_t nth, const std::function<void(Message&)>& change) {
    for (Told& told : told_) {
      if (told.name != Message::descriptor()->name() || nth-- != 0) continue;
      Message message;
      message.ParseFromString(told.payload);
      change(message);
      told.payload = message.SerializeAsString();
    }
  }
  std::vector<Told>::iterator find(const std::string& name) {
    return std::ranges::find(told_, name, &Told::name);
  }

  TempDir files_;
  std::string invoices_, kills_;
  std::vector<Told> told_;
  std::vector<nlohmann::json> results_;
  nlohmann::json closing_;
  std::map<std::string, nlohmann::json> staff_, kiosk_;
};

TEST_F(DemoAuditor, FindsAGoodDayGoodAndGivesEveryRowItsFate) {
  const Finished done = audit();
  EXPECT_EQ(done.ended.exit_code, 0) << done.output << done.errors;
  EXPECT_THAT(done.output, HasSubstr("every penny its place"));
  for (const char* line : {"replayed, 5 invoices                       7 rows              40.05",
                           "ordered and carried away                 2 rows               8.49",
                           "cancelled                                2 rows               0.00",
                           "refused                                  3 rows              31.56",
                           "not_goods                              1 rows              18.00",
                           "card declined                          1 rows              10.17",
                           "in sum, as it must be                    7 rows              40.05",
                           "paid 8.49 (card 8.49, cash 0.00) - refunded 2.55 = kept 5.94",
                           "1 cancelled, 1 completed, 1 rejected",
                           "3 orders at the staff's API, 3 at the kiosk; by the former invoiced "
                           "11.04, after counting 8.49, paid less refunded 5.94"}) {
    EXPECT_THAT(done.output, HasSubstr(line));
  }
}

TEST_F(DemoAuditor, NamesAnOrderThatIsNotInTheTopics) {
  std::erase_if(told_, [](const Told& told) { return told.name == "OrderRejected"; });
  expect_finding("lost: order O4: it has not come to an end");
}

TEST_F(DemoAuditor, NamesAPaymentThatNobodyToldTheOrderOf) {
  told_.erase(find("OrderPaid"));
  expect_finding("lost: order O1: completed without OrderPaid");
}

TEST_F(DemoAuditor, NamesAnEffectThatHappenedTwice) {
  const auto paid = find("InvoicePaid");
  told_.insert(paid, Told{*paid});
  expect_finding("doubled: order O1, InvoicePaid at mallbots.payments.events.Invoice/0/2");
}

TEST_F(DemoAuditor, ExcusesAMessagePublishedAgainUnderItsIdByAKillOnly) {
  auto paid = find("InvoicePaid");
  paid->id = "the-same";
  told_.insert(paid, Told{*paid});
  expect_finding("published twice under one id, and nobody was killed");
  kills_ = "payments pid=7 unix_ms=1000\n";
  const Finished done = audit();
  EXPECT_EQ(done.ended.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("1 messages published again and known by their id"));
}

TEST_F(DemoAuditor, NamesEventsInAnOrderThatTheRulesDoNotAllow) {
  std::iter_swap(find("OrderReadied"), find("OrderApproved"));
  expect_finding("out of order: order O1");
}

TEST_F(DemoAuditor, NamesTheEventWhoseAmountIsAPennyTooHigh) {
  change<paymentsapi::InvoicePaid>(
      0, [](auto& paid) { paid.mutable_amount()->set_minor(paid.amount().minor() + 1); });
  expect_finding("wrong amount: order O1, InvoicePaid at");
}

TEST_F(DemoAuditor, NamesAnOrderOverAnotherAmountThanItsInvoice) {
  change<ordersapi::OrderCreated>(2, [](auto& created) {
    created.mutable_lines(0)->mutable_price()->set_minor(338);
    created.mutable_total()->set_minor(338);
  });
  expect_finding("3.38; invoice 4 adds up to 3.39");
}

TEST_F(DemoAuditor, NamesAnOrderWithOtherGoodsThanItsInvoice) {
  change<ordersapi::OrderCreated>(2, [](auto& made) { made.mutable_lines(0)->set_quantity(2); });
  expect_finding("wrong goods: order O4");
}

TEST_F(DemoAuditor, NamesMoreCountedThanPickedUp) {
  change<depotapi::ShoppingListCompleted>(
      0, [](auto& counted) { counted.mutable_items(0)->set_quantity(2); });
  expect_finding("more counted than robots picked up");
}

TEST_F(DemoAuditor, NamesWhatTheKioskToldOtherwise) {
  results_[0]["status"] = "ready";
  expect_finding("told otherwise: order O1: the kiosk calls it ready, the topics completed");
}

TEST_F(DemoAuditor, NamesAnAmountThatTheStaffsApiAnswersWrongly) {
  staff_["O1"]["invoice"]["paid"]["minor"] = 849;  // as if nothing had been refunded
  expect_finding(
      "told otherwise: order O1: the staff's API says of its invoice: paid 8.49; the topics 5.94");
  expect_finding("told otherwise: all orders: by the staff's API 8.49 were kept, by the topics");
}

TEST_F(DemoAuditor, NamesAnInvoiceOverAnotherAmountThanTheFile) {
  staff_["O1"]["invoice"]["first_amount"]["minor"] = 850;
  expect_finding("order O1: the staff's API invoiced 8.50; invoice 1 adds up to 8.49");
}

TEST_F(DemoAuditor, NamesAStateThatAGatewayAnswersWrongly) {
  staff_["O2"]["invoice"]["state"] = "pending";
  kiosk_["O4"]["status"] = "pending";
  expect_finding("order O2: the staff's API says of its invoice: state pending; the topics");
  expect_finding("order O4: the kiosk calls it pending, the topics rejected");
}

TEST_F(DemoAuditor, ExcusesACardThatShowsNoOrderOnlyIfTheOrderEndedBeforeItWasApproved) {
  kiosk_["O4"] = nullptr;  // answered 403
  const Finished done = audit();
  EXPECT_EQ(done.ended.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("3 orders at the staff's API, 2 at the kiosk"));
  kiosk_["O2"] = nullptr;
  expect_finding("told otherwise: order O2: the kiosk answers 403 for it");
}

TEST_F(DemoAuditor, NamesGoodsAndTotalsThatAGatewayAnswersWrongly) {
  kiosk_["O1"]["items"][0]["quantity"] = 2;
  staff_["O1"]["total"]["minor"] = nullptr;
  expect_finding("order O1: the kiosk has other products or quantities than OrderReadied");
  expect_finding("order O1: the staff's API says None, the topics 5.94");
}

TEST_F(DemoAuditor, NamesOrdersThatOneSideAloneKnows) {
  staff_["O7"] = staff_["O1"];
  staff_["O2"]["invoice"] = nullptr;
  staff_.erase("O4");
  expect_finding("order O7: the staff's API has it, the topics do not");
  expect_finding("order O2: the staff's API has no invoice, the topics have one");
  expect_finding("order O4: the staff's list does not have it");
}

TEST_F(DemoAuditor, HasNoVerdictWithoutTheWholeOfTheAnswers) {
  write();
  std::ofstream(files_ / "answers.jsonl") << R"({"asked":"/admin/v1/orders/O1","status":200)"
                                             "\n";
  Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_THAT(done.errors, HasSubstr("answers.jsonl:1: no answer of the public API"));
  std::ofstream(files_ / "answers.jsonl") << R"({"asked":"","status":200,"body":null})"
                                             "\n";
  done = judge();
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_THAT(done.errors, HasSubstr("the closing line is missing"));
}

TEST_F(DemoAuditor, NamesADeclinedCartThatIsAnOrderAllTheSame) {
  submit("O5", {{"lantern", 339, 3}});
  expect_finding("doubled: order O5: invoice 5 was declined, and it is an order all the same");
}

TEST_F(DemoAuditor, NamesAnInvoiceThatTheShoppersForgot) {
  results_.erase(results_.begin() + 3);
  expect_finding("lost: invoice 5: the shoppers say nothing of it");
}

TEST_F(DemoAuditor, NamesAnOrderOfNobody) {
  submit("O9", {{"mug", 255, 1}});
  about<ordersapi::OrderRejected>(kOrder, "O9");
  expect_finding("wrong goods: order O9: an order that none of the shoppers made");
}

TEST_F(DemoAuditor, NamesRefusalsThatTheShoppersCountedOtherwise) {
  closing_["refused_not_goods"] = 2;
  expect_finding("reason not_goods: the shoppers refused 2 rows, by the rules it is 1");
}

TEST_F(DemoAuditor, NamesDeadLetters) {
  told_.push_back({"mallbots.orders.events.Order.depot.dlq", "OrderCanceled", ""});
  expect_finding("dead letter: OrderCanceled");
}

TEST_F(DemoAuditor, HasNoVerdictOnTornEvidence) {
  write();
  std::ofstream(files_ / "shoppers.jsonl", std::ios::app) << "{\"invoice\"";
  const Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_EQ(done.output, "");
  EXPECT_THAT(done.errors, HasSubstr("shoppers.jsonl:6: the file ends in the middle of a line"));
}

class DemoSabotage : public DemoAuditor, public ::testing::WithParamInterface<const char*> {};

TEST_P(DemoSabotage, IsCaughtByTheOrderItNames) {
  write();
  const Finished tampered =
      run({"python3", "-B", "packaging/demo/sabotage.py", GetParam(), files_.path()});
  ASSERT_EQ(tampered.ended.exit_code, 0) << tampered.errors;
  EXPECT_THAT(tampered.output, HasSubstr("order O1, "));
  const Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 1) << done.output << done.errors;
  EXPECT_THAT(done.output, HasSubstr(": order O1"));
}
INSTANTIATE_TEST_SUITE_P(EachKind, DemoSabotage,
                         ::testing::Values("drop", "double", "reorder", "penny", "answer"));

}  // namespace
}  // namespace mallbots::test
