// The streams of carts and orders over the broker's event topics: carts in one, orders in the
// other. Each topic is opened several times, because one StoreStreams makes its callers wait for
// each other's flush; a stream always goes through the same one.
//
// Who calls: any thread. Errors: those of StoreStreams. The connection lives longer.
#pragma once

#include <memory>
#include <vector>

#include "clients/toolkit/aggregates/store_streams.h"

namespace mallbots::orders {

class CartAndOrderStreams final : public toolkit::EventStreams {
 public:
  [[nodiscard]] static Result<std::unique_ptr<CartAndOrderStreams>> open(
      client::Connection& connection, std::size_t width);

  [[nodiscard]] Result<std::vector<toolkit::StoredEvent>> read(const std::string& stream,
                                                               std::uint64_t after) override;
  [[nodiscard]] Result<std::uint64_t> append(const std::string& stream, std::uint64_t seen,
                                             std::span<const toolkit::NewEvent> events) override;
  [[nodiscard]] Result<std::optional<toolkit::StoredSnapshot>> snapshot(
      const std::string& stream) override;
  [[nodiscard]] Result<void> save_snapshot(const std::string& stream,
                                           const toolkit::StoredSnapshot& snapshot) override;

 private:
  using Opened = std::vector<std::unique_ptr<toolkit::StoreStreams>>;
  CartAndOrderStreams(Opened carts, Opened orders)
      : carts_(std::move(carts)), orders_(std::move(orders)) {}
  [[nodiscard]] toolkit::StoreStreams& of(const std::string& stream) const;

  Opened carts_;
  Opened orders_;
};

}  // namespace mallbots::orders
