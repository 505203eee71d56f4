#include <signal.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "tests/conformance/cast.h"

namespace mallbots::test {
namespace {

constexpr int kEach = 5;  ///< messages of a publication

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line) && !in.eof();) lines.push_back(line);
  return lines;
}

/// The numbers that follow `word` in what a party said.
std::vector<std::string> said(const Process& party, const std::string& word) {
  std::vector<std::string> found;
  for (const std::string& line : lines_of(party.output()))
    if (line.starts_with(word)) found.push_back(line.substr(word.size()));
  return found;
}

/// Whose acknowledgement a member was in when it died: that one may be done, or come again.
std::optional<std::string> being_done(const Process& member) {
  const auto begun = said(member, "doing ");
  return begun.empty() ? std::nullopt : std::optional{begun.back()};
}

/// Every message of a publication that was acknowledged, once; of the others all or none.
Findings compare_publications(const std::vector<std::string>& acked,
                              const std::vector<std::string>& received) {
  Findings findings;
  std::map<std::string, int> parts;
  for (const std::string& text : received) ++parts[text.substr(0, text.find('/'))];
  for (const std::string& number : acked)
    if (parts[number] != kEach)
      findings.push_back("publication " + number + " was acknowledged, " +
                         std::to_string(parts[number]) + " of its messages came");
  for (const auto& [number, count] : parts)
    if (count != 0 && count != kEach && std::ranges::find(acked, number) == acked.end())
      findings.push_back("publication " + number + " was split: " + std::to_string(count) +
                         " messages came");
  return findings;
}

/// Reads until nothing has come for a while: how much there is, nobody knows.
void read_to_the_end(Crew& crew, std::size_t at_least) {
  if (!crew.wait_for(at_least)) return;
  for (std::size_t before = 0; before != crew.texts().size();) {
    before = crew.texts().size();
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
  }
}

Findings what_an_ended_publisher_sent_arrives(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(4);
  std::vector<Process> publishers;
  for (int i = 0; i < 2; ++i) publishers.push_back(*bus.start_party({"publish", topic, "100"}));
  Findings findings;
  for (Process& one : publishers)
    if (one.wait().exit_code != 0) findings.push_back("a publisher failed: " + one.errors());
  Crew crew{bus};
  crew.hire(group(topic, "g"), 2);
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i)
    for (int part = 0; part < kEach; ++part)
      sent.insert(sent.end(), 2, std::to_string(i) + '/' + std::to_string(part));
  for (const Deadline patience = Deadline::after_ms(bus.patience_ms());
       crew.texts().size() < sent.size() && !patience.has_passed();)
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  crew.dismiss();
  add(findings, compare(sent, crew.texts()));
  add(findings, crew.findings());
  return findings;
}

Findings a_killed_publisher_leaves_whole_publications(BusUnderTest& bus) {
  Findings findings;
  for (int round = 0; round < 4; ++round) {
    const std::string topic = bus.make_topic(2);
    auto publisher = bus.start_party({"publish", topic, "0"});
    if (!publisher->says('\n' + std::to_string(20 + round * 7) + '\n'))
      return {"the publisher does not publish: " + publisher->errors()};
    publisher->send(SIGKILL);
    static_cast<void>(publisher->wait());
    const auto acked = said(*publisher, "");
    // Its death holds nobody up.
    add(findings, publish(bus, topic, numbers(kEach, "after/")));
    Crew crew{bus};
    crew.hire(group(topic, "g"), 2);
    read_to_the_end(crew, acked.size() * kEach + kEach);
    crew.dismiss();
    auto own = crew.texts();
    const auto others = std::ranges::count_if(
        own, [](const std::string& text) { return text.starts_with("after/"); });
    if (others != kEach) findings.push_back("another's messages: " + std::to_string(others));
    std::erase_if(own, [](const std::string& text) { return text.starts_with("after/"); });
    add(findings, compare_publications(acked, own));
    add(findings, crew.doubles());
    add(findings, crew.findings());
  }
  return findings;
}

Findings what_a_killed_member_held_comes_to_another(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(4);
  const auto options = group(topic, "g");  // which may be away for minutes: its death must be seen
  Findings findings = publish(bus, topic, numbers(400), [](const std::string& text) {
    return "key" + std::to_string(std::stoul(text) % 64);
  });
  auto member = bus.start_party({"member", topic, options.group});
  const auto settled = [&member] { return said(*member, "done ").size() >= 100; };
  if (!eventually(settled)) return {"the member does nothing: " + member->errors()};
  member->send(SIGKILL);
  static_cast<void>(member->wait());
  auto received = said(*member, "done ");
  const auto held = said(*member, "held ");
  Crew crew{bus};
  crew.hire(options, 2);
  std::set<std::string> there{received.begin(), received.end()};
  if (const auto text = being_done(*member)) there.insert(*text);
  const Deadline patience = Deadline::after_ms(bus.patience_ms());
  while (there.size() < 400 && !patience.has_passed()) {
    for (const std::string& text : crew.texts()) there.insert(text);
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  crew.dismiss();
  add(findings, compare(numbers(400), {there.begin(), there.end()}));
  const auto texts = crew.texts();
  for (const std::string& text : held)
    if (std::ranges::find(texts, text) == texts.end())
      findings.push_back(text + " was held by the dead member, and came to nobody else");
  add(findings, crew.doubles());  // the crew shares nothing with the dead
  std::map<std::string, unsigned long> last;
  for (const Receipt& receipt : crew.done()) {
    const unsigned long number = std::stoul(receipt.text);
    if (last.contains(receipt.key) && last[receipt.key] >= number)
      findings.push_back(receipt.key + ": " + receipt.text + " came after " +
                         std::to_string(last[receipt.key]));
    last[receipt.key] = number;
  }
  add(findings, crew.findings());
  return findings;
}

Findings a_stopped_member_is_replaced_and_told(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(2);
  auto options = group(topic, "g");
  options.max_poll_interval_ms = 1'000;
  Findings findings = publish(bus, topic, numbers(50));
  auto member = bus.start_party({"member", topic, options.group, "1000"});
  if (!member->says("done ")) return {"the member does nothing: " + member->errors()};
  member->send(SIGSTOP);
  Crew crew{bus};
  crew.hire(options, 1);
  add(findings, publish(bus, topic, numbers(50, {}, 50)));
  const auto is_done = [&] {
    auto texts = crew.texts();
    const auto before = said(*member, "done ");
    texts.insert(texts.end(), before.begin(), before.end());
    return std::set<std::string>{texts.begin(), texts.end()}.size() >= 100;
  };
  if (!eventually(is_done, static_cast<double>(bus.patience_ms()) / 1000))
    findings.push_back("not all came to the other member");
  member->send(SIGCONT);
  if (const Ended ended = member->wait(); ended.exit_code != 1)
    findings.push_back("the member was not told that it is none any more");
  crew.dismiss();
  add(findings, crew.findings());
  return findings;
}

/// Publisher, member and broker die one after the other while all of them work.
Findings the_death_of_each_party_loses_nothing(BusUnderTest& bus) {
  const std::string topic = bus.make_topic(4);
  const auto options = group(topic, "g");
  Findings findings;
  std::vector<Process> members;
  std::vector<std::string> acked;
  Crew crew{bus};
  crew.hire(options, 2);
  for (int round = 0; round < 3; ++round) {
    auto member = bus.start_party({"member", topic, options.group});
    auto publisher = bus.start_party({"publish", topic, "0", "r" + std::to_string(round) + "-"});
    static_cast<void>(member->says("done ", 2));  // or the crew has all of the partitions still
    bus.restart();
    const auto numbers = said(*publisher, "").size();
    if (!eventually([&] { return said(*publisher, "").size() > numbers; }))
      findings.push_back("the publisher does not go on: " + publisher->errors());
    member->send(SIGKILL);
    publisher->send(SIGKILL);
    static_cast<void>(member->wait());
    static_cast<void>(publisher->wait());
    for (const std::string& number : said(*publisher, "")) acked.push_back(number);
    members.push_back(std::move(*member));
  }
  std::set<std::string> there;
  const auto all_there = [&] {
    for (const std::string& text : crew.texts()) there.insert(text);
    for (const Process& member : members) {
      for (const std::string& text : said(member, "done ")) there.insert(text);
      if (const auto text = being_done(member)) there.insert(*text);
    }
    return compare_publications(acked, {there.begin(), there.end()}).empty();
  };
  if (!eventually(all_there, static_cast<double>(bus.patience_ms()) / 1000))
    add(findings, compare_publications(acked, {there.begin(), there.end()}));
  crew.dismiss();
  add(findings, crew.findings());
  return findings;
}

constexpr Case kCases[] = {
    {"WhatAnEndedPublisherSentArrives", what_an_ended_publisher_sent_arrives},
    {"AKilledPublisherLeavesWholePublications", a_killed_publisher_leaves_whole_publications},
    {"WhatAKilledMemberHeldComesToAnother", what_a_killed_member_held_comes_to_another},
    {"AStoppedMemberIsReplacedAndTold", a_stopped_member_is_replaced_and_told},
    {"TheDeathOfEachPartyLosesNothing", the_death_of_each_party_loses_nothing},
};

}  // namespace

std::span<const Case> death_cases() { return kCases; }

}  // namespace mallbots::test
