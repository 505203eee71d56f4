#include "services/mall/up_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "services/gateways/http/server.h"
#include "services/mall/metrics_page.h"
#include "services/mall/registry.h"

namespace mallbots::mall {
namespace {

constexpr std::int64_t kAny = INT64_MAX;

struct Number {
  std::string_view name;
  std::int64_t most;
};
// READMEs of the services have them with their meaning; a test holds this list to them.
constexpr Number kNumbers[] = {{"admin.port", 65'535},
                               {"bots.breakdown", kAny},
                               {"bots.breakdown_ms", kAny},
                               {"bots.count", kAny},
                               {"bots.decline", kAny},
                               {"bots.disconnect", kAny},
                               {"bots.local_percent", kAny},
                               {"bots.lost", kAny},
                               {"bots.pick_ms", kAny},
                               {"bots.seed", kAny},
                               {"bots.slow_ack", kAny},
                               {"bots.slow_ack_ms", kAny},
                               {"bots.step_ms", kAny},
                               {"bots.twice", kAny},
                               {"bots.unavailable", kAny},
                               {"calls.threads", kAny},
                               {"depot.heartbeat_ms", kAny},
                               {"depot.offer_ms", kAny},
                               {"depot.stranded_ms", kAny},
                               {"fleet.max_robots", kAny},
                               {"fleet.port", 65'535},
                               {"kiosk.port", 65'535},
                               {"kiosk.requests_per_s", 1'000'000},
                               {"kiosk.timeout_ms", 60'000},
                               {"kiosk.workers", 1'000},
                               {"orders.abandon_after_ms", kAny}};

/// All of the text, or nothing.
template <class Value>
std::optional<Value> read_as(const std::string& text) {
  Value value{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return is_whole ? std::optional{value} : std::nullopt;
}

std::string setting(const Settings& settings, const std::string& name,
                    const std::string& otherwise) {
  const auto found = settings.find(name);
  return found == settings.end() ? otherwise : found->second;
}

/// What is listened on, until the look is over.
struct One {
  std::string name;
  std::string where;
  std::unique_ptr<gateways::Server> server;
};
using Held = std::vector<One>;

Result<void> hold(Held& held, gateways::ServerOptions options) {
  options.workers = 1;
  options.connections = 0;
  One one{options.name, fmt::format("{}:{}", options.bind, options.port), nullptr};
  const auto other = std::ranges::find(held, one.where, &One::where);
  if (options.port != 0 && other != held.end())
    return fail(ErrorCode::kBadConfig,
                fmt::format("{}.port and {}.port: both are {}", other->name, one.name, one.where));
  auto server = gateways::Server::start(std::move(options), gateways::Router{});
  if (!server) return std::unexpected(std::move(server).error());
  one.server = *std::move(server);
  held.push_back(std::move(one));
  return {};
}

Result<void> hold_gateway(Held& held, const std::string& name, const Settings& settings) {
  const std::string bind = setting(settings, name + ".bind", "127.0.0.1");
  // The fleet's may be a name.
  const bool is_address = bind.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos;
  if (name == "fleet" && !is_address) return {};
  const auto port = read_as<std::uint16_t>(setting(settings, name + ".port", "0"));
  return hold(held, {.name = name,
                     .bind = bind,
                     .port = port.value_or(0),
                     .tls_certificate = setting(settings, name + ".tls_certificate", ""),
                     .tls_key = setting(settings, name + ".tls_key", "")});
}

Result<void> hold_metrics(Held& held, const UpPlan& plan) {
  const std::string first = setting(plan.settings, "metrics.port", "");
  if (first.empty()) return {};
  // Together they have the first port, which is that of the first service.
  std::vector<std::string> processes = plan.services;
  if (!plan.is_separate) processes = {std::string{registry().front().name}};
  for (const std::string& process : processes) {
    const auto port = metrics_port_of(process, first);
    if (!port) return std::unexpected(port.error());
    MALLBOTS_TRY(hold(held, {.name = "metrics", .port = *read_as<std::uint16_t>(*port)}));
  }
  return {};
}

}  // namespace

Result<void> check_numbers(const Settings& settings) {
  for (const Number& number : kNumbers) {
    const auto found = settings.find(number.name);
    if (found == settings.end()) continue;
    const std::string text = fmt::format("{}={}", number.name, found->second);
    const auto value = read_as<std::int64_t>(found->second);
    if (!value || *value < 0)
      return fail(ErrorCode::kBadConfig, text + ": a whole number from 0 on is wanted");
    if (*value > number.most)
      return fail(ErrorCode::kBadConfig, fmt::format("{}: at most {}", text, number.most));
  }
  const auto speed = settings.find("bots.speed");
  if (speed == settings.end()) return {};
  const auto value = read_as<double>(speed->second);
  if (value && *value > 0) return {};
  return fail(ErrorCode::kBadConfig,
              "bots.speed=" + speed->second + ": a number above 0 is wanted");
}

Result<void> check_before_start(const UpPlan& plan) {
  MALLBOTS_TRY(check_numbers(plan.settings));
  Held held;
  for (const char* gateway : {"fleet", "kiosk", "admin"})
    if (std::ranges::find(plan.services, gateway) != plan.services.end())
      MALLBOTS_TRY(hold_gateway(held, gateway, plan.settings));
  return hold_metrics(held, plan);
}

}  // namespace mallbots::mall
