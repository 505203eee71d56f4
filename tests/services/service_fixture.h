// A service without a process around it: database in memory, outbox, inbox, the in-process bus.
// What a router does with a message is done by deliver(); what the service told others is read with
// told() after the relay has run.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/store/relay.h"
#include "clients/toolkit/store/transactional.h"
#include "services/runtime/unit.h"
#include "tests/clients/toolkit/reading.h"

namespace mallbots::test {

class ServiceTest : public testing::Test {
 protected:
  [[nodiscard]] Units units() { return {*database_, *outbox_}; }

  /// Handles the message in a transaction with inbox and outbox, as the router would. The same id
  /// is the same message.
  template <class Body, class Function>
  toolkit::Handled deliver(const Body& body, const Function& handle, const std::string& id = {}) {
    return with_message(body, id, [&](toolkit::Context& context, const toolkit::Message& message) {
      const toolkit::Handler handler = [&](toolkit::Context& inner, const toolkit::Message&) {
        return toolkit::Handled(handle(inner, body));
      };
      return toolkit::handle_in_transaction(*database_, *inbox_, *outbox_, handler, context,
                                            message);
    });
  }
  /// Without a transaction.
  template <class Body, class Function>
  toolkit::Handled deliver_bare(const Body& body, const Function& handle) {
    return with_message(body, {}, [&](toolkit::Context& context, const toolkit::Message&) {
      return handle(context, body);
    });
  }

  /// Wire names of all messages of the topic, in order.
  std::vector<std::string> told(const std::string& topic) {
    std::vector<std::string> names;
    for_each(topic, [&](const toolkit::Message& message) { names.emplace_back(message.name()); });
    return names;
  }
  /// All messages of one type on its topic.
  template <class Body>
  std::vector<Body> all_of(const toolkit::TopicNames& names) {
    std::vector<Body> bodies;
    for_each(names.topic_of(toolkit::kMessageType<Body>), [&](const toolkit::Message& message) {
      if (message.name() != toolkit::kMessageType<Body>.wire_name()) return;
      auto body = toolkit::decode<Body>(message);
      ASSERT_TRUE(body.has_value()) << body.error().sentence();
      bodies.push_back(*std::move(body));
    });
    return bodies;
  }

  std::unique_ptr<toolkit::Database> database_ = toolkit::Database::open().value();
  std::unique_ptr<toolkit::Outbox> outbox_ = toolkit::Outbox::open(*database_).value();
  std::unique_ptr<toolkit::Inbox> inbox_ = toolkit::Inbox::open(*database_).value();
  toolkit::InProcessBus bus_{{.keep_all = true}};
  toolkit::Relay relay_{*database_, *outbox_, bus_};

 private:
  template <class Body, class Call>
  toolkit::Handled with_message(const Body& body, const std::string& id, const Call& call) {
    toolkit::Draft draft = toolkit::encode(body);
    draft.id = id;
    toolkit::fill(draft, {});
    const toolkit::DraftRecord record(draft);
    const auto owned = client::as_message(record.record(), {}).value();
    const toolkit::Message message(owned.view());
    const toolkit::HandlerInfo info{"test", "test", {}};
    const toolkit::Context::Surroundings around{&info, &bus_, &toolkit::system_clock()};
    toolkit::Context context(around, message);
    return call(context, message);
  }
  void for_each(const std::string& topic,
                const std::function<void(const toolkit::Message&)>& visit) {
    while (relay_.run_once().value_or(0) != 0) {
    }
    for (const auto& owned : read_all(bus_, topic)) visit(toolkit::Message(owned.view()));
  }
};

/// The reason of a refusal; fails the test if it is none.
template <class T>
RefusalKind refusal_of(const Outcome<T>& outcome) {
  if (!outcome && std::holds_alternative<Refusal>(outcome.error())) {
    return std::get<Refusal>(outcome.error()).kind;
  }
  ADD_FAILURE() << "no refusal";
  return {};
}

}  // namespace mallbots::test
