// crash_child DIRECTORY: the shop of crash_shop.h over what lies in the directory, until there is
// nothing left to do. Every message of the log is delivered again at each start; with SHOP_TWICE
// every message is handled twice, too.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "clients/toolkit/saga/saga_runner.h"
#include "clients/toolkit/store/relay.h"
#include "clients/toolkit/views/view_runner.h"
#include "tests/clients/toolkit/crash_shop.h"
#include "tests/clients/toolkit/log_bus.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::Handled;
using toolkit::SagaOut;

toolkit::SagaPlan plan() {
  const auto send = [](const char* what) {
    return [what](const Order& order, SagaOut& out) { out.send(Do{order.id, what}); };
  };
  return toolkit::Saga<Order>{"order"}
      .begins_with<OrderPlaced>([](const OrderPlaced& event) { return event.id; },
                                [](const OrderPlaced& event) { return Order{event}; })
      .undo(send("reject"))
      .step("make list", send("make list"))
      .undo(send("cancel list"))
      .step("pay", send("pay"))
      .undo(send("refund"))
      .step("ship", send("ship"))
      .finished([](const Order& order, bool success, SagaOut& out) {
        out.publish(OrderEnded{order.id, success});
      })
      .plan();
}

class Shop {
 public:
  explicit Shop(const std::string& directory)
      : log_(directory + "/log.db"),
        database_(toolkit::Database::open({.path = directory + "/shop.db"}).value()),
        inbox_(toolkit::Inbox::open(*database_).value()),
        outbox_(toolkit::Outbox::open(*database_).value()) {}

  bool run() {
    if (!database_->ensure("create table if not exists effects (what text)")) return false;
    if (!saga_.open() || !view_.open()) return false;
    toolkit::CommandProcessor processor{names_};
    if (!processor.handle<Do>(&carry_out)) return false;
    for (const toolkit::Registration& one : processor.registrations()) {
      const auto in_transaction =
          transactional(*database_, *inbox_, *outbox_).wrap(one.handler, one.info);
      registrations_.push_back({one.info, in_transaction});
    }
    registrations_.push_back(saga_.registration());
    for (;;) {
      const std::int64_t before = log_.size();
      const bool delivered = deliver_all();
      while (relay_.run_once().value() > 0) {
      }
      while (view_.run_once().value() > 0) {
      }
      while (relay_.run_once().value() > 0) {
      }
      if (!delivered && log_.size() == before) return true;
    }
  }

 private:
  static Handled carry_out(Context& context, const Do& command) {
    if (const auto noted = toolkit::transaction_of(context).run(
            "insert into effects values (?)", {command.order + " " + command.what});
        !noted)
      return std::unexpected(toolkit::HandlerFailure{noted.error()});
    if (command.order == kPoorOrder && command.what == "pay")
      return toolkit::give_up("NoMoney", command.order);
    return {};
  }

  bool deliver_all() {
    bool any = false;
    for (toolkit::Registration& registration : registrations_) {
      for (const std::string& topic : registration.info.topics) {
        Offset& next = next_[registration.info.group + topic];
        for (const client::OwnedMessage& message : log_.read(topic, next)) {
          deliver(registration, message);
          if (std::getenv("SHOP_TWICE") != nullptr) deliver(registration, message);
          ++next;
          any = true;
        }
      }
    }
    return any;
  }
  void deliver(toolkit::Registration& registration, const client::OwnedMessage& logged) {
    const toolkit::Message message{logged.view()};
    const Context::Surroundings around{&registration.info, &log_, &toolkit::system_clock(), {}};
    Context context{around, message};
    if (const auto handled = registration.handler(context, message); !handled) {
      std::fprintf(stderr, "%s: %s\n", handled.error().type.c_str(), handled.error().text.c_str());
      std::exit(3);
    }
  }

  toolkit::TopicNames names_{.service = "shop",
                             .event_topic = [](const auto&) { return "events"; }};
  LogBus log_;
  std::unique_ptr<toolkit::Database> database_;
  std::unique_ptr<toolkit::Inbox> inbox_;
  std::unique_ptr<toolkit::Outbox> outbox_;
  toolkit::Relay relay_{*database_, *outbox_, log_, {.batch = 2}};
  toolkit::SagaRunner saga_{plan(), {*database_, *inbox_, *outbox_}, names_};
  toolkit::ViewRunner view_{
      {toolkit::View{"orders", 1, "create table {orders} (id text, ended integer default 0);",
                     names_}
           .on<OrderPlaced>([](toolkit::ViewWork& work, const OrderPlaced& event) -> Handled {
             return done(work.run("insert into {orders} (id) values (?)", {event.id}));
           })
           .on<OrderEnded>([](toolkit::ViewWork& work, const OrderEnded& event) -> Handled {
             work.publish(OrderSeen{{event.id}});
             return done(
                 work.run("update {orders} set ended = ended + 1 where id = ?", {event.id}));
           })},
      {*database_, *inbox_, *outbox_},
      [this]() -> Result<std::unique_ptr<toolkit::TopicReader>> {
        return std::make_unique<LogBusReader>(log_, "events");
      },
      {.batch = 2}};
  static Handled done(const Result<std::int64_t>& changed) {
    if (!changed) return std::unexpected(toolkit::HandlerFailure{changed.error()});
    return {};
  }
  std::vector<toolkit::Registration> registrations_;
  std::map<std::string, Offset> next_;
};

}  // namespace
}  // namespace mallbots::test

int main(int count, char** arguments) {
  if (count != 2) return 2;
  return mallbots::test::Shop{arguments[1]}.run() ? 0 : 1;
}
