#include "clients/toolkit/in_process_bus.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <utility>

#include "clients/toolkit/internal/engine.h"

namespace mallbots::toolkit {
namespace {

constexpr std::int64_t kUsualMs = 30'000;
constexpr std::size_t kMaxName = 200;

}  // namespace

/// All topics, under one lock: who waits for records of several topics waits for one thing.
class InProcessBus::Topics {
 public:
  explicit Topics(const InProcessOptions& options) noexcept : options_(options) {
    if (options_.clock == nullptr) options_.clock = &system_clock();
  }

  Result<void> append(const std::string& name, std::span<const client::Record> records,
                      Deadline deadline, std::optional<UnixMillis> publish_at);
  /// From now on records are kept for the group.
  void add_group(const std::string& name, const std::string& group);
  /// What the group has not fetched yet; waits for it until the limit or `woken`, which it clears.
  struct Wanted {
    std::span<const std::string> names;
    const std::string* group;
    PollLimit limit;
    std::size_t max_records;
  };
  void fetch(const Wanted& wanted, bool& woken, std::vector<client::OwnedMessage>& fetched);
  void taken_over(std::span<const std::string> names, const std::string& group);
  void wake(bool& woken);
  void done(const std::string& name, const std::string& group, Offset done);

  [[nodiscard]] std::size_t unread(std::span<const std::string> names, const std::string& group);
  void show_scheduled(Backlog& backlog);
  [[nodiscard]] std::vector<client::OwnedMessage> records(const std::string& name);
  [[nodiscard]] Clock& clock() const noexcept { return *options_.clock; }
  [[nodiscard]] std::atomic<std::uint64_t>& changes() noexcept { return changes_; }

 private:
  struct Position {
    Offset fetched = 0;     ///< next to be given to a member
    Offset taken_over = 0;  ///< all below is known to the members' window
    Offset done = 0;        ///< all below is done
  };
  struct Topic {
    Offset start = 0;
    std::deque<client::OwnedMessage> records;
    std::map<std::string, Position> groups;
    std::size_t scheduled = 0;
  };
  using Lock = std::unique_lock<std::mutex>;

  /// True if groups must get on first; what no group has asked for makes room.
  bool is_full(Topic& topic, std::size_t more) const;
  void forget_done(Topic& topic) const;
  void put(const std::string& name, const client::Message& message);
  void put_due();
  [[nodiscard]] BootNanos next_due() const;

  InProcessOptions options_;
  std::mutex mutex_;
  std::condition_variable arrived_;  ///< records, or somebody is to wake
  std::condition_variable room_;
  std::map<std::string, Topic> topics_;
  /// For later, by their time and, within it, in the order in which they came.
  std::multimap<UnixMillis, std::pair<std::string, client::OwnedMessage>> scheduled_;
  std::atomic<std::uint64_t> changes_{0};
};

bool InProcessBus::Topics::is_full(Topic& topic, std::size_t more) const {
  const auto over = [&] {
    return topic.records.size() + topic.scheduled + more > options_.max_records;
  };
  if (options_.keep_all || !over()) return false;
  if (!topic.groups.empty()) return true;
  while (over() && !topic.records.empty()) {
    topic.records.pop_front();
    ++topic.start;
  }
  return false;
}

Result<void> InProcessBus::Topics::append(const std::string& name,
                                          std::span<const client::Record> records,
                                          Deadline deadline, std::optional<UnixMillis> publish_at) {
  std::vector<client::OwnedMessage> made;
  for (const client::Record& record : records) {
    auto message = client::as_message(record, {.topic = name});
    if (!message) return std::unexpected(std::move(message).error());
    made.push_back(std::move(*message));
  }
  Lock lock{mutex_};
  Topic& topic = topics_[name];
  while (is_full(topic, records.size())) {
    if (deadline.has_passed())
      return fail(ErrorCode::kTimeout, "topic '" + name + "' keeps " +
                                           std::to_string(topic.records.size()) +
                                           " records that a group has not done yet");
    options_.clock->wait(lock, room_, deadline, kNever);
  }
  for (client::OwnedMessage& message : made) {
    if (publish_at && *publish_at > options_.clock->wall_ms()) {
      scheduled_.emplace(*publish_at, std::pair{name, std::move(message)});
      ++topic.scheduled;
    } else {
      put(name, message.view());
    }
  }
  changes_.fetch_add(1);
  arrived_.notify_all();
  return {};
}

void InProcessBus::Topics::put(const std::string& name, const client::Message& message) {
  Topic& topic = topics_[name];
  client::Message placed = message;
  placed.offset = topic.start + topic.records.size();
  placed.timestamp_ms = options_.clock->wall_ms();
  topic.records.emplace_back(placed);
}

/// Records whose time has come get their place.
void InProcessBus::Topics::put_due() {
  while (!scheduled_.empty() && scheduled_.begin()->first <= options_.clock->wall_ms()) {
    const auto first = scheduled_.begin();
    put(first->second.first, first->second.second.view());
    --topics_[first->second.first].scheduled;
    scheduled_.erase(first);
    changes_.fetch_add(1);
    arrived_.notify_all();
  }
}

BootNanos InProcessBus::Topics::next_due() const {
  if (scheduled_.empty()) return kNever;
  const std::int64_t left_ms = scheduled_.begin()->first - options_.clock->wall_ms();
  return options_.clock->now_ns() + std::max<std::int64_t>(left_ms, 0) * kMillisecond;
}

void InProcessBus::Topics::add_group(const std::string& name, const std::string& group) {
  const Lock lock{mutex_};
  Topic& topic = topics_[name];
  topic.groups.try_emplace(group, Position{topic.start, topic.start, topic.start});
}

void InProcessBus::Topics::fetch(const Wanted& wanted, bool& woken,
                                 std::vector<client::OwnedMessage>& fetched) {
  fetched.clear();
  Lock lock{mutex_};
  for (;;) {
    put_due();
    for (const std::string& name : wanted.names) {
      Topic& topic = topics_[name];
      Offset& next = topic.groups[*wanted.group].fetched;
      while (fetched.size() < wanted.max_records && next < topic.start + topic.records.size())
        fetched.push_back(topic.records[next++ - topic.start]);
    }
    const bool is_over =
        wanted.limit.patience.has_passed() || options_.clock->now_ns() >= wanted.limit.at_ns;
    if (!fetched.empty() || is_over || std::exchange(woken, false)) return;
    options_.clock->wait(lock, arrived_, wanted.limit.patience,
                         std::min(wanted.limit.at_ns, next_due()));
  }
}

void InProcessBus::Topics::taken_over(std::span<const std::string> names,
                                      const std::string& group) {
  const Lock lock{mutex_};
  for (const std::string& name : names) {
    Position& position = topics_[name].groups[group];
    position.taken_over = position.fetched;
  }
}

void InProcessBus::Topics::wake(bool& woken) {
  const Lock lock{mutex_};
  woken = true;
  arrived_.notify_all();
}

void InProcessBus::Topics::done(const std::string& name, const std::string& group, Offset done) {
  const Lock lock{mutex_};
  Topic& topic = topics_[name];
  topic.groups[group].done = done + 1;
  forget_done(topic);
  room_.notify_all();
}

void InProcessBus::Topics::forget_done(Topic& topic) const {
  if (options_.keep_all) return;
  Offset slowest = topic.start + topic.records.size();
  for (const auto& [name, position] : topic.groups) slowest = std::min(slowest, position.done);
  while (topic.start < slowest) {
    topic.records.pop_front();
    ++topic.start;
  }
}

std::size_t InProcessBus::Topics::unread(std::span<const std::string> names,
                                         const std::string& group) {
  const Lock lock{mutex_};
  put_due();
  std::size_t count = 0;
  for (const std::string& name : names) {
    Topic& topic = topics_[name];
    count += topic.start + topic.records.size() - topic.groups[group].taken_over;
  }
  return count;
}

void InProcessBus::Topics::show_scheduled(Backlog& backlog) {
  const Lock lock{mutex_};
  backlog.scheduled = scheduled_.size();
  backlog.next_ns = next_due();
}

std::vector<client::OwnedMessage> InProcessBus::Topics::records(const std::string& name) {
  const Lock lock{mutex_};
  const auto found = topics_.find(name);
  if (found == topics_.end()) return {};
  return {found->second.records.begin(), found->second.records.end()};
}

namespace {

/// A topic's name goes into dead-letter names and files elsewhere: the same rule as the broker's.
Result<void> check_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxName || name.front() == '.' || name.contains('/'))
    return fail(ErrorCode::kBadTopicName, "'" + name.substr(0, kMaxName) + "'");
  return {};
}

}  // namespace

// --- The bus

struct InProcessBus::Group {
  std::vector<std::string> topics;
  std::shared_ptr<Engine> engine;
};

namespace {

template <class Topics>
class TopicsSource final : public Source {
 public:
  TopicsSource(std::shared_ptr<Topics> topics, const SubscribeOptions& options)
      : topics_(std::move(topics)), names_(options.topics), group_(options.group) {}

  Result<std::span<const client::Message>> poll(const PollLimit& limit,
                                                std::size_t max_records) override {
    topics_->fetch({names_, &group_, limit, max_records}, woken_, fetched_);
    views_.clear();
    for (const client::OwnedMessage& message : fetched_) views_.push_back(message.view());
    return views_;
  }
  void taken_over() override { topics_->taken_over(names_, group_); }
  void wake() override { topics_->wake(woken_); }
  Result<void> commit(const DeliveryWindow::Progress& progress) override {
    topics_->done(progress.partition.topic, group_, progress.done);
    return {};
  }
  void leave() override {}  // the window stays, with what came back from members that have gone

 private:
  std::shared_ptr<Topics> topics_;
  std::vector<std::string> names_;
  std::string group_;
  bool woken_ = false;  ///< under the lock of the topics
  std::vector<client::OwnedMessage> fetched_;
  std::vector<client::Message> views_;
};

}  // namespace

InProcessBus::InProcessBus(const InProcessOptions& options)
    : topics_(std::make_shared<Topics>(options)) {}

InProcessBus::~InProcessBus() = default;

Result<void> InProcessBus::publish(const std::string& topic,
                                   std::span<const client::Record> records,
                                   const PublishOptions& options) {
  MALLBOTS_TRY(check_name(topic));
  return topics_->append(topic, records, options.deadline.value_or(Deadline::after_ms(kUsualMs)),
                         options.publish_at);
}

Result<std::unique_ptr<Subscription>> InProcessBus::subscribe(const SubscribeOptions& options) {
  MALLBOTS_TRY(check_options(options));
  for (const std::string& topic : options.topics) MALLBOTS_TRY(check_name(topic));
  const std::scoped_lock lock{mutex_};
  const auto [found, is_new] = groups_.try_emplace(options.group);
  Group& group = found->second;
  if (is_new) {
    for (const std::string& topic : options.topics) topics_->add_group(topic, options.group);
    group.topics = options.topics;
    group.engine = std::make_shared<Engine>(EngineOptions{.subscribe = options,
                                                          .dead_letters = this,
                                                          .clock = &topics_->clock(),
                                                          .changes = &topics_->changes()});
    group.engine->set_source(std::make_unique<TopicsSource<Topics>>(topics_, options));
  } else if (group.topics != options.topics) {
    return fail(ErrorCode::kBadArgument,
                "a member of group '" + options.group + "' names other topics than the first one");
  }
  return std::make_unique<EngineSubscription>(group.engine);
}

std::vector<client::OwnedMessage> InProcessBus::records(const std::string& topic) {
  return topics_->records(topic);
}

Backlog InProcessBus::backlog() {
  const std::scoped_lock lock{mutex_};
  Backlog backlog{.changes = topics_->changes()};
  topics_->show_scheduled(backlog);
  for (const auto& [name, group] : groups_) {
    const Engine::Load load = group.engine->load();
    backlog.groups.push_back({.group = name,
                              .members = load.members,
                              .unread = topics_->unread(group.topics, name),
                              .in_flight = load.in_flight,
                              .ready = load.ready,
                              .waiting = load.waiting,
                              .receiving = load.receiving,
                              .next_ns = load.next_ns});
  }
  return backlog;
}

}  // namespace mallbots::toolkit
