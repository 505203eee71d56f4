#include <algorithm>
#include <set>

#include "clients/toolkit/dead_letter.h"
#include "tests/conformance/cast.h"

// What Watermill's suite does not look at.

namespace mallbots::test {
namespace {

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

Findings a_stuck_member_holds_nobody_else_up(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(4);
  auto options = group(topic, "g");
  options.max_poll_interval_ms = 1'000;  // then its share goes to the others
  auto stuck = bus.subscriber().subscribe(options);
  if (!stuck) return {stuck.error().sentence()};
  Findings findings = publish(bus, topic, numbers(320), key_of_number);
  auto held = receive(**stuck, findings);
  if (!held) return findings;
  const std::string held_key{held->message().key_text()};
  Crew crew{bus};
  crew.hire(options, 2);
  const Deadline patience = Deadline::after_ms(bus.patience_ms());
  const auto others = [&crew, &held_key] {
    const auto done = crew.done();
    std::set<std::string> texts;
    for (const Receipt& receipt : done)
      if (receipt.key != held_key) texts.insert(receipt.text);
    return texts.size();
  };
  while (others() < 300 && !patience.has_passed())
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  if (others() < 300)
    findings.push_back("only " + std::to_string(others()) + " of 300 messages of other keys came");
  const std::string text{held->message().text()};
  if (const auto late = held->ack(); late)
    crew.wait_for(319);  // it was done there
  else if (late.error().code != ErrorCode::kFenced)
    findings.push_back("ack: " + late.error().sentence());
  static_cast<void>((*stuck)->close(Deadline::after_ms(100)));
  held.reset();
  if (!crew.wait_for(319)) return crew.findings();
  crew.dismiss();
  auto received = crew.texts();
  if (std::ranges::find(received, text) == received.end()) received.push_back(text);
  add(findings, compare(numbers(320), received));
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

Findings a_delayed_message_waits_for_its_time(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(2);
  const std::string key = "k";
  const auto publish_at = [&](const std::string& text, std::optional<UnixMillis> at) -> Findings {
    const client::Record record{.payload = client::as_bytes(text), .key = client::as_bytes(key)};
    const auto sent = bus.publisher().publish(topic, {&record, 1}, {.publish_at = at});
    if (!sent) return {"publish: " + sent.error().sentence()};
    return {};
  };
  Findings findings;
  auto subscription = bus.subscriber().subscribe(group(topic, "g"));
  if (!subscription) return {subscription.error().sentence()};
  const UnixMillis due = wall_now_ms() + 400;
  add(findings, publish_at("later", due));
  add(findings, publish_at("now", std::nullopt));
  add(findings, publish_at("was due before", wall_now_ms() - 1'000));
  std::vector<std::string> texts;
  for (int i = 0; i < 3; ++i) {
    auto delivery = receive(**subscription, findings);
    if (!delivery) return findings;
    texts.emplace_back(delivery->message().text());
    if (texts.back() == "later" && wall_now_ms() < due) findings.push_back("it came too early");
    if (!delivery->ack()) findings.push_back("no ack");
  }
  if (texts.front() != "now") findings.push_back("'" + texts.front() + "' came first");
  if (texts.back() != "later") findings.push_back("'" + texts.back() + "' came last");
  return findings;
}

Findings a_full_bus_makes_publishers_wait(BusUnderTest& bus) {
  const ErrorCode code = bus.fill(bus.make_topic(1));
  if (code == ErrorCode::kTimeout) return {};
  return {"a full bus said " + std::string{error_entry(code).name}};
}

constexpr Case kCases[] = {
    {"AStuckKeyHoldsNobodyElseUp", a_stuck_key_holds_nobody_else_up},
    {"AStuckMemberHoldsNobodyElseUp", a_stuck_member_holds_nobody_else_up},
    {"PayloadsFromNothingToTheMaximumArrive", payloads_from_nothing_to_the_maximum_arrive},
    {"TheLastAttemptLeadsToADeadLetter", the_last_attempt_leads_to_a_dead_letter},
    {"ARejectedMessageIsDeadAtOnce", a_rejected_message_is_dead_at_once},
    {"AFailedMessageWaitsItsDelay", a_failed_message_waits_its_delay},
    {"ADelayedMessageWaitsForItsTime", a_delayed_message_waits_for_its_time},
    {"AFullBusMakesPublishersWait", a_full_bus_makes_publishers_wait},
};

}  // namespace

std::span<const Case> further_cases() { return kCases; }

}  // namespace mallbots::test
