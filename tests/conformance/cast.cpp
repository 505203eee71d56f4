#include "tests/conformance/cast.h"

#include <algorithm>

#include "clients/consumer.h"

namespace mallbots::test {

void add(Findings& all, const Findings& more) { all.insert(all.end(), more.begin(), more.end()); }

std::vector<std::string> numbers(int count, const std::string& prefix, int first) {
  std::vector<std::string> texts;
  for (int i = first; i < first + count; ++i) texts.push_back(prefix + std::to_string(i));
  return texts;
}

std::string key_of_number(const std::string& text) {
  return "key" + std::to_string(std::stoul(text) % 16);
}

toolkit::SubscribeOptions group(const std::string& topic, const std::string& name) {
  return {
      .topics = {topic}, .group = topic + "-" + name, .redelivery = {.first_ms = 5, .max_ms = 50}};
}

Findings publish(BusUnderTest& bus, const std::string& topic, const std::vector<std::string>& texts,
                 const std::function<std::string(const std::string&)>& key_of) {
  std::vector<std::string> keys;
  for (const std::string& text : texts) keys.push_back(key_of ? key_of(text) : std::string{});
  const client::Header header{"kind", "number"};
  std::vector<client::Record> records;
  for (std::size_t i = 0; i < texts.size(); ++i)
    records.push_back({.payload = client::as_bytes(texts[i]),
                       .key = client::as_bytes(keys[i]),
                       .headers = {&header, 1}});
  const auto sent = bus.publisher().publish(topic, records);
  if (!sent) return {"publish: " + sent.error().sentence()};
  return {};
}

void Crew::hire(const toolkit::SubscribeOptions& options, int threads, Handler handler) {
  auto opened = bus_->subscriber().subscribe(options);
  if (!opened) return find("subscribe: " + opened.error().sentence());
  toolkit::Subscription& subscription = *subscriptions_.emplace_back(std::move(*opened));
  for (int i = 0; i < threads; ++i)
    threads_.emplace_back([this, &subscription, member = subscriptions_.size(), handler] {
      work(subscription, member, handler);
    });
}

void Crew::work(toolkit::Subscription& subscription, std::size_t member, const Handler& handler) {
  while (!over_) {
    auto delivery = subscription.receive(Deadline::after_ms(50));
    if (!delivery) {
      if (client::is_setback(delivery.error().code)) continue;
      if (delivery.error().code != ErrorCode::kClosed)
        find("receive: " + delivery.error().sentence());
      return;
    }
    if (!*delivery) continue;
    toolkit::Delivery& one = **delivery;
    const Receipt receipt{std::string{one->topic},
                          std::string{one->key_text()},
                          std::string{one->text()},
                          one.attempt(),
                          std::to_string(one->partition) + ":" + std::to_string(one->offset),
                          member};
    if (handler && !handler(one)) {
      if (const auto back = one.nack({.type = "Refused", .text = "not now"}); !back)
        find("nack: " + back.error().sentence());
      continue;
    }
    {
      // Before the acknowledgement lets the next one of its key go.
      const std::scoped_lock lock{mutex_};
      done_.push_back(receipt);
      distinct_.insert(receipt.text);
    }
    // Fenced: another member gets it, too.
    if (const auto acked = one.ack(); !acked && acked.error().code != ErrorCode::kFenced)
      find("ack: " + acked.error().sentence());
  }
}

bool Crew::wait_for(std::size_t count) {
  const Deadline deadline = Deadline::after_ms(bus_->patience_ms());
  while (!deadline.has_passed()) {
    {
      const std::scoped_lock lock{mutex_};
      if (distinct_.size() >= count) return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  find("only " + std::to_string(texts().size()) + " of " + std::to_string(count) + " came");
  return false;
}

void Crew::dismiss() {
  over_ = true;
  threads_.clear();
  for (const auto& subscription : subscriptions_)
    if (const auto closed = subscription->close(Deadline::after_ms(kPatienceMs)); !closed)
      find("close: " + closed.error().sentence());
  subscriptions_.clear();
}

std::vector<Receipt> Crew::done() const {
  const std::scoped_lock lock{mutex_};
  return done_;
}

std::vector<std::string> Crew::texts() const {
  const std::scoped_lock lock{mutex_};
  std::vector<std::string> texts;
  for (const Receipt& receipt : done_) texts.push_back(receipt.text);
  return texts;
}

Findings Crew::doubles() const {
  const std::scoped_lock lock{mutex_};
  std::map<std::string, std::string> seen;
  Findings findings;
  for (const Receipt& receipt : done_) {
    const std::string now = receipt.position + " by member " + std::to_string(receipt.member) +
                            " in attempt " + std::to_string(receipt.attempt);
    const auto [before, is_first] = seen.try_emplace(receipt.text, now);
    if (!is_first)
      findings.push_back("'" + receipt.text + "' came at " + before->second + " and at " + now);
  }
  return findings;
}

Findings Crew::findings() const {
  const std::scoped_lock lock{mutex_};
  return findings_;
}

void Crew::find(const std::string& finding) {
  const std::scoped_lock lock{mutex_};
  findings_.push_back(finding);
}

Findings compare(std::vector<std::string> sent, std::vector<std::string> received) {
  std::ranges::sort(sent);
  std::ranges::sort(received);
  std::vector<std::string> missing;
  std::vector<std::string> extra;
  std::ranges::set_difference(sent, received, std::back_inserter(missing));
  std::ranges::set_difference(received, sent, std::back_inserter(extra));
  Findings findings;
  if (!missing.empty())
    findings.push_back(std::to_string(missing.size()) + " lost, one is " + missing.front());
  if (!extra.empty())
    findings.push_back(std::to_string(extra.size()) + " twice or never sent, one is " +
                       extra.front().substr(0, 100));
  return findings;
}

std::optional<toolkit::Delivery> receive(toolkit::Subscription& subscription, Findings& findings,
                                         std::int64_t patience_ms) {
  auto delivery = subscription.receive(Deadline::after_ms(patience_ms));
  if (!delivery) {
    findings.push_back("receive: " + delivery.error().sentence());
    return std::nullopt;
  }
  if (!*delivery) findings.push_back("receive: nothing came");
  return std::move(*delivery);
}

}  // namespace mallbots::test
