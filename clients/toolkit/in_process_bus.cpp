#include "clients/toolkit/in_process_bus.h"

#include <algorithm>
#include <chrono>
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
  explicit Topics(const InProcessOptions& options) noexcept : options_(options) {}

  Result<void> append(const std::string& name, std::span<const client::Record> records,
                      Deadline deadline);
  /// From now on records are kept for the group.
  void add_group(const std::string& name, const std::string& group);
  /// What the group has not fetched yet; waits for it until the deadline.
  std::vector<client::OwnedMessage> fetch(std::span<const std::string> names,
                                          const std::string& group, Deadline deadline,
                                          std::size_t max_records);
  void done(const std::string& name, const std::string& group, Offset done);

 private:
  struct Position {
    Offset fetched = 0;  ///< next to be given to a member
    Offset done = 0;     ///< all below is done
  };
  struct Topic {
    Offset start = 0;
    std::deque<client::OwnedMessage> records;
    std::map<std::string, Position> groups;
  };
  using Lock = std::unique_lock<std::mutex>;

  bool wait(Lock& lock, Deadline deadline);
  /// True if groups must get on first; what no group has asked for makes room.
  bool is_full(Topic& topic, std::size_t more) const;
  void forget_done(Topic& topic) const;

  InProcessOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Topic> topics_;
};

/// False: the deadline has passed.
bool InProcessBus::Topics::wait(Lock& lock, Deadline deadline) {
  if (deadline.has_passed()) return false;
  if (deadline.is_never())
    changed_.wait(lock);
  else
    changed_.wait_for(lock, std::chrono::nanoseconds{deadline.remaining_ns()});
  return true;
}

bool InProcessBus::Topics::is_full(Topic& topic, std::size_t more) const {
  const auto over = [&] { return topic.records.size() + more > options_.max_records; };
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
                                          Deadline deadline) {
  Lock lock{mutex_};
  Topic& topic = topics_[name];
  while (is_full(topic, records.size()))
    if (!wait(lock, deadline))
      return fail(ErrorCode::kTimeout, "topic '" + name + "' keeps " +
                                           std::to_string(topic.records.size()) +
                                           " records that a group has not done yet");
  std::vector<client::OwnedMessage> made;
  for (const client::Record& record : records) {
    auto message =
        client::as_message(record, {.topic = name,
                                    .offset = topic.start + topic.records.size() + made.size(),
                                    .timestamp_ms = wall_now_ms()});
    if (!message) return std::unexpected(std::move(message).error());
    made.push_back(std::move(*message));
  }
  std::ranges::move(made, std::back_inserter(topic.records));
  changed_.notify_all();
  return {};
}

void InProcessBus::Topics::add_group(const std::string& name, const std::string& group) {
  const Lock lock{mutex_};
  Topic& topic = topics_[name];
  topic.groups.try_emplace(group, Position{topic.start, topic.start});
}

std::vector<client::OwnedMessage> InProcessBus::Topics::fetch(std::span<const std::string> names,
                                                              const std::string& group,
                                                              Deadline deadline,
                                                              std::size_t max_records) {
  std::vector<client::OwnedMessage> fetched;
  Lock lock{mutex_};
  for (;;) {
    for (const std::string& name : names) {
      Topic& topic = topics_[name];
      Offset& next = topic.groups[group].fetched;
      while (fetched.size() < max_records && next < topic.start + topic.records.size())
        fetched.push_back(topic.records[next++ - topic.start]);
    }
    if (!fetched.empty() || !wait(lock, deadline)) return fetched;
  }
}

void InProcessBus::Topics::done(const std::string& name, const std::string& group, Offset done) {
  const Lock lock{mutex_};
  Topic& topic = topics_[name];
  topic.groups[group].done = done + 1;
  forget_done(topic);
  changed_.notify_all();
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

  Result<std::vector<client::OwnedMessage>> poll(Deadline deadline,
                                                 std::size_t max_records) override {
    return topics_->fetch(names_, group_, deadline, max_records);
  }
  Result<void> commit(const client::TopicPartition& partition, Offset done) override {
    topics_->done(partition.topic, group_, done);
    return {};
  }
  void leave() override {}  // the window stays, with what came back from members that have gone

 private:
  std::shared_ptr<Topics> topics_;
  std::vector<std::string> names_;
  std::string group_;
};

}  // namespace

InProcessBus::InProcessBus(const InProcessOptions& options)
    : topics_(std::make_shared<Topics>(options)) {}

InProcessBus::~InProcessBus() = default;

Result<void> InProcessBus::publish(const std::string& topic,
                                   std::span<const client::Record> records,
                                   const PublishOptions& options) {
  MALLBOTS_TRY(check_name(topic));
  return topics_->append(topic, records, options.deadline.value_or(Deadline::after_ms(kUsualMs)));
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
    group.engine =
        std::make_shared<Engine>(EngineOptions{.subscribe = options, .dead_letters = this});
    group.engine->set_source(std::make_unique<TopicsSource<Topics>>(topics_, options));
  } else if (group.topics != options.topics) {
    return fail(ErrorCode::kBadArgument,
                "a member of group '" + options.group + "' names other topics than the first one");
  }
  return std::make_unique<EngineSubscription>(group.engine);
}

}  // namespace mallbots::toolkit
