#include "services/analytics/app/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "services/runtime/money_proto.h"

namespace mallbots::analytics {
namespace {

using toolkit::Database;

constexpr std::int64_t kHourMs = 3'600'000;

Result<void> add_orders(Database& database, analyticspb::Report& report) {
  const auto rows = database.read("select ended, count(*) from seen_orders group by ended");
  if (!rows) return std::unexpected(rows.error());
  for (const auto& row : *rows) {
    const std::int64_t orders = row.integer(1);
    report.set_created(report.created() + orders);
    if (row.text(0) == "completed") report.set_completed(orders);
    if (row.text(0) == "cancelled") report.set_cancelled(orders);
    if (row.text(0) == "rejected") report.set_rejected(orders);
  }
  return {};
}

Result<void> add_revenue(Database& database, analyticspb::Report& report) {
  const auto rows = database.read(
      "select l.store_id, max(l.store_name), o.completed_ms / ?1 as hour,"
      " count(distinct o.id), sum(l.minor), max(l.currency)"
      " from seen_orders o join sold_lines l on l.order_id = o.id where o.ended = 'completed'"
      " group by hour, l.store_id order by hour, l.store_id",
      {kHourMs});
  if (!rows) return std::unexpected(rows.error());
  for (const auto& row : *rows) {
    analyticspb::Revenue& revenue = *report.add_revenue();
    revenue.set_store_id(std::string(row.text(0)));
    revenue.set_store_name(std::string(row.text(1)));
    revenue.set_hour_ms(row.integer(2) * kHourMs);
    revenue.set_orders(row.integer(3));
    revenue.mutable_amount()->set_minor(row.integer(4));
    revenue.mutable_amount()->set_currency(std::string(row.text(5)));
  }
  return {};
}

Result<void> add_fetch_times(Database& database, analyticspb::Report& report) {
  const auto rows = database.read(
      "with times as (select counted_ms - started_ms as ms,"
      " row_number() over (order by counted_ms - started_ms) as place, count(*) over () as orders"
      " from seen_orders where counted_ms is not null and started_ms is not null)"
      " select max(orders), min(ms), min(iif(place * 2 >= orders, ms, null)),"
      " min(iif(place * 100 >= orders * 95, ms, null)), max(ms) from times having count(*) > 0");
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return {};
  const auto& row = rows->front();
  analyticspb::FetchTimes& times = *report.mutable_fetch_times();
  times.set_orders(row.integer(0));
  times.set_least_ms(row.integer(1));
  times.set_half_ms(row.integer(2));
  times.set_most_of_them_ms(row.integer(3));
  times.set_most_ms(row.integer(4));
  return {};
}

Result<void> add_reasons(Database& database, analyticspb::Report& report) {
  const auto rows = database.read(
      "select reason, count(*) as orders from seen_orders where ended = 'cancelled'"
      " group by reason order by orders desc, reason");
  if (!rows) return std::unexpected(rows.error());
  for (const auto& row : *rows) {
    analyticspb::CancelReason& reason = *report.add_cancel_reasons();
    reason.set_reason(std::string(row.text(0)));
    reason.set_orders(row.integer(1));
  }
  return {};
}

double seconds(std::int64_t ms) { return static_cast<double>(ms) / 1'000; }

}  // namespace

Result<analyticspb::Report> report_from(Database& database, const analyticspb::Progress& progress) {
  analyticspb::Report report;
  *report.mutable_progress() = progress;
  MALLBOTS_TRY(add_orders(database, report));
  MALLBOTS_TRY(add_revenue(database, report));
  MALLBOTS_TRY(add_fetch_times(database, report));
  MALLBOTS_TRY(add_reasons(database, report));
  return report;
}

std::string shown(const analyticspb::Progress& progress) {
  if (progress.left() == 0) return fmt::format("read {} events, up to date", progress.read());
  const std::uint64_t all = progress.read() + progress.left();
  return fmt::format("read {} of {} events of the log, {} %", progress.read(), all,
                     progress.read() * 100 / all);
}

std::string shown(const analyticspb::Report& report) {
  std::string text = fmt::format(
      "Orders: {} created, {} completed, {} cancelled, {} rejected ({})\n\n"
      "Revenue by hour (UTC) and store\n",
      report.created(), report.completed(), report.cancelled(), report.rejected(),
      shown(report.progress()));
  for (const analyticspb::Revenue& one : report.revenue()) {
    text +=
        fmt::format("  {:%Y-%m-%d %H:00}  {:<24} {:>7} orders  {:>12}\n",
                    fmt::gmtime(static_cast<std::time_t>(one.hour_ms() / 1'000)), one.store_name(),
                    one.orders(), to_text(from_proto(one.amount()).value_or(Money{})));
  }
  const analyticspb::FetchTimes& times = report.fetch_times();
  text += fmt::format(
      "\nFetched, from the robot's start to the count: {} orders\n"
      "  least {:.1f} s, half within {:.1f} s, 95 of 100 within {:.1f} s, most {:.1f} s\n"
      "\nCancelled, why\n",
      times.orders(), seconds(times.least_ms()), seconds(times.half_ms()),
      seconds(times.most_of_them_ms()), seconds(times.most_ms()));
  for (const analyticspb::CancelReason& one : report.cancel_reasons())
    text += fmt::format("  {:>7}  {}\n", one.orders(), one.reason());
  return text;
}

}  // namespace mallbots::analytics
