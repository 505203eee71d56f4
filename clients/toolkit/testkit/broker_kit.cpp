#include "clients/toolkit/testkit/broker_kit.h"

#include <optional>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/toolkit/clock.h"
#include "clients/toolkit/testkit/chaos_switch.h"
#include "shm/base/clock.h"

namespace mallbots::toolkit {
namespace {

constexpr BootNanos kLookNs = 5 * kMillisecond;

}  // namespace

/// What is there at one moment.
struct BrokerKit::Look {
  std::string pending;
  std::uint64_t records = 0;
};

Result<std::unique_ptr<BrokerKit>> BrokerKit::open(const client::ConnectionOptions& where,
                                                   RouterOptions options) {
  auto connection = client::Connection::open(where);
  if (!connection) return std::unexpected(std::move(connection).error());
  options.middlewares = with_chaos_switch(std::move(options.middlewares));
  return std::unique_ptr<BrokerKit>{new BrokerKit{std::move(*connection), std::move(options)}};
}

Result<void> BrokerKit::topics(const std::vector<std::string>& names) {
  client::Admin admin{*connection_};
  for (const std::string& name : names) {
    const auto made = admin.create_topic(name, 1, {{"class", "small"}});
    if (!made) return std::unexpected(made.error());
  }
  return {};
}

Result<void> BrokerKit::publish(const std::string& topic, Draft draft) {
  return toolkit::publish(bus_, topic, {&draft, 1});
}

void BrokerKit::also_wait_for(std::string what, std::function<std::size_t()> left) {
  others_.emplace_back(std::move(what), std::move(left));
}

Result<BrokerKit::Look> BrokerKit::look() {
  Look look;
  client::Admin admin{*connection_};
  for (const auto& [what, left] : others_)
    if (const std::size_t count = left(); count > 0)
      look.pending.append("; ").append(std::to_string(count)).append(" ").append(what);
  const auto groups = admin.list_groups();
  if (!groups) return std::unexpected(groups.error());
  for (const client::GroupListing& group : *groups)
    if (group.lag > 0)
      look.pending.append("; group '")
          .append(group.group)
          .append("': ")
          .append(std::to_string(group.lag) + " not done");
  std::size_t delayed = 0;
  MALLBOTS_TRY(admin.list_delayed("", [&](const client::DelayedRecord&) { return ++delayed > 0; }));
  if (delayed > 0) look.pending.append("; ").append(std::to_string(delayed)).append(" scheduled");
  const auto topics = admin.list_topics();
  if (!topics) return std::unexpected(topics.error());
  for (const client::TopicSummary& topic : *topics) look.records += topic.records;
  return look;
}

Result<void> BrokerKit::wait_until_quiet(std::int64_t patience_ms) {
  const Deadline patience = Deadline::after_ms(patience_ms);
  std::optional<std::uint64_t> records_when_quiet;
  for (;;) {
    const auto now = look();
    if (!now) return std::unexpected(now.error());
    if (now->pending.empty() && records_when_quiet == now->records) return {};
    records_when_quiet =
        now->pending.empty() ? std::optional{now->records} : std::optional<std::uint64_t>{};
    if (patience.has_passed()) return fail(ErrorCode::kTimeout, "still pending" + now->pending);
    system_clock().pause_until(boot_now_ns() + kLookNs, {});
  }
}

Result<std::vector<std::string>> BrokerKit::published_texts(const std::string& topic) {
  auto consumer = client::Consumer::open(*connection_, {.internal_events = true});
  if (!consumer) return std::unexpected(std::move(consumer).error());
  MALLBOTS_TRY((*consumer)->assign(topic, {}, client::Start::oldest()));
  std::vector<std::string> texts;
  for (const client::TopicPartition& partition : (*consumer)->assignment()) {
    const auto range = (*consumer)->range(partition);
    if (!range) return std::unexpected(range.error());
    for (const client::TopicPartition& other : (*consumer)->assignment())
      MALLBOTS_TRY(other == partition ? (*consumer)->resume(other) : (*consumer)->pause(other));
    while ((*consumer)->position(partition)->offset < range->end) {
      const auto messages = (*consumer)->poll(Deadline::after_ms(100));
      if (!messages) return std::unexpected(messages.error());
      for (const client::Message& message : *messages) texts.emplace_back(message.text());
    }
  }
  return texts;
}

}  // namespace mallbots::toolkit
