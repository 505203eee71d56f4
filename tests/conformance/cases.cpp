#include "tests/conformance/cases.h"

#include <algorithm>
#include <map>
#include <set>

#include "tests/conformance/cast.h"

namespace mallbots::test {
namespace {

Findings what_is_published_arrives_whole(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(2);
  Findings findings = publish(bus, topic, numbers(100), key_of_number);
  Crew crew{bus};
  crew.hire(group(topic, "g"), 1, [&](const toolkit::Delivery& delivery) {
    if (delivery->header("kind") != "number") crew.find("a header is missing");
    if (delivery->key_text() != key_of_number(std::string{delivery->text()}))
      crew.find("another key came");
    if (delivery.attempt() != 1) crew.find("the first attempt is not counted as 1");
    return true;
  });
  crew.wait_for(100);
  crew.dismiss();
  add(findings, compare(numbers(100), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings many_publishers_and_members_share_the_work_once(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(4);
  constexpr int kPublishers = 20;
  constexpr int kEach = 600;  // together enough to miss one in 10,000
  Findings findings;
  Crew crew{bus};
  for (int i = 0; i < 5; ++i) crew.hire(group(topic, "g"), 2);
  std::mutex mutex;
  std::vector<std::string> sent;
  {
    std::vector<std::jthread> publishers;
    for (int p = 0; p < kPublishers; ++p)
      publishers.emplace_back([&, p] {
        const auto own = numbers(kEach, std::to_string(p) + "/");
        Findings told;
        for (int at = 0; at < kEach; at += 60)
          add(told, publish(bus, topic, {own.begin() + at, own.begin() + at + 60}));
        const std::scoped_lock lock{mutex};
        add(findings, told);
        sent.insert(sent.end(), own.begin(), own.end());
      });
  }
  crew.wait_for(std::size_t{kPublishers} * kEach);
  crew.dismiss();
  // Members that came while others were reading may have taken messages over that were in flight.
  auto received = crew.texts();
  const std::set<std::string> distinct{received.begin(), received.end()};
  add(findings, compare(sent, {distinct.begin(), distinct.end()}));
  add(findings, crew.findings());
  return findings;
}

/// Sends messages that nobody counts until the members have shared the partitions among them: with
/// at least as many partitions as members that is when each of them gets some, and nothing moves
/// any more. How many messages it took.
std::size_t warm_up(BusUnderTest& bus, const std::string& topic, Crew& crew, std::size_t members,
                    Findings& findings) {
  const Deadline deadline = Deadline::after_ms(bus.patience_ms());
  const auto own_key = [](const std::string& text) { return text; };
  constexpr int kEach = 32;
  for (std::size_t sent = 0; !deadline.has_passed();) {
    const std::string prefix = "w" + std::to_string(sent) + "/";
    add(findings, publish(bus, topic, numbers(kEach, prefix), own_key));
    sent += kEach;
    if (!crew.wait_for(sent)) return sent;
    std::set<std::string> partitions;
    std::set<std::size_t> active;
    for (const Receipt& receipt : crew.done()) {
      if (!receipt.text.starts_with(prefix)) continue;
      partitions.insert(receipt.position.substr(0, receipt.position.find(':')));
      active.insert(receipt.member);
    }
    if (active.size() >= std::min(members, partitions.size())) return sent;
  }
  findings.push_back("the members never shared the partitions among them");
  return 0;
}

Findings settled_members_get_each_message_once(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(4);
  Findings findings;
  Crew crew{bus};
  for (int i = 0; i < 3; ++i) crew.hire(group(topic, "g"), 2);
  const std::size_t warmed = warm_up(bus, topic, crew, 3, findings);
  add(findings, publish(bus, topic, numbers(2'000), key_of_number));
  crew.wait_for(warmed + 2'000);
  std::this_thread::sleep_for(std::chrono::milliseconds{100});
  crew.dismiss();
  auto texts = crew.texts();
  std::erase_if(texts, [](const std::string& text) { return text.starts_with('w'); });
  if (const Findings doubles = crew.doubles(); !doubles.empty())
    add(findings, {doubles.front(), doubles.back()});
  add(findings, compare(numbers(2'000), texts));
  add(findings, crew.findings());
  return findings;
}

Findings topics_do_not_mix(BusUnderTest& bus) {
  Findings findings;
  std::vector<std::string> topics;
  std::vector<std::unique_ptr<Crew>> crews;
  for (int i = 0; i < 10; ++i) {
    topics.push_back(bus.make_topic(1));
    crews.push_back(std::make_unique<Crew>(bus));
    crews.back()->hire(group(topics.back(), "g"));
  }
  for (const std::string& topic : topics) add(findings, publish(bus, topic, numbers(50, topic)));
  for (std::size_t i = 0; i < topics.size(); ++i) {
    crews[i]->wait_for(50);
    crews[i]->dismiss();
    add(findings, compare(numbers(50, topics[i]), crews[i]->texts()));
    add(findings, crews[i]->findings());
  }
  return findings;
}

Findings what_failed_comes_again(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(100));
  std::mutex mutex;
  std::map<std::string, int> tries;
  Crew crew{bus};
  crew.hire(group(topic, "g"), 2, [&](const toolkit::Delivery& delivery) {
    const std::scoped_lock lock{mutex};
    const int now = ++tries[std::string{delivery->text()}];
    if (delivery.attempt() != static_cast<std::uint32_t>(now)) crew.find("attempts are miscounted");
    return now > 2;
  });
  crew.wait_for(100);
  crew.dismiss();
  add(findings, compare(numbers(100), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings the_next_one_waits_for_the_acknowledgement(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(2));
  auto options = group(topic, "g");
  options.max_in_flight = 1;
  auto subscription = bus.subscriber().subscribe(options);
  if (!subscription) return {subscription.error().sentence()};
  auto first = receive(**subscription, findings);
  if (!first) return findings;
  const auto early = (*subscription)->receive(Deadline::after_ms(100));
  if (early && *early) findings.push_back("the second came before the first was acknowledged");
  if (!first->ack()) findings.push_back("no ack");
  if (auto second = receive(**subscription, findings))
    if (second->message().text() != "1" || !second->ack()) findings.push_back("not the second");
  return findings;
}

Findings nothing_is_lost_across_closed_subscriptions(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(2);
  Findings findings = publish(bus, topic, numbers(500), key_of_number);
  std::vector<std::string> received;
  for (int round = 0; round < 20 && received.size() < 500; ++round) {
    auto subscription = bus.subscriber().subscribe(group(topic, "g"));
    if (!subscription) return {subscription.error().sentence()};
    for (int i = 0; i < 50 && received.size() < 500; ++i) {
      auto delivery = receive(**subscription, findings);
      if (!delivery) return findings;
      received.emplace_back(delivery->message().text());
      if (!delivery->ack()) findings.push_back("no ack");
    }
    if (!(*subscription)->close(Deadline::after_ms(kPatienceMs))) findings.push_back("no close");
  }
  add(findings, compare(numbers(500), received));
  return findings;
}

Findings closing_at_once_harms_nobody(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(2);
  Findings findings;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 10; ++i)
      threads.emplace_back([&bus, &topic] {
        auto subscription = bus.subscriber().subscribe(group(topic, "g"));
        if (subscription) static_cast<void>((*subscription)->close(Deadline::after_ms(100)));
      });
  }
  add(findings, publish(bus, topic, numbers(50)));
  Crew crew{bus};
  crew.hire(group(topic, "g"));
  crew.wait_for(50);
  crew.dismiss();
  add(findings, compare(numbers(50), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings failures_do_not_use_messages_up(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(2);
  Findings findings = publish(bus, topic, numbers(50));
  auto options = group(topic, "g");
  options.max_deliveries = 0;
  for (int round = 0; round < 3; ++round) {
    auto subscription = bus.subscriber().subscribe(options);
    if (!subscription) return {subscription.error().sentence()};
    for (int i = 0; i < 60; ++i)
      if (auto delivery = receive(**subscription, findings))
        if (!delivery->nack({.type = "Refused"})) findings.push_back("no nack");
  }
  Crew crew{bus};
  crew.hire(options);
  crew.wait_for(50);
  crew.dismiss();
  add(findings, compare(numbers(50), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings the_order_of_a_key_is_kept(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(3);
  Findings findings;
  Crew crew{bus};
  crew.hire(group(topic, "g"), 8, [](const toolkit::Delivery& delivery) {
    // Some fail once: what comes after them in their key must wait.
    return delivery.attempt() > 1 || std::stoul(std::string{delivery->text()}) % 37 != 0;
  });
  for (int at = 0; at < 1'000; at += 100)
    add(findings, publish(bus, topic, numbers(100, {}, at), key_of_number));
  crew.wait_for(1'000);
  crew.dismiss();
  std::map<std::string, unsigned long> last;
  for (const Receipt& receipt : crew.done()) {
    const unsigned long number = std::stoul(receipt.text);
    if (last.contains(receipt.key) && last[receipt.key] >= number)
      findings.push_back(receipt.key + ": " + receipt.text + " came after " +
                         std::to_string(last[receipt.key]));
    last[receipt.key] = number;
  }
  add(findings, compare(numbers(1'000), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings a_delivery_outlives_the_ones_after_it(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(40));
  auto subscription = bus.subscriber().subscribe(group(topic, "g"));
  if (!subscription) return {subscription.error().sentence()};
  std::vector<toolkit::Delivery> held;
  for (int i = 0; i < 40; ++i)
    if (auto delivery = receive(**subscription, findings)) held.push_back(std::move(*delivery));
  for (std::size_t i = held.size(); i-- > 0;) {
    if (held[i].message().text() != std::to_string(i)) findings.push_back("a message changed");
    if (!held[i].ack()) findings.push_back("no ack");
  }
  return findings;
}

Findings the_next_subscription_gets_what_was_not_acknowledged(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(20));
  {
    auto subscription = bus.subscriber().subscribe(group(topic, "g"));
    if (!subscription) return {subscription.error().sentence()};
    for (int i = 0; i < 5; ++i)
      if (auto delivery = receive(**subscription, findings))
        if (!delivery->ack()) findings.push_back("no ack");
    auto dropped = receive(**subscription, findings);  // and never settled
    dropped.reset();
    if (!(*subscription)->close(Deadline::after_ms(kPatienceMs))) findings.push_back("no close");
    const auto late = (*subscription)->receive(Deadline::passed());
    if (late || late.error().code != ErrorCode::kClosed) findings.push_back("closed, yet it gives");
  }
  Crew crew{bus};
  crew.hire(group(topic, "g"));
  crew.wait_for(15);
  crew.dismiss();
  add(findings, compare(numbers(15, {}, 5), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings every_group_gets_everything(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(2);
  Findings findings;
  Crew first{bus};
  Crew second{bus};
  first.hire(group(topic, "a"));
  second.hire(group(topic, "b"));
  add(findings, publish(bus, topic, numbers(50)));
  for (Crew* crew : {&first, &second}) {
    crew->wait_for(50);
    crew->dismiss();
    add(findings, compare(numbers(50), crew->texts()));
    add(findings, crew->findings());
  }
  return findings;
}

Findings a_new_group_reads_from_the_start(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(30));
  Crew crew{bus};
  crew.hire(group(topic, "late"));
  crew.wait_for(30);
  crew.dismiss();
  add(findings, compare(numbers(30), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings a_restart_loses_nothing(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(4);
  Findings findings;
  Crew crew{bus};
  crew.hire(group(topic, "g"), 3);
  for (int at = 0; at < 3'000; at += 100) {
    add(findings, publish(bus, topic, numbers(100, {}, at), key_of_number));
    if (at == 1'000 || at == 1'500) bus.restart();
  }
  crew.wait_for(3'000);
  crew.dismiss();
  add(findings, compare(numbers(3'000), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

constexpr Case kCases[] = {
    {"WhatIsPublishedArrivesWhole", what_is_published_arrives_whole},
    {"ManyPublishersAndMembersShareTheWorkOnce", many_publishers_and_members_share_the_work_once},
    {"SettledMembersGetEachMessageOnce", settled_members_get_each_message_once},
    {"TopicsDoNotMix", topics_do_not_mix},
    {"WhatFailedComesAgain", what_failed_comes_again},
    {"TheNextOneWaitsForTheAcknowledgement", the_next_one_waits_for_the_acknowledgement},
    {"NothingIsLostAcrossClosedSubscriptions", nothing_is_lost_across_closed_subscriptions},
    {"ClosingAtOnceHarmsNobody", closing_at_once_harms_nobody},
    {"FailuresDoNotUseMessagesUp", failures_do_not_use_messages_up},
    {"TheOrderOfAKeyIsKept", the_order_of_a_key_is_kept},
    {"ADeliveryOutlivesTheOnesAfterIt", a_delivery_outlives_the_ones_after_it},
    {"TheNextSubscriptionGetsWhatWasNotAcknowledged",
     the_next_subscription_gets_what_was_not_acknowledged},
    {"EveryGroupGetsEverything", every_group_gets_everything},
    {"ANewGroupReadsFromTheStart", a_new_group_reads_from_the_start},
    {"ARestartLosesNothing", a_restart_loses_nothing},
};

}  // namespace

std::span<const Case> cases() {
  static const std::vector<Case> kAll = [] {
    std::vector<Case> all{std::begin(kCases), std::end(kCases)};
    const auto further = further_cases();
    all.insert(all.end(), further.begin(), further.end());
    return all;
  }();
  return kAll;
}

}  // namespace mallbots::test
