// Pump: delivers what lies on an in-process bus to registered handlers, one message after the other
// in the test's own thread, until nothing is left: the simplest router there can be, so that a test
// says when what happens. `twice`: every message is handled a second time after it has succeeded,
// as after a lost acknowledgement; so it is from the start under the chaos switch (MALLBOTS_CHAOS),
// whatever it asks for, unless a test that counts says otherwise. With a database every handler
// runs in a transaction (transactional).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "clients/toolkit/cqrs/processors.h"
#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/store/relay.h"
#include "clients/toolkit/store/transactional.h"
#include "tests/clients/toolkit/twice.h"

namespace mallbots::test {

class Pump {
 public:
  explicit Pump(toolkit::InProcessBus& bus) : bus_(&bus) {}

  void add(toolkit::Registration registration) {
    auto member = std::make_unique<Member>();
    member->subscription = bus_->subscribe({.topics = registration.info.topics,
                                            .group = registration.info.group,
                                            .max_in_flight = 1,
                                            .max_deliveries = 0,  // as long as the test lasts
                                            .redelivery = {.first_ms = 1, .max_ms = 1}})
                               .value();
    member->registration = std::move(registration);
    members_.push_back(std::move(member));
  }
  void add(std::vector<toolkit::Registration> registrations) {
    for (toolkit::Registration& one : registrations) add(std::move(one));
  }
  /// With the service's database; its outbox is relayed while the pump runs.
  void add(toolkit::Registration registration, toolkit::Database& database, toolkit::Inbox& inbox,
           toolkit::Outbox& outbox) {
    registration.handler =
        transactional(database, inbox, outbox).wrap(registration.handler, registration.info);
    add(std::move(registration));
  }
  void add(std::vector<toolkit::Registration> registrations, toolkit::Database& database,
           toolkit::Inbox& inbox, toolkit::Outbox& outbox) {
    for (toolkit::Registration& one : registrations) add(std::move(one), database, inbox, outbox);
  }
  /// Something else that may have work; it says how much it did.
  void add(std::function<std::size_t()> work) { works_.push_back(std::move(work)); }

  bool twice = is_everything_twice();
  std::size_t failures = 0;  ///< of handlers; a failed message comes again in a later run()

  /// Until there is nothing to do now; a message that failed comes again in a later run.
  void run() {
    for (;;) {
      bool quiet = true;
      for (const auto& member : members_)
        while (deliver(*member)) quiet = false;
      for (const auto& work : works_)
        while (work() > 0) quiet = false;
      if (quiet) return;
    }
  }

 private:
  struct Member {
    toolkit::Registration registration;
    std::unique_ptr<toolkit::Subscription> subscription;
  };

  bool deliver(Member& member) {
    auto delivery = member.subscription->receive(Deadline::passed());
    if (!delivery || !*delivery) return false;
    auto handled = handle(member, **delivery);
    if (handled && twice) handled = handle(member, **delivery);
    if (handled) {
      static_cast<void>((*delivery)->ack());
    } else {
      ++failures;
      const toolkit::HandlerFailure& failure = handled.error();
      if (failure.again == toolkit::Again::kNever)
        static_cast<void>((*delivery)->reject({failure.type, failure.text, "pump"}));
      else
        static_cast<void>((*delivery)->nack({failure.type, failure.text, "pump"}));
    }
    return true;
  }
  toolkit::Handled handle(Member& member, toolkit::Delivery& delivery) {
    const toolkit::Message message{delivery.message(), delivery.attempt()};
    const toolkit::Context::Surroundings around{
        &member.registration.info, bus_, &toolkit::system_clock(), {}};
    toolkit::Context context{around, message};
    auto handled = member.registration.handler(context, message);
    if (!handled) return handled;
    for (toolkit::Output& output : context.take_outputs())
      static_cast<void>(toolkit::publish(*bus_, output.topic, {&output.draft, 1}, context.cause()));
    return handled;
  }

  toolkit::InProcessBus* bus_;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<std::function<std::size_t()>> works_;
};

}  // namespace mallbots::test
