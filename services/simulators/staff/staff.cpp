#include "services/simulators/staff/staff.h"

#include <fmt/format.h>

#include "shm/base/hash.h"

namespace mallbots::staff {

namespace {
/// Orders that are not ready yet are many, and nobody waits for what is done about them.
constexpr BootNanos kBetweenLooksNs = kSecond;
}  // namespace

using simulators::ListAtDepot;
using simulators::OrderSeen;

bool Staff::falls(std::string_view what, std::string_view on, std::uint32_t per_mille) const {
  const std::string text = fmt::format("{} {} {}", options_->seed, what, on);
  return xxh3(text.data(), text.size()) % 1'000 < per_mille;
}

Result<bool> Staff::note(Result<bool> is_done) {
  if (is_done && *is_done) has_worked_ = true;
  if (is_done && !*is_done) ++progress_.refused;
  return is_done;
}

Result<void> Staff::count(ListAtDepot list) {
  if (lists_.contains(list.id)) return {};
  const bool is_one_short = falls("correct", list.order_id, options_->correct_per_mille) &&
                            !list.picked.empty() && list.picked.begin()->second > 0;
  if (is_one_short) --list.picked.begin()->second;
  const auto is_done = note(desk_->count(list));
  if (!is_done) return std::unexpected(is_done.error());
  if (!*is_done) return {};
  lists_.insert(list.id);
  ++progress_.counted;
  progress_.corrected += is_one_short ? 1 : 0;
  return {};
}

Result<bool> Staff::pay(const std::string& order_id) {
  auto is_paid = note(desk_->pay(order_id, falls("cash", order_id, options_->cash_per_mille)));
  progress_.paid += is_paid && *is_paid ? 1 : 0;
  return is_paid;
}

Result<void> Staff::before_ready(const OrderSeen& order) {
  Known& known = orders_[order.id];
  if (known.is_done) return {};
  MALLBOTS_TRY(judge(order));
  if (falls("cancel", order.id, options_->cancel_per_mille)) {
    const auto is_done = note(desk_->cancel(order.id, "the customer has called the depot"));
    if (!is_done) return std::unexpected(is_done.error());
    known.is_done = *is_done;
    progress_.cancelled += *is_done ? 1 : 0;
    return {};
  }
  if (known.is_paid || order.is_paid || !falls("early", order.id, options_->early_per_mille))
    return {};
  const auto is_paid = pay(order.id);
  if (!is_paid) return std::unexpected(is_paid.error());
  known.is_paid = *is_paid;
  return {};
}

Result<void> Staff::pick_up(const OrderSeen& order) {
  Known& known = orders_[order.id];
  if (known.is_done) return {};
  if (!known.is_paid && !order.is_paid) {
    const auto is_paid = pay(order.id);
    if (!is_paid) return std::unexpected(is_paid.error());
    known.is_paid = *is_paid;
    return {};  // released in a later round, when the order knows of the payment
  }
  const auto is_done = note(desk_->release(order.id));
  if (!is_done) return std::unexpected(is_done.error());
  if (!*is_done) return {};
  known.is_done = true;
  ++progress_.released;
  return {};
}

Result<void> Staff::judge(const OrderSeen& order) {
  const bool is_chosen = falls("disable", order.customer_name, options_->disable_per_mille);
  if (!is_chosen || customers_.contains(order.customer_id)) return {};
  const auto is_done = note(desk_->disable(order.customer_id));
  if (!is_done) return std::unexpected(is_done.error());
  if (*is_done && customers_.insert(order.customer_id).second) ++progress_.disabled;
  return {};
}

Result<void> Staff::look_ahead() {
  if (looked_ns_ != 0 && boot_now_ns() - looked_ns_ < kBetweenLooksNs) return {};
  looked_ns_ = boot_now_ns();
  for (const char* status : {"approved", "in-progress"}) {
    const auto orders = desk_->orders(status);
    if (!orders) return std::unexpected(orders.error());
    for (const OrderSeen& order : *orders) MALLBOTS_TRY(before_ready(order));
  }
  return {};
}

Result<bool> Staff::round() {
  has_worked_ = false;
  if (duty_ == Duty::kDepot) {
    const auto lists = desk_->at_depot();
    if (!lists) return std::unexpected(lists.error());
    for (const ListAtDepot& list : *lists) MALLBOTS_TRY(count(list));
    return has_worked_;
  }
  MALLBOTS_TRY(look_ahead());
  const auto ready = desk_->orders("ready");
  if (!ready) return std::unexpected(ready.error());
  for (const OrderSeen& order : *ready) MALLBOTS_TRY(pick_up(order));
  return has_worked_;
}

}  // namespace mallbots::staff
