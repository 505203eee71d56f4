#include "services/depot/domain/bot.h"

#include <fmt/format.h>

#include <array>

#include "services/runtime/text.h"

namespace mallbots::depot {
namespace {

using Events = std::vector<BotEvent>;

}  // namespace

std::string_view name_of(BotStatus status) noexcept {
  static constexpr std::array<std::string_view, 3> kNames = {"offline", "idle", "active"};
  return kNames[static_cast<std::size_t>(status)];
}

void Bot::apply(const BotEvent& event) {
  struct {
    Bot& bot;
    void operator()(const BotCameOnline& online) const {
      bot.name = online.name;
      bot.epoch = online.epoch;
      bot.status = BotStatus::kIdle;
    }
    void operator()(const BotActivated& activated) const {
      bot.status = BotStatus::kActive;
      bot.list_id = activated.list_id;
    }
    void operator()(const BotIdled&) const {
      if (bot.status == BotStatus::kActive) bot.status = BotStatus::kIdle;
      bot.list_id.clear();
    }
    void operator()(const BotWentOffline&) const { bot.status = BotStatus::kOffline; }
  } then{*this};
  std::visit(then, event);
}

BotDecision come_online(const Bot& bot, std::string_view name, bool has_list) {
  auto good_name = checked_text("the robot's name", name);
  if (!good_name) return std::unexpected(good_name.error());
  Events events{BotCameOnline{*std::move(good_name), bot.epoch + 1}};
  if (has_list) {
    events.emplace_back(BotActivated{bot.list_id});
  } else if (!bot.list_id.empty()) {
    events.emplace_back(BotIdled{});  // another robot has it meanwhile
  }
  return events;
}

Decision<void> check_epoch(const Bot& bot, std::uint64_t epoch) {
  if (bot.epoch == 0) return refuse(RefusalKind::kUnknown, "there is no such robot");
  if (bot.epoch == epoch) return {};
  return refuse(RefusalKind::kConflict,
                fmt::format("robot '{}' has connected anew: this is connection {}, the last is {}",
                            bot.id, epoch, bot.epoch));
}

BotDecision take_list(const Bot& bot, std::string_view list_id) {
  if (bot.status == BotStatus::kActive && bot.list_id == list_id) return Events{};
  if (bot.status != BotStatus::kIdle) {
    return refuse(RefusalKind::kWrongState, fmt::format("robot '{}' is {}: it cannot take a list",
                                                        bot.id, name_of(bot.status)));
  }
  return Events{BotActivated{std::string(list_id)}};
}

BotDecision finish_list(const Bot& bot, std::string_view list_id) {
  if (bot.list_id.empty() || bot.list_id != list_id) return Events{};
  return Events{BotIdled{}};
}

BotDecision go_offline(const Bot& bot, std::uint64_t epoch) {
  if (bot.epoch != epoch || bot.status == BotStatus::kOffline) return Events{};
  return Events{BotWentOffline{}};
}

}  // namespace mallbots::depot
