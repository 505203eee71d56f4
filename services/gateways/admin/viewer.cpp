#include "services/gateways/admin/viewer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "services/gateways/http/message.h"
#include "services/gateways/http/strict_json.h"

namespace mallbots::gateways {
namespace {

using nlohmann::json;

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

constexpr std::string_view kOrderPrefix = "order:";
constexpr std::size_t kTopicBytes = 120;

const SocketTopic* find_topic(std::string_view name) {
  const bool is_one_order = name.starts_with(kOrderPrefix) && name.size() > kOrderPrefix.size();
  for (const SocketTopic& topic : socket_topics()) {
    const bool stands_for_many = topic.name.ends_with("ID");
    if (stands_for_many ? is_one_order : topic.name == name) return &topic;
  }
  return nullptr;
}

}  // namespace

std::string me_json(const StaffMember& member) {
  json roles = json::array();
  for (const Role role : member.roles) roles.push_back(name_of(role));
  json permissions = json::array();
  for (const PermissionRow& row : permission_table()) {
    if (scope_of(member, row.permission) != Scope::kNone) permissions.push_back(row.name);
  }
  return text_of({{"name", member.name},
                  {"roles", roles},
                  {"stores", member.stores},
                  {"permissions", permissions}});
}

/// What a page asks to see, as it came.
struct Viewer::Wish {
  std::string topic;
  std::string store;
  std::string run;
  std::uint64_t last = 0;

  /// Nothing: it has another form.
  [[nodiscard]] static std::optional<Wish> of(const json& asked) {
    Wish wish;
    for (const auto& [name, value] : asked.items()) {
      if (name == "op") continue;
      if (name == "topic" && value.is_string()) {
        wish.topic = value.get<std::string>();
      } else if (name == "run" && value.is_string()) {
        wish.run = value.get<std::string>();
      } else if (name == "last" && value.is_number_unsigned()) {
        wish.last = value.get<std::uint64_t>();
      } else if (name == "filter" && value.is_object()) {
        if (value.empty()) continue;
        if (value.size() != 1 || !value.contains("store") || !value["store"].is_string()) {
          return std::nullopt;
        }
        wish.store = value["store"].get<std::string>();
      } else {
        return std::nullopt;
      }
    }
    if (wish.topic.empty() || wish.topic.size() > kTopicBytes) return std::nullopt;
    return wish;
  }
};

Viewer::Viewer(const Board& board, StaffMember member, const toolkit::Clock& clock)
    : board_(&board), clock_(&clock), member_(std::move(member)), heard_ns_(clock.now_ns()) {}

void Viewer::open(std::shared_ptr<SocketPeer> peer) {
  const std::scoped_lock lock(mutex_);
  peer_ = std::move(peer);
  (void)peer_->send(fmt::format(R"({{"op":"hello","run":"{}","heartbeat_ms":{},"me":{}}})",
                                board_->run(), kHeartbeatMs, me_json(member_)));
}

void Viewer::close() {
  const std::scoped_lock lock(mutex_);
  peer_.reset();
  subscriptions_.clear();
}

void Viewer::malformed(const std::string& why) {
  if (peer_) peer_->close(kCloseMalformed, why);
}

void Viewer::take(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  heard_ns_ = clock_->now_ns();
  const auto [asked, repeated] = gateways::parse_strictly(text);
  if (repeated || !asked.is_object() || !asked.contains("op") || !asked["op"].is_string()) {
    return malformed("not an object with op, each field once");
  }
  const std::string op = asked["op"].get<std::string>();
  if (op == "heartbeat") return;
  const auto wish = Wish::of(asked);
  if (!wish) return malformed("not a subscription's form");
  if (op == "subscribe") {
    subscribe(*wish);
  } else if (op == "unsubscribe") {
    subscriptions_.erase(wish->topic);
  } else {
    malformed("unknown op");
  }
}

void Viewer::subscribe(const Wish& wish) {
  const SocketTopic* topic = find_topic(wish.topic);
  if (topic == nullptr) {
    return refuse(wish.topic, {.status = 404,
                               .name = "unknown",
                               .detail = "there is no such topic",
                               .remedy = "README.md of the admin gateway lists them"});
  }
  const Scope scope = scope_of(member_, topic->permission);
  if (scope == Scope::kNone) {
    return refuse(wish.topic,
                  {.status = 403,
                   .name = "forbidden",
                   .detail = fmt::format("this account lacks {}", name_of(topic->permission)),
                   .remedy = "sign in as somebody who may, or ask for the role"});
  }
  if (!wish.store.empty() && !topic->has_store_filter) {
    return refuse(wish.topic, {.status = 400,
                               .name = "invalid",
                               .detail = "this topic has no filter by store",
                               .remedy = "subscribe without filter"});
  }
  if (subscriptions_.size() >= kTopicsOfViewer && !subscriptions_.contains(wish.topic)) {
    return refuse(wish.topic, {.status = 429,
                               .name = "too-many",
                               .detail = fmt::format("{} topics at most", kTopicsOfViewer),
                               .remedy = "unsubscribe from some first"});
  }
  Subscription mine{.wish = {.topic = topic->topic, .name = wish.topic}};
  mine.is_own = scope == Scope::kOwn;
  if (mine.is_own) {
    mine.wish.filter = {.by_store = true, .stores = member_.stores};
  } else if (!wish.store.empty()) {
    mine.wish.filter = {.by_store = true, .stores = {wish.store}};
  }
  if (topic->name.ends_with("ID")) {
    mine.wish.filter.key = wish.topic.substr(kOrderPrefix.size());
    mine.wish.with_moments = true;
  }
  if (wish.run == board_->run()) mine.place = board_->place_of(topic->topic, wish.last);
  subscriptions_[wish.topic] = std::move(mine);
  pump_locked();
}

void Viewer::refuse(const std::string& topic, const Problem& what) {
  if (!peer_) return;
  (void)peer_->send(fmt::format(R"({{"op":"refused","topic":{},"problem":{}}})", text_of(topic),
                                problem(what).body));
}

bool Viewer::pump_one(Subscription& subscription) {
  while (true) {
    Board::Message message = board_->message_for(subscription.wish, subscription.place);
    const bool is_news = !message.text.empty();
    // Not queued: the place stays, and what is told later holds this, too.
    if (is_news && peer_->send(std::move(message.text)) != Sent::kQueued) return false;
    subscription.place = message.after;
    if (!is_news || !message.more) return true;
  }
}

void Viewer::pump_locked() {
  if (!peer_) return;
  for (auto& [name, subscription] : subscriptions_) {
    if (!pump_one(subscription)) return;
  }
}

void Viewer::pump() {
  const std::scoped_lock lock(mutex_);
  pump_locked();
}

void Viewer::beat(const std::optional<StaffMember>& member, const Freshness& freshness) {
  const std::scoped_lock lock(mutex_);
  if (!peer_) return;
  if (!member) return peer_->close(kCloseSignedOut, "signed out");
  if (clock_->now_ns() - heard_ns_ > kSilenceMs * kMillisecond) {
    return peer_->close(kCloseSilent, "nothing heard");
  }
  if (member->stores != member_.stores) {
    for (auto& [name, subscription] : subscriptions_) {
      if (!subscription.is_own) continue;
      subscription.wish.filter.stores = member->stores;
      subscription.place = {};
    }
  }
  member_ = *member;
  (void)peer_->send(text_of({{"op", "heartbeat"},
                             {"at_ms", clock_->wall_ms()},
                             {"stale", freshness.is_stale},
                             {"why", freshness.why}}));
}

}  // namespace mallbots::gateways
