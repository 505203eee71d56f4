#include "services/mall/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <tuple>

namespace mallbots::mall {
namespace {

using Names = std::set<std::string, std::less<>>;

bool is_of(const Fact& fact, const Names& names) {
  return names.contains(fact.field("id")) || names.contains(fact.field("order_id"));
}

/// The order's id, its lists and its payment.
Names names_of(std::span<const Fact> history, std::string_view order_id) {
  Names names = {std::string(order_id)};
  for (const Fact& fact : history) {
    const bool is_ours = fact.field("order_id") == order_id || fact.field("id") == order_id;
    if (!is_ours) continue;
    for (const std::string_view field : {"id", "shopping_id", "payment_id"})
      if (!fact.field(field).empty()) names.emplace(fact.field(field));
  }
  return names;
}

/// A cause before what it caused, the records of a partition as they lie there; else by time.
std::vector<Fact> in_causal_order(std::vector<Fact> facts) {
  std::ranges::sort(facts, {}, [](const Fact& fact) {
    return std::tie(fact.at_ms, fact.topic, fact.partition, fact.offset);
  });
  std::map<std::string_view, std::size_t> by_id;
  for (std::size_t i = 0; i < facts.size(); ++i) by_id.try_emplace(facts[i].id, i);
  std::vector<std::vector<std::size_t>> after(facts.size());
  std::vector<std::size_t> waits_for(facts.size());
  const auto stand_behind = [&](std::size_t first, std::size_t second) {
    after[first].push_back(second);
    ++waits_for[second];
  };
  std::map<std::pair<std::string_view, PartitionIndex>, std::size_t> last;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const auto cause = by_id.find(facts[i].causation);
    if (cause != by_id.end() && cause->second != i) stand_behind(cause->second, i);
    const auto [before, is_first] = last.try_emplace({facts[i].topic, facts[i].partition}, i);
    if (!is_first) stand_behind(std::exchange(before->second, i), i);
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < facts.size(); ++i)
    if (waits_for[i] == 0) ready.push(i);
  std::vector<Fact> ordered;
  std::vector<bool> is_told(facts.size());
  while (!ready.empty()) {
    const std::size_t next = ready.top();
    ready.pop();
    is_told[next] = true;
    ordered.push_back(facts[next]);
    for (const std::size_t one : after[next])
      if (--waits_for[one] == 0) ready.push(one);
  }
  // Ids that cause each other are somebody's invention; they are told all the same.
  for (std::size_t i = 0; i < facts.size(); ++i)
    if (!is_told[i]) ordered.push_back(facts[i]);
  return ordered;
}

std::string shown_fields(const Fact& fact) {
  std::string text;
  for (const auto& [name, value] : fact.fields)
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
  return text;
}

std::size_t widest(std::span<const Fact> facts, std::string Fact::* text) {
  std::size_t width = 0;
  for (const Fact& fact : facts) width = std::max(width, (fact.*text).size());
  return width;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

}  // namespace

std::vector<Fact> story_of(std::span<const Fact> history, std::string_view order_id) {
  const Names names = names_of(history, order_id);
  // The saga asks others in the name of the request that submitted the order.
  Names requests;
  for (const Fact& fact : history) {
    const bool begins = fact.name == "OrderCreated" || fact.name == "CartCheckedOut";
    if (begins && fact.field("id") == order_id) requests.insert(fact.correlation);
  }
  std::vector<Fact> story;
  for (const Fact& fact : history) {
    const bool is_asked = !fact.is_event() && requests.contains(fact.correlation);
    if (is_of(fact, names) || is_asked) story.push_back(fact);
  }
  return in_causal_order(std::move(story));
}

std::vector<Fact> audit_of(std::span<const Fact> history, std::string_view entity) {
  std::map<std::string_view, const Fact*> by_id;
  for (const Fact& fact : history) by_id.try_emplace(fact.id, &fact);
  const auto actor_of = [&](const Fact& fact) {
    const Fact* at = &fact;
    for (int steps = 0; at->actor.empty() && steps < 64; ++steps) {
      const auto cause = by_id.find(at->causation);
      if (cause == by_id.end()) break;
      at = cause->second;
    }
    return at->actor;
  };
  std::vector<Fact> audit;
  for (const Fact& fact : history) {
    const bool is_it = fact.key == entity || fact.field("id") == entity ||
                       fact.field("order_id") == entity ||
                       fact.key.ends_with("-" + std::string(entity));
    if (!is_it || !fact.is_event()) continue;
    audit.push_back(fact);
    audit.back().actor = actor_of(fact);
  }
  return in_causal_order(std::move(audit));
}

std::string shown_time(UnixMillis at_ms) {
  using std::chrono::milliseconds;
  const std::chrono::sys_time<milliseconds> at{milliseconds{at_ms}};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{at - day};
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

std::string shown_story(std::span<const Fact> story) {
  std::string text;
  const std::size_t topic_width = widest(story, &Fact::topic);
  const std::size_t name_width = widest(story, &Fact::name);
  const UnixMillis start_ms = story.empty() ? 0 : story.front().at_ms;
  for (const Fact& fact : story)
    text += fmt::format("{}  {:+9.3f} s  {:{}}  {:{}}  {}{}\n", shown_time(fact.at_ms),
                        static_cast<double>(fact.at_ms - start_ms) / 1'000.0, fact.topic,
                        topic_width, fact.name, name_width,
                        fact.actor.empty() ? "" : "by " + fact.actor + "  ", shown_fields(fact));
  return text;
}

std::string shown_audit(std::span<const Fact> audit) {
  std::string text;
  const std::size_t actor_width = std::max<std::size_t>(widest(audit, &Fact::actor), 1);
  const std::size_t request_width = widest(audit, &Fact::correlation);
  const std::size_t name_width = widest(audit, &Fact::name);
  for (const Fact& fact : audit)
    text += fmt::format("{}  {:{}}  {:{}}  {:{}}  {}\n", shown_time(fact.at_ms),
                        or_dash(fact.actor), actor_width, fact.correlation, request_width,
                        fact.name, name_width, shown_fields(fact));
  return text;
}

}  // namespace mallbots::mall
