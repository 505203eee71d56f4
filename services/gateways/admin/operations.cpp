#include "services/gateways/admin/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "clients/admin.h"
#include "clients/toolkit/dead_letter.h"
#include "clients/toolkit/dead_letter_box.h"
#include "services/gateways/admin/contexts.h"
#include "services/gateways/admin/shown.h"
#include "services/gateways/http/strict_json.h"
#include "services/runtime/outboxes.h"

namespace mallbots::admin {
namespace {

using client::Admin;
using nlohmann::json;
using toolkit::DeadLetterBox;
using toolkit::Letter;
using Orders = orderspb::OrdersService::Stub;

constexpr std::int64_t kBrokerMs = 5'000;
constexpr std::size_t kMostLetters = 200;
constexpr std::string_view kLettersEnd = ".dlq";

Deadline patience() { return Deadline::after_ms(kBrokerMs); }

Response broker_refusal(const Error& error) {
  const bool is_unknown = error.code == ErrorCode::kUnknownTopic ||
                          error.code == ErrorCode::kUnknownGroup ||
                          error.code == ErrorCode::kUnknownLetter;
  if (is_unknown) return unknown(error.sentence());
  if (error.code == ErrorCode::kConflict) {
    return gateways::problem({.status = 409,
                              .name = "wrong-state",
                              .detail = error.sentence(),
                              .remedy = "another replay or purge is at work: look again"});
  }
  return gateways::unavailable(error.sentence());
}

json shown(const client::TopicSummary& topic) {
  return {{"name", topic.name},
          {"partitions", topic.partitions},
          {"records", topic.records},
          {"disk_bytes", topic.disk_bytes},
          {"memory_bytes", topic.memory_bytes}};
}

json shown(const client::GroupListing& group, const std::vector<client::GroupPartition>& parts) {
  json partitions = json::array();
  std::int64_t lag_time_ms = 0;
  for (const auto& part : parts) {
    lag_time_ms = std::max(lag_time_ms, part.lag_time_ms);
    partitions.push_back(
        {{"topic", part.topic},
         {"partition", part.partition},
         {"current_offset", part.current_offset ? json(*part.current_offset) : json()},
         {"end_offset", part.end_offset},
         {"lag", part.lag},
         {"lag_time_ms", part.lag_time_ms},
         {"member", part.member}});
  }
  return {{"group", group.group}, {"is_queue", group.is_queue}, {"members", group.members},
          {"lag", group.lag},     {"lag_time_ms", lag_time_ms}, {"partitions", partitions}};
}

std::string_view word_of(toolkit::LetterState state) {
  static constexpr std::array<std::string_view, 3> kWords = {"left", "replayed", "purged"};
  return kWords[static_cast<std::size_t>(state)];
}

json shown(const Letter& letter) {
  const auto name = letter.header("msg.name");
  return {{"id", letter.id.text()},
          {"message_id", letter.header("msg.id")},
          {"name", name},
          {"key", letter.message->key_text()},
          {"state", word_of(letter.state)},
          {"reason", letter.header(toolkit::kDeadReason)},
          {"error", fmt::format("{}: {}", letter.header(toolkit::kDeadType),
                                letter.header(toolkit::kDeadText))},
          {"handler", letter.header(toolkit::kDeadHandler)},
          {"attempts", letter.header(toolkit::kDeadAttempts)},
          {"died_ms", letter.message->timestamp_ms},
          {"payload_bytes", letter.message->payload.size()}};
}

struct BoxName {
  std::string group;
  std::string topic;
};

/// TOPIC.GROUP.dlq, where both may have dots: the longest topic that there is.
std::vector<BoxName> boxes_of(const std::vector<client::TopicSummary>& topics) {
  std::vector<BoxName> boxes;
  for (const auto& letters : topics) {
    if (!letters.name.ends_with(kLettersEnd)) continue;
    const std::string name = letters.name.substr(0, letters.name.size() - kLettersEnd.size());
    BoxName best;
    for (const auto& topic : topics) {
      const bool fits = name.size() > topic.name.size() + 1 && name.starts_with(topic.name + ".");
      if (fits && topic.name.size() > best.topic.size()) {
        best = {name.substr(topic.name.size() + 1), topic.name};
      }
    }
    if (!best.topic.empty()) boxes.push_back(best);
  }
  return boxes;
}

double quantile(std::vector<std::int64_t> values, double part) {
  if (values.empty()) return -1;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
  return static_cast<double>(values[at]) / 1000.0;
}

struct SeriesName {
  std::string_view name;
  std::string_view unit;
};
constexpr std::array<SeriesName, 10> kSeries = {{{"orders_created", "per second"},
                                                 {"orders_completed", "per second"},
                                                 {"orders_closed_otherwise", "per second"},
                                                 {"approve_p50", "seconds"},
                                                 {"approve_p99", "seconds"},
                                                 {"fetch_p50", "seconds"},
                                                 {"fetch_p99", "seconds"},
                                                 {"events", "per second"},
                                                 {"lag", "records"},
                                                 {"bots_active", "robots"}}};
/// Below zero: there was nothing to measure.
using Sample = std::array<double, kSeries.size()>;

json value_of(double value) { return value < 0 ? json() : json(value); }

}  // namespace

class Operations::Impl {
 public:
  explicit Impl(OperationsParts parts)
      : parts_(std::move(parts)),
        admin_(*parts_.connection),
        outboxes_(parts_.socket_dir),
        orders_(orderspb::OrdersService::NewStub(parts_.channels("orders"))) {}

  [[nodiscard]] Calls calls();
  bool poll();
  void sample(UnixMillis now_ms);

 private:
  [[nodiscard]] Result<json> status();
  [[nodiscard]] Result<std::vector<json>> groups();
  [[nodiscard]] Result<std::vector<json>> boxes(const std::vector<client::TopicSummary>& topics);
  [[nodiscard]] std::vector<json> outboxes();
  [[nodiscard]] Outcome<std::vector<json>> sagas(const Asker& asker);
  [[nodiscard]] Response letters(const Request& request);
  [[nodiscard]] Response settle(const Request& request, bool is_replay);
  [[nodiscard]] Response resume(const Asker& asker, const Request& request);
  [[nodiscard]] Response series();
  void show(const std::string& id, std::string_view kind, json row);
  void show_topics(const std::vector<client::TopicSummary>& topics);
  void end_turn();

  OperationsParts parts_;
  Admin admin_;
  OutboxWatch outboxes_;
  std::unique_ptr<Orders> orders_;
  std::mutex letters_mutex_;

  // Of the polling thread.
  std::set<std::string> shown_;  ///< ids of this turn
  std::set<std::string> before_;
  std::map<std::string, std::uint64_t> records_;
  BootNanos polled_ns_ = 0;
  std::uint64_t turn_ = 0;
  std::vector<json> boxes_;

  std::mutex mutex_;
  std::deque<Sample> samples_;
  UnixMillis last_ms_ = 0;
  std::uint64_t lag_ = 0;
};

// --- What is read

Result<json> Operations::Impl::status() {
  const auto status = admin_.status(patience());
  if (!status) return std::unexpected(status.error());
  return json{{"version", status->version},
              {"uptime_ms", status->uptime_ms},
              {"topics", status->topics},
              {"partitions", status->partitions},
              {"sessions", status->sessions},
              {"groups", status->groups},
              {"memory_bytes", status->memory_bytes},
              {"memory_max_bytes", status->memory_max_bytes},
              {"disk_bytes", status->disk_bytes},
              {"disk_free_bytes", status->disk_free_bytes},
              {"viewers", parts_.viewers()},
              {"behind", parts_.behind()}};
}

Result<std::vector<json>> Operations::Impl::groups() {
  const auto groups = admin_.list_groups(patience());
  if (!groups) return std::unexpected(groups.error());
  std::vector<json> all;
  for (const auto& group : *groups) {
    const auto parts = admin_.describe_group(group.group, patience());
    if (!parts && parts.error().code == ErrorCode::kUnknownGroup) continue;
    if (!parts) return std::unexpected(parts.error());
    all.push_back(shown(group, *parts));
  }
  return all;
}

Result<std::vector<json>> Operations::Impl::boxes(const std::vector<client::TopicSummary>& topics) {
  const std::scoped_lock lock(letters_mutex_);
  std::vector<json> all;
  for (const BoxName& name : boxes_of(topics)) {
    const auto box = DeadLetterBox::open(*parts_.connection, name.topic, name.group);
    if (!box && box.error().code == ErrorCode::kUnknownTopic) continue;
    if (!box) return std::unexpected(box.error());
    std::uint64_t left = 0;
    std::uint64_t done = 0;
    MALLBOTS_TRY((*box)->each([&](const Letter& letter) {
      ++(letter.state == toolkit::LetterState::kLeft ? left : done);
      return true;
    }));
    all.push_back({{"group", name.group}, {"topic", name.topic}, {"left", left}, {"done", done}});
  }
  return all;
}

std::vector<json> Operations::Impl::outboxes() {
  std::vector<json> all;
  for (const OutboxBacklog& one : outboxes_.ask()) all.push_back(shown(one));
  return all;
}

Outcome<std::vector<json>> Operations::Impl::sagas(const Asker& asker) {
  MALLBOTS_OUTCOME(stuck, ask(*orders_, &Orders::ListStuckSagas, google::protobuf::Empty(), asker));
  std::vector<json> all;
  for (const auto& saga : stuck->sagas()) {
    all.push_back({{"id", saga.id()},
                   {"step", saga.step()},
                   {"reason", saga.reason()},
                   {"updated_ms", saga.updated_ms()}});
  }
  return all;
}

// --- Dead letters

Response Operations::Impl::letters(const Request& request) {
  const auto page = page_of(request, {"state"});
  if (!page) return refusal_of(page.error());
  std::string state = text_of(request, "state");
  if (state.empty()) state = "left";
  const auto from = toolkit::parse_letter_id(page->cursor);
  if (!page->cursor.empty() && !from) return invalid("cursor is none that this call gave");
  const std::scoped_lock lock(letters_mutex_);
  const auto box = DeadLetterBox::open(*parts_.connection, std::string(request.parameter("topic")),
                                       std::string(request.parameter("group")));
  if (!box) return broker_refusal(box.error());
  json all = json::array();
  std::string next;
  const auto read = (*box)->each([&](const Letter& letter) {
    if (word_of(letter.state) != state || (from && letter.id <= *from)) return true;
    if (all.size() == static_cast<std::size_t>(page->limit)) {
      next = all.back()["id"];
      return false;
    }
    all.push_back(shown(letter));
    return true;
  });
  if (!read) return broker_refusal(read.error());
  return listed("letters", std::move(all), next);
}

Response Operations::Impl::settle(const Request& request, bool is_replay) {
  const auto [body, repeated] = gateways::parse_strictly(request.body);
  if (repeated) return invalid(fmt::format("'{}' stands more than once in one object", *repeated));
  toolkit::LetterFilter filter;
  const bool is_all = body.is_object() && body.size() == 1 && body.contains("all") &&
                      body["all"].is_boolean() && body["all"].get<bool>();
  if (!is_all) {
    const bool has_ids = body.is_object() && body.size() == 1 && body.contains("ids") &&
                         body["ids"].is_array() && !body["ids"].empty() &&
                         body["ids"].size() <= kMostLetters;
    if (!has_ids) return invalid("either all: true, or ids with 1 to 200 letters");
    for (const json& id : body["ids"]) {
      if (!id.is_string()) return invalid("ids are texts");
      filter.ids.push_back(id.get<std::string>());
    }
  }
  const std::scoped_lock lock(letters_mutex_);
  const auto box = DeadLetterBox::open(*parts_.connection, std::string(request.parameter("topic")),
                                       std::string(request.parameter("group")));
  if (!box) return broker_refusal(box.error());
  const auto go_on = [](std::uint64_t) { return true; };
  const auto done = is_replay ? (*box)->replay(filter, go_on) : (*box)->purge(filter, go_on);
  if (!done) return broker_refusal(done.error());
  return answer_of({{"done", done->done}});
}

Response Operations::Impl::resume(const Asker& asker, const Request& request) {
  orderspb::OrderRequest asked;
  asked.set_id(std::string(request.parameter("order")));
  const auto done = ask(*orders_, &Orders::ResumeSaga, asked, asker);
  return done ? gateways::empty_response(204) : refusal_of(done.error());
}

// --- Rows and series

void Operations::Impl::show(const std::string& id, std::string_view kind, json row) {
  row["id"] = id;
  row["kind"] = kind;
  shown_.insert(id);
  parts_.board->put_ops(id, row.dump(-1, ' ', false, json::error_handler_t::replace));
}

void Operations::Impl::show_topics(const std::vector<client::TopicSummary>& topics) {
  const BootNanos now_ns = boot_now_ns();
  const double seconds = static_cast<double>(now_ns - polled_ns_) / 1e9;
  for (const auto& topic : topics) {
    json row = shown(topic);
    const auto before = records_.find(topic.name);
    const bool is_known = before != records_.end() && topic.records >= before->second;
    const auto grown = is_known ? static_cast<double>(topic.records - before->second) : 0.0;
    row["records_per_s"] = std::round(grown / std::max(seconds, 0.1) * 10) / 10;
    records_[topic.name] = topic.records;
    show("topic:" + topic.name, "topic", std::move(row));
  }
  polled_ns_ = now_ns;
}

void Operations::Impl::end_turn() {
  for (const std::string& id : before_) {
    if (!shown_.contains(id)) parts_.board->remove_ops(id);
  }
  before_ = std::exchange(shown_, {});
  shown_.clear();
}

bool Operations::Impl::poll() {
  // They grow when the broker is away.
  for (json& outbox : outboxes()) {
    const std::string id = "outbox:" + outbox["service"].get<std::string>();
    show(id, "outbox", std::move(outbox));
  }
  auto about = status();
  const auto topics = admin_.list_topics(patience());
  auto all_groups = groups();
  if (!about || !topics || !all_groups) {
    shown_.clear();
    return false;
  }
  show("status", "status", std::move(*about));
  show_topics(*topics);
  std::uint64_t lag = 0;
  for (json& group : *all_groups) {
    lag += group["lag"].get<std::uint64_t>();
    const std::string id = "group:" + group["group"].get<std::string>();
    show(id, "group", std::move(group));
  }
  // Letters are counted by reading them: less often.
  if (turn_++ % 5 == 0) {
    if (auto counted = boxes(*topics)) boxes_ = std::move(*counted);
  }
  for (const json& box : boxes_) {
    show(fmt::format("letters:{}:{}", box["group"].get<std::string>(),
                     box["topic"].get<std::string>()),
         "letters", box);
  }
  if (auto stuck = sagas({})) {
    for (json& saga : *stuck) {
      const std::string id = "saga:" + saga["id"].get<std::string>();
      show(id, "saga", std::move(saga));
    }
  }
  const std::scoped_lock lock(mutex_);
  lag_ = lag;
  if (before_.contains("sample")) shown_.insert("sample");
  end_turn();
  return true;
}

void Operations::Impl::sample(UnixMillis now_ms) {
  const gateways::BoardFigures figures = parts_.board->take_figures();
  const double seconds = kSampleMs / 1000.0;
  const auto rate = [&](std::uint64_t count) { return static_cast<double>(count) / seconds; };
  const std::scoped_lock lock(mutex_);
  samples_.push_back({rate(figures.created), rate(figures.completed),
                      rate(figures.closed_otherwise), quantile(figures.approve_ms, 0.5),
                      quantile(figures.approve_ms, 0.99), quantile(figures.fetch_ms, 0.5),
                      quantile(figures.fetch_ms, 0.99), rate(figures.events),
                      static_cast<double>(lag_), static_cast<double>(figures.bots_active)});
  if (samples_.size() > kSamples) samples_.pop_front();
  last_ms_ = now_ms;
  json values = json::object();
  for (std::size_t i = 0; i < kSeries.size(); ++i) {
    values[std::string(kSeries[i].name)] = value_of(samples_.back()[i]);
  }
  show("sample", "sample", {{"at_ms", now_ms}, {"values", values}});
  before_.insert("sample");
}

Response Operations::Impl::series() {
  const std::scoped_lock lock(mutex_);
  json all = json::array();
  for (std::size_t i = 0; i < kSeries.size(); ++i) {
    json values = json::array();
    for (const Sample& sample : samples_) values.push_back(value_of(sample[i]));
    all.push_back({{"name", kSeries[i].name}, {"unit", kSeries[i].unit}, {"values", values}});
  }
  const auto behind = samples_.empty() ? 0 : static_cast<std::int64_t>(samples_.size()) - 1;
  return answer_of(
      {{"step_ms", kSampleMs}, {"first_ms", last_ms_ - behind * kSampleMs}, {"series", all}});
}

Calls Operations::Impl::calls() {
  using enum Method;
  using enum Permission;
  const std::string letters_of = "/operations/dead-letters/{group}/{topic}";
  Calls calls;
  const auto add = [&](Call call) { calls.push_back(std::move(call)); };
  /// {key: what `read` gives}
  const auto add_list = [&](const char* path, const char* key, auto read) {
    add({kGet, path, kOperationsSee, [key, read](const Asker& asker, const Request&) {
           auto items = read(asker);
           if (!items) return refusal_of(Failure(std::move(items).error()));
           return answer_of({{key, json(*items)}});
         }});
  };
  add({kGet, "/operations/status", kOperationsSee, [this](const Asker&, const Request&) {
         const auto about = status();
         return about ? answer_of(*about) : broker_refusal(about.error());
       }});
  const auto all_topics = [this](const Asker&) -> Result<std::vector<json>> {
    const auto topics = admin_.list_topics(patience());
    if (!topics) return std::unexpected(topics.error());
    std::vector<json> all;
    for (const auto& topic : *topics) all.push_back(shown(topic));
    return all;
  };
  const auto all_boxes = [this](const Asker&) -> Result<std::vector<json>> {
    const auto topics = admin_.list_topics(patience());
    if (!topics) return std::unexpected(topics.error());
    return boxes(*topics);
  };
  add_list("/operations/topics", "topics", all_topics);
  add_list("/operations/groups", "groups", [this](const Asker&) { return groups(); });
  add_list("/operations/dead-letters", "boxes", all_boxes);
  add({kGet, letters_of, kOperationsSee,
       [this](const Asker&, const Request& request) { return letters(request); }});
  add({kPost, letters_of + "/replay", kOperationsChange,
       [this](const Asker&, const Request& request) { return settle(request, true); },
       gateways::Body::kJson, true});
  add({kPost, letters_of + "/purge", kOperationsChange,
       [this](const Asker&, const Request& request) { return settle(request, false); },
       gateways::Body::kJson, true});
  add_list("/operations/outboxes", "outboxes",
           [this](const Asker&) { return Result<std::vector<json>>(outboxes()); });
  add_list("/operations/sagas", "sagas", [this](const Asker& asker) { return sagas(asker); });
  add({kPost, "/operations/sagas/{order}/resume", kOperationsChange,
       [this](const Asker& asker, const Request& request) { return resume(asker, request); },
       gateways::Body::kNone, true});
  add({kGet, "/operations/metrics", kOperationsSee,
       [this](const Asker&, const Request&) { return series(); }});
  return calls;
}

Operations::Operations(OperationsParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
Operations::~Operations() = default;
Calls Operations::calls() { return impl_->calls(); }
bool Operations::poll() { return impl_->poll(); }
void Operations::sample(UnixMillis now_ms) { impl_->sample(now_ms); }

}  // namespace mallbots::admin
