#include "services/orders/adapters/streams.h"

#include "services/orders/app/stored.h"
#include "shm/base/hash.h"

namespace mallbots::orders {

Result<std::unique_ptr<CartAndOrderStreams>> CartAndOrderStreams::open(
    client::Connection& connection, std::size_t width) {
  const auto open_all = [&](const toolkit::MessageType& type) -> Result<Opened> {
    Opened all;
    while (all.size() < width) {
      auto one = toolkit::StoreStreams::open(connection, topic_names().topic_of(type));
      if (!one) return std::unexpected(std::move(one).error());
      all.push_back(std::move(*one));
    }
    return all;
  };
  auto carts = open_all(toolkit::kMessageType<ordersapi::CartStarted>);
  if (!carts) return std::unexpected(std::move(carts).error());
  auto orders = open_all(toolkit::kMessageType<ordersapi::OrderCreated>);
  if (!orders) return std::unexpected(std::move(orders).error());
  return std::unique_ptr<CartAndOrderStreams>(
      new CartAndOrderStreams(std::move(*carts), std::move(*orders)));
}

toolkit::StoreStreams& CartAndOrderStreams::of(const std::string& stream) const {
  const Opened& all = stream.starts_with(StoredCart::kAggregate) ? carts_ : orders_;
  return *all[xxh3(stream.data(), stream.size()) % all.size()];
}

Result<std::vector<toolkit::StoredEvent>> CartAndOrderStreams::read(const std::string& stream,
                                                                    std::uint64_t after) {
  return of(stream).read(stream, after);
}

Result<std::uint64_t> CartAndOrderStreams::append(const std::string& stream, std::uint64_t seen,
                                                  std::span<const toolkit::NewEvent> events) {
  return of(stream).append(stream, seen, events);
}

Result<std::optional<toolkit::StoredSnapshot>> CartAndOrderStreams::snapshot(
    const std::string& stream) {
  return of(stream).snapshot(stream);
}

Result<void> CartAndOrderStreams::save_snapshot(const std::string& stream,
                                                const toolkit::StoredSnapshot& snapshot) {
  return of(stream).save_snapshot(stream, snapshot);
}

}  // namespace mallbots::orders
