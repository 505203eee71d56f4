// Story: what happened to one order, and who changed one thing, picked from the mall's history.
//
// story_of: all that tells of the order: its cart, its shopping lists, its invoice and payment, and
// the saga's commands and replies; a cause stands before what it caused, else by time.
// audit_of: every event of one cart, order, store, product, customer, list, robot or invoice, with
// the request that it came from and who asked. An event that carries nobody has whoever its causes
// name.
//
// Who calls: the commands, tests. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/mall/history.h"

namespace mallbots::mall {

[[nodiscard]] std::vector<Fact> story_of(std::span<const Fact> history, std::string_view order_id);
[[nodiscard]] std::vector<Fact> audit_of(std::span<const Fact> history, std::string_view entity);

/// "2026-11-21 15:04:05.123", in UTC.
[[nodiscard]] std::string shown_time(UnixMillis at_ms);
/// A line each: time, since the first, topic, what, who, with what.
[[nodiscard]] std::string shown_story(std::span<const Fact> story);
/// A line each: time, who, request, what, with what.
[[nodiscard]] std::string shown_audit(std::span<const Fact> audit);

}  // namespace mallbots::mall
