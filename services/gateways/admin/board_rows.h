// What the board knows of one order, list, robot, invoice, store, and their rows as JSON
// (README.md, "Who may do what", names the fields), and the message that carries them.
//
// Who calls: board.cpp, under the board's lock. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateways/admin/board.h"
#include "services/runtime/money.pb.h"
#include "shm/base/ids.h"

namespace mallbots::gateways::board_rows {

struct Moment {
  std::string_view what;  ///< a literal
  std::string detail;
  UnixMillis at_ms = 0;
  std::size_t event = 0;  ///< hash of its id
};

struct Order {
  std::string id;
  std::string status;  ///< empty: not known to be created yet
  std::string customer_id;
  runtimepb::Money total;
  int lines = 0;
  std::vector<std::string> stores;
  std::string shopping_id;
  std::string bot_id;
  std::string invoice_state;
  std::string reason;
  bool paid = false;
  UnixMillis created_ms = 0;
  UnixMillis approved_ms = 0;
  UnixMillis updated_ms = 0;
  std::vector<Moment> moments;
};

struct List {
  std::string order_id;
  std::string status;
  std::string phase;
  std::string bot_id;
  std::string store_id;
  int stops_done = 0;
  std::int64_t picked = 0;
  std::int64_t unavailable = 0;
};

struct Bot {
  std::string name;
  std::string status = "offline";
  std::string list_id;
  std::optional<Board::BotPosition> position;
  UnixMillis position_ms = 0;
};

struct Invoice {
  std::string state = "pending";
  runtimepb::Money first_amount;
  runtimepb::Money amount;
  std::int64_t paid_minor = 0;
  std::int64_t refunded_minor = 0;
  std::string paid_by;
};

struct Store {
  std::string name;
  std::string location;
  std::string participation = "private";
};

/// Of messages with a quantity.
template <class Counts>
[[nodiscard]] std::int64_t units_of(const Counts& counts) {
  std::int64_t units = 0;
  for (const auto& count : counts) units += count.quantity();
  return units;
}

/// Whatever is no UTF-8 in it is replaced.
[[nodiscard]] std::string text_of(const nlohmann::json& row);
/// "12.34 GBP"
[[nodiscard]] std::string text_of(const runtimepb::Money& money);
[[nodiscard]] nlohmann::json json_of(const std::vector<Moment>& moments);

/// `moments` are put into each row, if they are wished for.
[[nodiscard]] std::string text_of(const Board::Wish& wish, const Piece& piece, std::string_view run,
                                  const nlohmann::json& moments);

[[nodiscard]] std::string row_of(const Order& order, std::string_view customer_name);
[[nodiscard]] std::string row_of(const std::string& id, const List& list, UnixMillis at_ms);
[[nodiscard]] std::string row_of(const std::string& id, const Bot& bot,
                                 const std::string& order_id);
[[nodiscard]] std::string row_of(const std::string& id, const Invoice& invoice, UnixMillis at_ms);
[[nodiscard]] std::string row_of(const std::string& id, const Store& store);

}  // namespace mallbots::gateways::board_rows
