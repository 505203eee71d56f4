// Search: orders, shopping lists and robots, found by what others have told of them (feed.h). It
// answers in the messages of its API: there is nothing behind them but rows.
//
// Pages are stable: rows stand by when they were created and their id, youngest first (robots by
// id), and a cursor names the last one that was given.
//
// Who calls: gateways, any thread. Failures: kUnknown (no such order); kInvalid (page.h; more than
// kMaxWanted values of a filter; a filter longer than kMaxNameBytes); errors of the database.
#pragma once

#include <string>

#include "clients/toolkit/store/database.h"
#include "services/runtime/outcome.h"
#include "services/search/api.pb.h"

namespace mallbots::search {

inline constexpr int kMaxWanted = 100;

class Search {
 public:
  /// The database that the view's runner was opened on; it lives longer.
  explicit Search(toolkit::Database& database) noexcept : database_(&database) {}

  [[nodiscard]] Outcome<searchpb::SearchOrdersResponse> orders(
      const searchpb::SearchOrdersRequest& wanted) const;
  /// With its time line.
  [[nodiscard]] Outcome<searchpb::Order> order(const std::string& id) const;
  [[nodiscard]] Outcome<searchpb::CountOrdersResponse> count_orders() const;
  [[nodiscard]] Outcome<searchpb::SearchListsResponse> lists(
      const searchpb::SearchListsRequest& wanted) const;
  [[nodiscard]] Outcome<searchpb::SearchBotsResponse> bots(
      const searchpb::SearchBotsRequest& wanted) const;

 private:
  [[nodiscard]] Outcome<void> add_lines(searchpb::Order& order) const;
  [[nodiscard]] Outcome<void> add_moments(searchpb::Order& order) const;

  toolkit::Database* database_;
};

}  // namespace mallbots::search
