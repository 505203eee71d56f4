#include "tests/conformance/cases.h"

#include <algorithm>
#include <map>
#include <set>

#include "clients/toolkit/dead_letter.h"
#include "tests/conformance/cast.h"

namespace mallbots::test {
namespace {

std::string key_of_number(const std::string& text) {
  return "key" + std::to_string(std::stoul(text) % 16);
}

// --- The universal suite

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
  constexpr int kPublishers = 10;
  constexpr int kEach = 200;
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
        for (int at = 0; at < kEach; at += 20)
          add(told, publish(bus, topic, {own.begin() + at, own.begin() + at + 20}));
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

// --- What that suite does not look at

Findings a_stuck_key_holds_nobody_else_up(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(320), key_of_number);
  auto options = group(topic, "g");
  options.max_deliveries = 0;
  std::atomic<bool> stuck{true};
  Crew crew{bus};
  crew.hire(options, 2, [&](const toolkit::Delivery& delivery) {
    return !stuck || delivery->key_text() != "key3";
  });
  if (!crew.wait_for(300)) return crew.findings();
  for (const Receipt& receipt : crew.done())
    if (receipt.key == "key3") findings.push_back("a message of the stuck key is done");
  stuck = false;
  crew.wait_for(320);
  crew.dismiss();
  add(findings, compare(numbers(320), crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings payloads_from_nothing_to_the_maximum_arrive(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  std::vector<std::string> sent;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
                                 std::size_t{4'096}, bus.largest_payload()}) {
    std::string payload(size, '\0');
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 131 + size);
    sent.push_back(payload);
  }
  Findings findings;
  for (const std::string& payload : sent) add(findings, publish(bus, topic, {payload}));
  Crew crew{bus};
  crew.hire(group(topic, "g"));
  crew.wait_for(sent.size());
  crew.dismiss();
  add(findings, compare(sent, crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings the_last_attempt_leads_to_a_dead_letter(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(10), key_of_number);
  auto options = group(topic, "g");
  options.max_deliveries = 3;
  Crew crew{bus};
  crew.hire(options, 1, [](const toolkit::Delivery& delivery) { return delivery->text() != "4"; });
  crew.wait_for(9);
  const std::string letters = toolkit::dead_letter_topic(topic, options.group);
  // The letter's topic is made with the first letter.
  const Deadline patience = Deadline::after_ms(kPatienceMs);
  auto reading = bus.subscriber().subscribe(group(letters, "r"));
  while (!reading && !patience.has_passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
    reading = bus.subscriber().subscribe(group(letters, "r"));
  }
  if (!reading) return {"dead letters: " + reading.error().sentence()};
  if (auto letter = receive(**reading, findings)) {
    const client::Message& message = letter->message();
    const std::pair<std::string_view, std::string> expected[] = {
        {toolkit::kDeadTopic, topic},         {toolkit::kDeadGroup, options.group},
        {toolkit::kDeadPartition, "0"},       {toolkit::kDeadOffset, "4"},
        {toolkit::kDeadAttempts, "3"},        {toolkit::kDeadReason, "attempts"},
        {toolkit::kDeadType, "Refused"},      {toolkit::kDeadText, "not now"},
        {toolkit::kDeadFirstType, "Refused"}, {"kind", "number"},
    };
    for (const auto& [name, value] : expected)
      if (message.header(name) != value)
        findings.push_back("the letter's " + std::string{name} + " is not " + value);
    if (message.text() != "4" || message.key_text() != "key4")
      findings.push_back("another message");
    if (!letter->ack()) findings.push_back("no ack");
  }
  crew.dismiss();
  add(findings, crew.findings());
  // Done for the group: it does not come again.
  Crew again{bus};
  again.hire(options);
  add(findings, publish(bus, topic, {"10"}, key_of_number));
  again.wait_for(1);
  again.dismiss();
  add(findings, compare({"10"}, again.texts()));
  return findings;
}

Findings a_rejected_message_is_dead_at_once(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, numbers(2));
  const auto options = group(topic, "g");
  auto subscription = bus.subscriber().subscribe(options);
  if (!subscription) return {subscription.error().sentence()};
  if (auto delivery = receive(**subscription, findings)) {
    if (!delivery->reject({.type = "Unreadable"})) findings.push_back("no reject");
    if (delivery->ack()) findings.push_back("settled twice");
  }
  if (auto delivery = receive(**subscription, findings))
    if (delivery->message().text() != "1" || !delivery->ack()) findings.push_back("not the second");
  auto reading =
      bus.subscriber().subscribe(group(toolkit::dead_letter_topic(topic, options.group), "r"));
  if (!reading) return {"dead letters: " + reading.error().sentence()};
  if (auto letter = receive(**reading, findings)) {
    if (letter->message().header(toolkit::kDeadReason) != "rejected")
      findings.push_back("the letter does not say that it was rejected");
    if (!letter->ack()) findings.push_back("no ack");
  }
  return findings;
}

Findings a_failed_message_waits_its_delay(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(1);
  Findings findings = publish(bus, topic, {"0"});
  auto subscription = bus.subscriber().subscribe(group(topic, "g"));
  if (!subscription) return {subscription.error().sentence()};
  auto first = receive(**subscription, findings);
  if (!first) return findings;
  const BootNanos from = boot_now_ns();
  if (!first->nack({.type = "Later"}, 200)) findings.push_back("no nack");
  auto second = receive(**subscription, findings);
  if (boot_now_ns() - from < 200 * kMillisecond) findings.push_back("it came before its delay");
  if (second && !second->ack()) findings.push_back("no ack");
  return findings;
}

Findings a_full_bus_makes_publishers_wait(BusUnderTest& bus) {
  const ErrorCode code = bus.fill(bus.make_topic(1));
  if (code == ErrorCode::kTimeout) return {};
  return {"a full bus said " + std::string{error_entry(code).name}};
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
    {"AStuckKeyHoldsNobodyElseUp", a_stuck_key_holds_nobody_else_up},
    {"PayloadsFromNothingToTheMaximumArrive", payloads_from_nothing_to_the_maximum_arrive},
    {"TheLastAttemptLeadsToADeadLetter", the_last_attempt_leads_to_a_dead_letter},
    {"ARejectedMessageIsDeadAtOnce", a_rejected_message_is_dead_at_once},
    {"AFailedMessageWaitsItsDelay", a_failed_message_waits_its_delay},
    {"AFullBusMakesPublishersWait", a_full_bus_makes_publishers_wait},
};

}  // namespace

std::span<const Case> cases() { return kCases; }

}  // namespace mallbots::test
