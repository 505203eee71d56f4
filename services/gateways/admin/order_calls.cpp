// Orders, the depot's check-in, robots, and the pickup desk.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "services/gateways/admin/commands.h"
#include "services/gateways/admin/contexts.h"
#include "services/gateways/admin/shown.h"
#include "services/gateways/http/json_body.h"
#include "services/runtime/limits.h"
#include "services/runtime/text.h"

namespace mallbots::admin {
namespace {

using gateways::Body;
using gateways::JsonBody;
using nlohmann::json;
using Orders = orderspb::OrdersService::Stub;
using Depot = depotpb::DepotService::Stub;
using Payments = paymentspb::PaymentsService::Stub;
using Search = searchpb::SearchService::Stub;
using Customers = customerspb::CustomersService::Stub;

/// A read with one id.
template <class Asked, class Stub, class Answer>
Outcome<Answer> get(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Asked&, Answer*),
                    const std::string& id, const Asker& asker) {
  Asked asked;
  asked.set_id(id);
  return ask(stub, method, asked, asker);
}

bool is_unknown(const Failure& failure) {
  const auto* refusal = std::get_if<Refusal>(&failure);
  return refusal != nullptr && refusal->kind == RefusalKind::kUnknown;
}

std::string order_of(const Request& request) { return std::string(request.parameter("order")); }

/// What orders says, with the invoice and the list if there are any, and what search adds.
Outcome<json> whole_order(Contexts& contexts, const Asker& asker, const std::string& id) {
  MALLBOTS_OUTCOME(order, get(*contexts.orders, &Orders::GetOrder, id, asker));
  json body = shown(*order);
  body["invoice"] = nullptr;
  body["list"] = nullptr;
  const auto invoice = get(*contexts.payments, &Payments::GetInvoice, id, asker);
  if (invoice) {
    body["invoice"] = shown(*invoice);
  } else if (!is_unknown(invoice.error())) {
    return std::unexpected(invoice.error());
  }
  if (!order->shopping_id().empty()) {
    const auto list = get(*contexts.depot, &Depot::GetList, order->shopping_id(), asker);
    if (list) body["list"] = shown(*list);
  }
  // Search may lag or be away: without it only the name and the time are missing.
  const auto found = get(*contexts.search, &Search::GetOrder, id, asker);
  body["customer_name"] = found ? found->customer_name() : std::string();
  body["created_ms"] = found ? found->created_ms() : 0;
  return body;
}

Response order_now(Contexts& contexts, const Asker& asker, const std::string& id) {
  const auto order = whole_order(contexts, asker, id);
  return order ? answer_of(*order) : refusal_of(order.error());
}

Response search_orders(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto page = page_of(request, {"id", "status", "store", "product", "customer", "after_ms",
                                      "before_ms", "min_total", "max_total"});
  if (!page) return refusal_of(page.error());
  searchpb::SearchOrdersRequest asked;
  for (const auto& [name, value] : request.query) {
    if (value.empty()) continue;
    if (name == "status") asked.add_statuses(value);
    if (name == "store") asked.add_store_ids(value);
    if (name == "product") asked.add_product_ids(value);
  }
  asked.set_id_starts_with(text_of(request, "id"));
  asked.set_customer_id(text_of(request, "customer"));
  const auto number = [&request](std::string_view name, auto set) {
    const auto value = number_of(request, name);
    if (value) set(*value);
    return value.has_value();
  };
  const bool is_right = number("after_ms", [&](auto ms) { asked.set_after_ms(ms); }) &&
                        number("before_ms", [&](auto ms) { asked.set_before_ms(ms); }) &&
                        number("min_total", [&](auto sum) { asked.set_min_total_minor(sum); }) &&
                        number("max_total", [&](auto sum) { asked.set_max_total_minor(sum); });
  if (!is_right) return invalid("times and totals are whole numbers from 0 on");
  asked.set_cursor(page->cursor);
  asked.set_limit(page->limit);
  const auto orders = ask(*contexts.search, &Search::SearchOrders, asked, asker);
  if (!orders) return refusal_of(orders.error());
  return listed("orders", each_shown(orders->orders()), orders->next());
}

Response count_orders(Contexts& contexts, const Asker& asker, const Request&) {
  const auto counts =
      ask(*contexts.search, &Search::CountOrders, searchpb::CountOrdersRequest(), asker);
  if (!counts) return refusal_of(counts.error());
  json by_status = json::object();
  for (const auto& [status, count] : counts->by_status()) by_status[status] = count;
  return answer_of({{"by_status", by_status}});
}

/// From the board, which reads the log itself; what it does not have any more, search may.
Response timeline(Contexts& contexts, const gateways::Board& board, const Asker& asker,
                  const Request& request) {
  const std::string id = order_of(request);
  if (const auto moments = board.moments_of(id)) {
    return gateways::json_response(200, R"({"moments":)" + *moments + "}");
  }
  const auto found = get(*contexts.search, &Search::GetOrder, id, asker);
  if (!found) return refusal_of(found.error());
  json moments = json::array();
  for (const auto& moment : found->moments()) {
    moments.push_back(
        {{"what", moment.what()}, {"at_ms", moment.at_ms()}, {"detail", moment.detail()}});
  }
  return answer_of({{"moments", moments}});
}

Response cancel_order(Contexts& contexts, Claims& claims, const Asker& asker,
                      const Request& request) {
  JsonBody body(request);
  orderspb::CancelRequest asked;
  asked.set_id(order_of(request));
  asked.set_reason(body.text("reason", kMaxReasonBytes));
  asked.set_by_staff(true);
  if (auto bad = body.problem()) return *bad;
  const std::string deed = "the cancellation of order " + asked.id();
  return claims.run("cancel:" + asked.id(), deed, asker.member.name, [&] {
    const auto before = get(*contexts.orders, &Orders::GetOrder, asked.id(), asker);
    if (!before) return refusal_of(before.error());
    if (before->status() == "cancelled") {
      return done_already(
          fmt::format("order {} is cancelled already: {}", asked.id(), before->reason()));
    }
    const auto done = ask(*contexts.orders, &Orders::CancelOrder, asked, asker);
    return done ? order_now(contexts, asker, asked.id()) : refusal_of(done.error());
  });
}

// --- The depot

Response list_lists(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto page = page_of(request, {"status", "phase"});
  if (!page) return refusal_of(page.error());
  depotpb::ListShoppingListsRequest asked;
  asked.set_status(text_of(request, "status"));
  asked.set_phase(text_of(request, "phase"));
  asked.set_cursor(page->cursor);
  asked.set_limit(page->limit);
  const auto lists = ask(*contexts.depot, &Depot::ListShoppingLists, asked, asker);
  if (!lists) return refusal_of(lists.error());
  return listed("lists", each_shown(lists->lists()), lists->next());
}

Response list_now(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto list =
      get(*contexts.depot, &Depot::GetList, std::string(request.parameter("list")), asker);
  return list ? answer_of(shown(*list)) : refusal_of(list.error());
}

Response take_inventory(Contexts& contexts, Claims& claims, const Asker& asker,
                        const Request& request) {
  JsonBody body(request);
  depotpb::TakeInventoryRequest asked;
  asked.set_list_id(std::string(request.parameter("list")));
  body.objects("counted", kMaxLines, [&](JsonBody& item) {
    auto& count = *asked.add_counted();
    count.set_product_id(item.text("product_id", 100));
    count.set_quantity(static_cast<std::int32_t>(item.integer("quantity", {0, kMaxQuantity})));
  });
  if (auto bad = body.problem()) return *bad;
  const std::string deed = "the inventory of list " + asked.list_id();
  return claims.run("inventory:" + asked.list_id(), deed, asker.member.name, [&] {
    const auto before = get(*contexts.depot, &Depot::GetList, asked.list_id(), asker);
    if (!before) return refusal_of(before.error());
    if (before->status() == "completed") {
      return done_already(fmt::format("list {} was counted already", asked.list_id()));
    }
    const auto done = ask(*contexts.depot, &Depot::TakeInventory, asked, asker);
    return done ? list_now(contexts, asker, request) : refusal_of(done.error());
  });
}

Response list_bots(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto page = page_of(request);
  if (!page) return refusal_of(page.error());
  depotpb::ListBotsRequest asked;
  asked.set_cursor(page->cursor);
  asked.set_limit(page->limit);
  const auto bots = ask(*contexts.depot, &Depot::ListBots, asked, asker);
  if (!bots) return refusal_of(bots.error());
  return listed("bots", each_shown(bots->bots()), bots->next());
}

Response bot_now(Contexts& contexts, const Asker& asker, const Request& request) {
  const auto bot =
      get(*contexts.depot, &Depot::GetBot, std::string(request.parameter("bot")), asker);
  return bot ? answer_of(shown(*bot)) : refusal_of(bot.error());
}

// --- The pickup desk

/// Those that are to be collected first.
std::size_t rank_of(const std::string& status) {
  static constexpr std::array<std::string_view, 4> kOrder = {"ready", "in-progress", "approved",
                                                             "pending"};
  return static_cast<std::size_t>(std::ranges::find(kOrder, status) - kOrder.begin());
}

Response find_pickup(Contexts& contexts, const Asker& asker, const Request& request) {
  JsonBody body(request);
  const auto number = body.optional_text("number", 100);
  const auto phone = body.optional_text("phone", 60);
  if (auto bad = body.problem()) return *bad;
  if (number.has_value() == phone.has_value()) return invalid("either number or phone");
  searchpb::SearchOrdersRequest asked;
  asked.set_limit(100);
  if (number) asked.set_id_starts_with(*number);
  if (phone) {
    customerspb::FindByNumberRequest whose;
    whose.set_sms_number(*phone);
    const auto customer = ask(*contexts.customers, &Customers::FindByNumber, whose, asker);
    if (!customer && is_unknown(customer.error())) {
      return answer_of({{"orders", json::array()}});
    }
    if (!customer) return refusal_of(customer.error());
    asked.set_customer_id(customer->id());
  }
  auto found = ask(*contexts.search, &Search::SearchOrders, asked, asker);
  if (!found) return refusal_of(found.error());
  std::ranges::stable_sort(*found->mutable_orders(), {},
                           [](const auto& order) { return rank_of(order.status()); });
  return answer_of({{"orders", each_shown(found->orders())}});
}

Response pickup_now(Contexts& contexts, const Asker& asker, const std::string& id) {
  auto order = whole_order(contexts, asker, id);
  if (!order) return refusal_of(order.error());
  const std::string status = (*order)["status"];
  const json& invoice = (*order)["invoice"];
  const bool is_pending = !invoice.is_null() && invoice["state"] == "pending";
  const bool is_paid = !invoice.is_null() && invoice["state"] == "paid";
  const bool can_release = status == "ready" && is_paid;
  std::string why_not;
  if (!is_pending && !can_release) {
    why_not = invoice.is_null() ? fmt::format("The order is {}: there is no invoice.", status)
                                : fmt::format("The order is {}, its invoice {}.", status,
                                              invoice["state"].get<std::string>());
  }
  json customer = nullptr;
  const auto whose =
      get(*contexts.customers, &Customers::GetCustomer, (*order)["customer_id"], asker);
  if (whose) {
    customer = shown(*whose);
    customer["sms_number"] = masked_phone(whose->sms_number());
  }
  return answer_of({{"order", std::move(*order)},
                    {"customer", customer},
                    {"can_pay", is_pending},
                    {"can_release", can_release},
                    {"why_not", why_not}});
}

Response take_payment(Contexts& contexts, Claims& claims, const Asker& asker,
                      const Request& request) {
  JsonBody body(request);
  paymentspb::PayRequest asked;
  asked.set_invoice_id(order_of(request));
  asked.set_by(body.text("by", 10));
  if (auto bad = body.problem()) return *bad;
  if (asked.by() != "card" && asked.by() != "cash") return invalid("by is card or cash");
  const std::string deed = "the payment of order " + asked.invoice_id();
  return claims.run("payment:" + asked.invoice_id(), deed, asker.member.name, [&] {
    const auto before = get(*contexts.payments, &Payments::GetInvoice, asked.invoice_id(), asker);
    if (!before) return refusal_of(before.error());
    if (before->state() == "paid") {
      return done_already(
          fmt::format("order {} was paid already, by {}", asked.invoice_id(), before->paid_by()));
    }
    const auto done = ask(*contexts.payments, &Payments::Pay, asked, asker);
    return done ? pickup_now(contexts, asker, asked.invoice_id()) : refusal_of(done.error());
  });
}

Response release(Contexts& contexts, Claims& claims, const Asker& asker, const Request& request) {
  orderspb::OrderRequest asked;
  asked.set_id(order_of(request));
  const std::string deed = "the release of order " + asked.id();
  return claims.run("release:" + asked.id(), deed, asker.member.name, [&] {
    const auto before = ask(*contexts.orders, &Orders::GetOrder, asked, asker);
    if (!before) return refusal_of(before.error());
    if (before->status() == "completed") {
      return done_already(fmt::format("order {} was released already", asked.id()));
    }
    const auto done = ask(*contexts.orders, &Orders::ReleaseOrder, asked, asker);
    return done ? pickup_now(contexts, asker, asked.id()) : refusal_of(done.error());
  });
}

template <class Handle>
auto with(Contexts& contexts, Handle handle) {
  return [&contexts, handle](const Asker& asker, const Request& request) {
    return handle(contexts, asker, request);
  };
}

template <class Handle>
auto with(Contexts& contexts, Claims& claims, Handle handle) {
  return [&contexts, &claims, handle](const Asker& asker, const Request& request) {
    return handle(contexts, claims, asker, request);
  };
}

}  // namespace

void add_order_calls(Calls& calls, Contexts& contexts, const gateways::Board& board,
                     Claims& claims) {
  using enum Method;
  using enum Permission;
  const auto add = [&](Call call) { calls.push_back(std::move(call)); };
  const std::string order = "/orders/{order}";
  add({kGet, "/orders", kOrdersSee, with(contexts, search_orders)});
  add({kGet, "/orders/counts", kOrdersSee, with(contexts, count_orders)});
  add({kGet, order, kOrdersSee, [&contexts](const Asker& asker, const Request& request) {
         return order_now(contexts, asker, order_of(request));
       }});
  add({kGet, order + "/timeline", kOrdersSee,
       [&contexts, &board](const Asker& asker, const Request& request) {
         return timeline(contexts, board, asker, request);
       }});
  add({kPost, order + "/cancellation", kOrdersCancel, with(contexts, claims, cancel_order),
       Body::kJson, true});
  const std::string list = "/depot/lists/{list}";
  add({kGet, "/depot/lists", kDepotSee, with(contexts, list_lists)});
  add({kGet, list, kDepotSee, with(contexts, list_now)});
  add({kPost, list + "/inventory", kDepotCount, with(contexts, claims, take_inventory), Body::kJson,
       true});
  add({kGet, "/bots", kBotsSee, with(contexts, list_bots)});
  add({kGet, "/bots/{bot}", kBotsSee, with(contexts, bot_now)});
}

void add_pickup_calls(Calls& calls, Contexts& contexts, Claims& claims) {
  using enum Method;
  using enum Permission;
  const auto add = [&](Call call) { calls.push_back(std::move(call)); };
  const std::string order = "/pickup/orders/{order}";
  add({kPost, "/pickup/search", kPickupSee, with(contexts, find_pickup), Body::kJson});
  add({kGet, order, kPickupSee, [&contexts](const Asker& asker, const Request& request) {
         return pickup_now(contexts, asker, order_of(request));
       }});
  add({kPost, order + "/payment", kPickupSettle, with(contexts, claims, take_payment), Body::kJson,
       true});
  add({kPost, order + "/release", kPickupSettle, with(contexts, claims, release), Body::kNone,
       true});
}

}  // namespace mallbots::admin
