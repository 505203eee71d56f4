// Feed: reads the events of all contexts and the robots' positions into the board, from the oldest
// on: first history, then what happens. History is read in the order of its time
// (history_order.h): else what is told of orders before they are created would be all of it.
// A reader of its own, in no group: nothing of the broker waits for it, and it keeps no position.
//
// Who calls: run() one thread of the gateway; the rest any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/toolkit/log.h"
#include "services/gateways/admin/board.h"
#include "services/gateways/admin/history_order.h"
#include "services/gateways/admin/viewer.h"

namespace mallbots::admin {

class Feed {
 public:
  /// The topics exist; the board lives longer.
  Feed(client::ConnectionOptions where, gateways::Board& board, toolkit::Log log);

  /// Until stopped; a lost broker is waited for.
  void run(const std::stop_token& stop);
  [[nodiscard]] std::uint64_t behind() const noexcept { return behind_; }
  [[nodiscard]] gateways::Freshness freshness() const;

 private:
  [[nodiscard]] Result<void> open();
  /// Until stopped, or an error that ends the reading.
  [[nodiscard]] Result<void> read(const std::stop_token& stop);
  void take(const client::Message& record);
  [[nodiscard]] Result<void> note_history();
  void align_history();
  void find_ends();
  void measure();

  client::ConnectionOptions where_;
  gateways::Board* board_;
  toolkit::Log log_;
  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<client::Consumer> consumer_;
  using Place = gateways::HistoryOrder::Place;
  std::map<Place, Offset> next_;
  gateways::HistoryOrder history_;
  std::atomic<std::uint64_t> behind_ = 0;
  std::atomic<bool> is_connected_ = false;
  std::atomic<bool> has_caught_up_ = false;
};

}  // namespace mallbots::admin
