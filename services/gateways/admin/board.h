// Board: the mall as the staff sees it live, drawn from the events of all contexts: one row for
// each order, shopping list, robot, invoice and store, beside what operations put up. Drawn anew
// from the log whenever the gateway starts; `run` names the drawing.
//
// Events of one thing come in order, those of different topics in any: an order is shown once it
// is known to be created, whatever was heard of it before. Outboxes publish at least once, under
// one id: an event of an order, its list or its invoice is taken once for as long as the order is
// kept. One of a robot, a store or a customer taken again changes a row back for a moment: those
// after it come again, too.
//
// Closed orders go, with list and invoice, when there are kept_closed younger ones. What is heard
// of an order that is not known to be created (yet, or any more) goes in the same way, when there
// are kept_strangers younger ones; of a list whose beginning is not known nothing is kept.
//
// Who calls: any thread. Nobody waits for a viewer: a piece is copied out and sent elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateways/admin/changes.h"
#include "shm/base/ids.h"

namespace mallbots::gateways {

enum class BoardTopic : std::uint8_t { kOrders, kLists, kBots, kInvoices, kStores, kOps };
inline constexpr std::size_t kBoardTopics = 6;

struct BoardLimits {
  std::size_t kept_closed = 20'000;
  std::size_t kept_strangers = 20'000;
  std::size_t kept_removals = 10'000;
};

/// What happened since the last look, for plots.
struct BoardFigures {
  std::uint64_t events = 0;
  std::uint64_t created = 0;
  std::uint64_t completed = 0;
  std::uint64_t closed_otherwise = 0;
  std::vector<std::int64_t> approve_ms;  ///< submitted to approved
  std::vector<std::int64_t> fetch_ms;    ///< approved to ready
  std::size_t bots_active = 0;           ///< now
};

class Board {
 public:
  explicit Board(std::string run, const BoardLimits& limits = {});
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  ~Board();

  /// The broker's topics that are to be read, but for positions.
  [[nodiscard]] static std::vector<std::string> event_topics();

  /// `name` as on the wire, `id` the message's. False: it is none of the shop's, cannot be read, or
  /// was taken before; nothing changed.
  bool take(std::string_view name, std::string_view payload, UnixMillis at_ms, std::string_view id);
  struct BotPosition {
    double x = 0;  ///< column
    double y = 0;  ///< row
    std::uint32_t battery_percent = 0;
    bool is_gone = false;
  };
  void take_position(const std::string& bot_id, const BotPosition& position, UnixMillis at_ms);

  /// Rows of BoardTopic::kOps. JSON with an "id".
  void put_ops(const std::string& id, std::string row);
  void remove_ops(const std::string& id);

  [[nodiscard]] const std::string& run() const noexcept;
  /// Rises with each change of any topic.
  [[nodiscard]] std::uint64_t version() const;
  /// Time line of one order as JSON, `[{"what":...,"at_ms":...,"detail":...}]`; nothing: not on the
  /// board.
  [[nodiscard]] std::optional<std::string> moments_of(const std::string& order_id) const;
  [[nodiscard]] BoardFigures take_figures();

  /// A message for somebody at `place`; empty: there is no news. `topic_name` as the viewer calls
  /// it; with moments if that is one order.
  struct Message {
    std::string text;
    Place after;
    bool more = false;
  };
  struct Wish {
    BoardTopic topic = BoardTopic::kOrders;
    std::string name;  ///< "orders", "order:17"
    RowFilter filter;
    bool with_moments = false;
  };
  [[nodiscard]] Message message_for(const Wish& wish, const Place& place) const;
  [[nodiscard]] Place place_of(BoardTopic topic, std::uint64_t last) const;

 private:
  class Drawing;
  std::unique_ptr<Drawing> drawing_;
};

}  // namespace mallbots::gateways
