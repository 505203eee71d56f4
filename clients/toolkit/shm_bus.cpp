#include "clients/toolkit/shm_bus.h"

#include <algorithm>
#include <utility>

#include "clients/admin.h"
#include "clients/toolkit/internal/engine.h"
#include "clients/toolkit/internal/queue_subscription.h"

namespace mallbots::toolkit {
namespace {

constexpr std::int64_t kUsualMs = 30'000;
/// Within which a member that waits for records notices that it is to leave.
constexpr BootNanos kSliceNs = 100 * kMillisecond;

/// One member of a group in the broker.
class ConsumerSource final : public Source {
 public:
  /// The engine owns this source and is alive whenever it is called.
  explicit ConsumerSource(Engine& engine) noexcept : engine_(&engine) {}

  [[nodiscard]] Result<void> open(const client::ConnectionOptions& where,
                                  const SubscribeOptions& options) {
    auto connection = client::Connection::open(where);
    if (!connection) return std::unexpected(std::move(connection).error());
    connection_ = std::move(*connection);
    auto consumer = client::Consumer::open(
        *connection_,
        {.read = client::ReadLevel::kDefault,
         .max_poll_interval_ms = options.max_poll_interval_ms,
         .on_assignment = [this](auto /*gained*/, auto lost) { engine_->lost(lost); }});
    if (!consumer) return std::unexpected(std::move(consumer).error());
    consumer_ = std::move(*consumer);
    return consumer_->subscribe(options.topics, options.group);
  }

  /// Never longer than a slice: the consumer cannot be woken from outside.
  Result<std::span<const client::Message>> poll(const PollLimit& limit,
                                                std::size_t max_records) override {
    BootNanos left = std::min(limit.patience.remaining_ns(), kSliceNs);
    if (limit.at_ns != kNever) left = std::min(left, limit.at_ns - boot_now_ns());
    return consumer_->poll(Deadline::after_ns(left), max_records);
  }
  void wake() override {}

  Result<void> commit(const DeliveryWindow::Progress& progress) override {
    return consumer_->commit(client::Message{.topic = progress.partition.topic,
                                             .partition = progress.partition.partition,
                                             .offset = progress.done,
                                             .topic_id = progress.topic_id});
  }

  void leave() override { consumer_.reset(); }

 private:
  Engine* engine_;
  std::unique_ptr<client::Connection> connection_;  ///< each member of a group needs its own
  std::unique_ptr<client::Consumer> consumer_;
};

}  // namespace

/// Publishes dead letters, and makes their topics.
class ShmBus::DeadLetterOffice final : public Publisher {
 public:
  explicit DeadLetterOffice(ShmBus& bus) noexcept : bus_(&bus) {}

  Result<void> publish(const std::string& topic, std::span<const client::Record> records,
                       const PublishOptions& options) override {
    auto sent = bus_->publish(topic, records, options);
    if (sent || sent.error().code != ErrorCode::kUnknownTopic) return sent;
    MALLBOTS_TRY(create(topic, records));
    return bus_->publish(topic, records, options);
  }

 private:
  /// As large as the source's slots twice: a letter is its message and more.
  Result<void> create(const std::string& topic, std::span<const client::Record> letters) {
    std::string source;
    for (const client::Header& header : letters.front().headers)
      if (header.name == kDeadTopic) source = header.value;
    client::Admin admin{*bus_->connection_};
    const auto described = admin.describe_topic(source);
    if (!described) return std::unexpected(described.error());
    const auto slot =
        std::ranges::find(described->settings, "slot.bytes", &client::TopicSetting::key);
    const std::uint64_t slot_bytes =
        slot == described->settings.end() ? 0 : std::stoull(slot->value);
    const auto made = admin.create_topic(
        topic, 1,
        {{"slot.bytes", std::to_string(std::max<std::uint64_t>(2 * slot_bytes, 131'072))}});
    if (!made && made.error().code != ErrorCode::kTopicExists) return std::unexpected(made.error());
    return {};
  }

  ShmBus* bus_;
};

// --- Publishing

Result<std::unique_ptr<client::Producer>> ShmBus::take_producer(const std::string& topic) {
  {
    const std::scoped_lock lock{mutex_};
    if (auto& idle = idle_[topic]; !idle.empty()) {
      auto producer = std::move(idle.back());
      idle.pop_back();
      return producer;
    }
  }
  return client::Producer::open(*connection_, topic);
}

void ShmBus::put_back(const std::string& topic, std::unique_ptr<client::Producer> producer) {
  const std::scoped_lock lock{mutex_};
  idle_[topic].push_back(std::move(producer));
}

Result<void> ShmBus::publish(const std::string& topic, std::span<const client::Record> records,
                             const PublishOptions& options) {
  auto taken = take_producer(topic);
  if (!taken) return std::unexpected(std::move(taken).error());
  client::Producer& producer = **taken;
  const Deadline deadline = options.deadline.value_or(Deadline::after_ms(kUsualMs));
  std::map<PartitionIndex, std::vector<client::Record>> by_partition;
  for (const client::Record& record : records)
    by_partition[record.key.empty() ? client::kAnyPartition : producer.partition_of(record.key)]
        .push_back(record);
  std::vector<client::Receipt> receipts;
  for (const auto& [partition, batch] : by_partition) {
    const auto receipt = producer.append_batch(batch, {.deadline = deadline,
                                                       .partition = partition,
                                                       .acks = client::Acks::kCommitted,
                                                       .deliver_at = options.publish_at});
    // After an error the producer goes too: its topic may be gone, its session revoked.
    if (!receipt) return std::unexpected(receipt.error());
    receipts.push_back(*receipt);
  }
  // One flush for all of them, not one after the other.
  if (options.acks == client::Acks::kDurable && (options.publish_at || !producer.is_memory_only()))
    for (const client::Receipt& receipt : receipts)
      MALLBOTS_TRY(producer.wait_durable(receipt, deadline));
  put_back(topic, std::move(*taken));
  return {};
}

// --- Subscribing

ShmBus::ShmBus(client::Connection& connection)
    : connection_(&connection), office_(std::make_unique<DeadLetterOffice>(*this)) {}

ShmBus::~ShmBus() = default;

Result<std::unique_ptr<Subscription>> ShmBus::subscribe(const SubscribeOptions& options) {
  MALLBOTS_TRY(check_options(options));
  if (options.mode == GroupMode::kQueue) return open_queue(connection_->options(), options);
  const auto engine =
      std::make_shared<Engine>(EngineOptions{.subscribe = options, .dead_letters = office_.get()});
  auto source = std::make_unique<ConsumerSource>(*engine);
  MALLBOTS_TRY(source->open(connection_->options(), options));
  engine->set_source(std::move(source));
  return std::make_unique<EngineSubscription>(engine);
}

}  // namespace mallbots::toolkit
