// M20: the bundle of show tickets, two flights and a taxi, as a saga that follows events.
#include "clients/toolkit/saga/saga.h"

#include <gtest/gtest.h>

#include "tests/clients/toolkit/saga/service.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using toolkit::command;
using toolkit::event;
using toolkit::field;
using toolkit::SagaMove;
using toolkit::SagaOut;

/// A message of the bundle: all carry its id and one text.
template <std::size_t kSize>
struct Name {
  char text[kSize];
  constexpr Name(const char (&from)[kSize]) { std::copy_n(from, kSize, text); }  // NOLINT
};
template <Name kName, bool kIsCommand>
struct BundleMessage {
  static constexpr auto kMessage = kIsCommand ? command(kName.text, 1) : event(kName.text, 1);
  std::string bundle;
  std::string what{};
  static constexpr auto fields() {
    return std::tuple{field("bundle", &BundleMessage::bundle), field("what", &BundleMessage::what)};
  }
};
using BookShow = BundleMessage<"BookShow", true>;
using BookFlight = BundleMessage<"BookFlight", true>;
using BookTaxi = BundleMessage<"BookTaxi", true>;
using RefundTicket = BundleMessage<"RefundTicket", true>;
using CancelFlight = BundleMessage<"CancelFlight", true>;
using ShowBooked = BundleMessage<"ShowBooked", false>;
using ShowFailed = BundleMessage<"ShowFailed", false>;
using TicketConfirmed = BundleMessage<"TicketConfirmed", false>;
using FlightBooked = BundleMessage<"FlightBooked", false>;
using FlightFailed = BundleMessage<"FlightFailed", false>;
using TaxiBooked = BundleMessage<"TaxiBooked", false>;
using TaxiFailed = BundleMessage<"TaxiFailed", false>;
using BundleFinalized = BundleMessage<"BundleFinalized", false>;

constexpr std::size_t kTickets = 3;

struct Bundle {
  std::string id;
  std::vector<std::string> tickets;
  std::vector<std::string> flights;
  static constexpr auto fields() {
    return std::tuple{field("id", &Bundle::id), field("tickets", &Bundle::tickets),
                      field("flights", &Bundle::flights)};
  }
};

toolkit::Handled refund_tickets(const Bundle& bundle, SagaOut& out) {
  if (bundle.tickets.size() < kTickets)
    return toolkit::not_now("TicketsMissing", "not all tickets are confirmed yet", 100);
  for (const std::string& ticket : bundle.tickets) out.send(RefundTicket{bundle.id, ticket});
  return {};
}

toolkit::Saga<Bundle> bundle_saga() {
  const auto id = [](const auto& event) { return event.bundle; };
  const auto next = [](Bundle&, const auto&) { return SagaMove::next(); };
  const auto back = [](Bundle&, const auto& event) { return SagaMove::back(event.what); };
  return toolkit::Saga<Bundle>{"bundle", toolkit::SagaAnswers::kEvents}
      .step("book show", [](const Bundle& bundle, SagaOut& out) { out.send(BookShow{bundle.id}); })
      .undo(refund_tickets)
      .step("book flight there",
            [](const Bundle& bundle, SagaOut& out) { out.send(BookFlight{bundle.id, "there"}); })
      .undo([](const Bundle& bundle, SagaOut& out) {
        out.send(CancelFlight{bundle.id, bundle.flights.at(0)});
      })
      .step("book flight back",
            [](const Bundle& bundle, SagaOut& out) { out.send(BookFlight{bundle.id, "back"}); })
      .undo([](const Bundle& bundle, SagaOut& out) {
        out.send(CancelFlight{bundle.id, bundle.flights.at(1)});
      })
      .step("book taxi", [](const Bundle& bundle, SagaOut& out) { out.send(BookTaxi{bundle.id}); })
      .on<ShowBooked>(id, next)
      .on<TicketConfirmed>(id,
                           [](Bundle& bundle, const TicketConfirmed& event) {
                             bundle.tickets.push_back(event.what);
                             return SagaMove::stay();
                           })
      .on<FlightBooked>(id,
                        [](Bundle& bundle, const FlightBooked& event) {
                          bundle.flights.push_back(event.what);
                          return SagaMove::next();
                        })
      .on<TaxiBooked>(id, next)
      .on<ShowFailed>(id, back)
      .on<FlightFailed>(id, back)
      .on<TaxiFailed>(id, back)
      .finished([](const Bundle& bundle, bool success, SagaOut& out) {
        out.publish(BundleFinalized{bundle.id, success ? "true" : "false"});
      });
}

/// Every row once, and once with every message handled twice.
class BundleTest : public testing::TestWithParam<bool> {
 protected:
  BundleTest() {
    service_.pump.twice = GetParam();
    EXPECT_TRUE(runner_.open());
    service_.pump.add(runner_.registration());
    const auto begun = service_.database->transact([&](toolkit::Transaction& transaction) {
      EXPECT_TRUE(runner_.begin(transaction, "b", Bundle{.id = "b"}));
      EXPECT_TRUE(runner_.begin(transaction, "b", Bundle{.id = "b"}));  // is there already
      return Result<void>{};
    });
    EXPECT_TRUE(begun);
    service_.pump.run();
  }
  template <class Event>
  void happens(const std::string& what = {}, const std::string& bundle = "b") {
    const toolkit::EventBus events{names_};
    ASSERT_TRUE(events.publish(service_.bus, Event{bundle, what}));
    service_.pump.run();
  }
  void tickets() {
    for (const char* ticket : {"t1", "t2", "t3"}) happens<TicketConfirmed>(ticket);
  }
  std::size_t sent(const std::string& command) { return service_.count("commands." + command); }
  std::size_t all_sent() {
    std::size_t sum = 0;
    for (const char* name : {"BookShow", "BookFlight", "BookTaxi", "RefundTicket", "CancelFlight"})
      sum += sent(name);
    return sum;
  }
  std::string finalized() {
    const auto all = read_all(service_.bus, "events.BundleFinalized");
    EXPECT_LE(all.size(), 1U);
    if (all.empty()) return "";
    return toolkit::decode<BundleFinalized>(toolkit::Message{all[0].view()})->what;
  }
  toolkit::SagaInstance instance() { return runner_.find("b").value().value(); }

  toolkit::TopicNames names_{.service = "bundles"};
  Service service_;
  toolkit::SagaRunner runner_{bundle_saga().plan(), service_.store(), names_};
};
INSTANTIATE_TEST_SUITE_P(Deliveries, BundleTest, testing::Values(false, true),
                         [](const auto& of) { return of.param ? "Twice" : "Once"; });

TEST_P(BundleTest, HappyPathIsOneCommandPerStepAndOneFinalizedEvent) {
  // M20.2
  EXPECT_EQ(all_sent(), 1U);
  happens<ShowBooked>();
  EXPECT_EQ(instance().step, "book flight there");
  EXPECT_EQ(all_sent(), 2U);
  tickets();
  happens<FlightBooked>("f1");
  EXPECT_EQ(all_sent(), 3U);
  happens<FlightBooked>("f2");
  EXPECT_EQ(all_sent(), 4U);
  EXPECT_EQ(finalized(), "");
  happens<TaxiBooked>();
  EXPECT_EQ(all_sent(), 4U);
  EXPECT_EQ(finalized(), "true");
  EXPECT_EQ(instance().state, toolkit::SagaState::kDone);
  happens<TaxiFailed>("late");
  EXPECT_EQ(finalized(), "true");
}

TEST_P(BundleTest, FirstStepFailsFinalizedWithoutACommand) {
  // M20.3
  happens<ShowFailed>("sold out");
  EXPECT_EQ(all_sent(), 1U);  // the booking that failed, and nothing after it
  EXPECT_EQ(finalized(), "false");
  EXPECT_EQ(instance().state, toolkit::SagaState::kUndone);
  EXPECT_EQ(instance().reason, "sold out");
}

TEST_P(BundleTest, FlightFailsBeforeTheTicketsAreConfirmedWaitsThenThreeRefunds) {
  // M20.4
  happens<ShowBooked>();
  happens<TicketConfirmed>("t1");
  happens<FlightFailed>("no seat");
  EXPECT_GE(service_.pump.failures, 1U);
  EXPECT_EQ(sent("RefundTicket"), 0U);
  EXPECT_EQ(instance().state, toolkit::SagaState::kRunning);
  happens<TicketConfirmed>("t2");
  happens<TicketConfirmed>("t3");
  EXPECT_TRUE(eventually([&] {
    service_.pump.run();
    return sent("RefundTicket") == 3;
  }));
  EXPECT_EQ(sent("CancelFlight"), 0U);
  EXPECT_EQ(finalized(), "false");
}

TEST_P(BundleTest, ReturnFlightFailsThreeRefundsAndOneCancel) {
  // M20.5
  happens<ShowBooked>();
  tickets();
  happens<FlightBooked>("f1");
  happens<FlightFailed>();
  EXPECT_EQ(sent("RefundTicket"), 3U);
  EXPECT_EQ(sent("CancelFlight"), 1U);
  EXPECT_EQ(finalized(), "false");
}

TEST_P(BundleTest, TaxiFailsThreeRefundsAndTwoCancels) {
  // M20.5: five commands
  happens<ShowBooked>();
  tickets();
  happens<FlightBooked>("f1");
  happens<FlightBooked>("f2");
  happens<TaxiFailed>();
  EXPECT_EQ(sent("RefundTicket"), 3U);
  EXPECT_EQ(sent("CancelFlight"), 2U);
  EXPECT_EQ(finalized(), "false");
}

TEST_P(BundleTest, EventsOfUnrelatedBookingsAreIgnored) {
  // M20.6
  happens<ShowBooked>("", "another");
  happens<FlightFailed>("", "another");
  EXPECT_EQ(instance().step, "book show");
  EXPECT_EQ(all_sent(), 1U);
  EXPECT_EQ(service_.pump.failures, 0U);
}

TEST_P(BundleTest, CommandsHaveTheSameIdHoweverOftenTheyAreMade) {
  // M20.7
  const auto command = read_all(service_.bus, "commands.BookShow");
  ASSERT_EQ(command.size(), 1U);
  EXPECT_EQ(toolkit::Message{command[0].view()}.id(), "saga/bundle/0/do/0/0/b");
}

TEST(SagaPlan, IsPrintedAsADiagram) {
  const std::string text = bundle_saga().plan().mermaid();
  EXPECT_EQ(text,
            "stateDiagram-v2\n"
            "  direction TB\n"
            "  s0 : book show\n"
            "  s1 : book flight there\n"
            "  s2 : book flight back\n"
            "  s3 : book taxi\n"
            "  u0 : undo book show\n"
            "  u1 : undo book flight there\n"
            "  u2 : undo book flight back\n"
            "  [*] --> s0\n"
            "  s0 --> s1 : done\n"
            "  s0 --> [*] : failed\n"
            "  s1 --> s2 : done\n"
            "  s1 --> u0 : failed\n"
            "  s2 --> s3 : done\n"
            "  s2 --> u1 : failed\n"
            "  s3 --> [*] : done\n"
            "  s3 --> u2 : failed\n"
            "  u2 --> u1\n"
            "  u1 --> u0\n"
            "  u0 --> [*]\n");
}

}  // namespace
}  // namespace mallbots::test
