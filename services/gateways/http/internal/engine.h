// Engine: what all connections of one server share, and the two kinds of connection.
//
// Who calls: server.cpp and the connections. `io` runs in one thread, which alone touches
// connections, streams and the rate limit; workers post to it. Includes Boost.Asio: only for the
// sources of this folder and server.cpp.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "services/gateways/http/internal/rate_limit.h"
#include "services/gateways/http/server.h"
#include "services/runtime/worker_pool.h"

namespace mallbots::gateways {

namespace asio = boost::asio;

class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;
  /// No further request: ends now if none is being handled, else after its answer.
  virtual void stop() = 0;
  /// All threads have ended: lets go what holds the connection alive.
  virtual void abandon() {}
};

/// Counts the connections, all and of each peer, and finds them to stop them. Any thread.
class Lobby {
 public:
  Lobby(std::size_t most, std::size_t most_of_peer) noexcept
      : most_(most), most_of_peer_(most_of_peer) {}

  /// One connection's place; free again when it is destroyed.
  class Place {
   public:
    Place(Lobby& lobby, std::string peer) noexcept : lobby_(&lobby), peer_(std::move(peer)) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { lobby_->leave(*this); }
    void seat(const std::shared_ptr<Connection>& connection) { lobby_->seat(*this, connection); }
    [[nodiscard]] const std::string& peer() const noexcept { return peer_; }

   private:
    friend class Lobby;
    Lobby* lobby_;
    std::string peer_;
  };

  /// Null: full.
  [[nodiscard]] std::unique_ptr<Place> enter(const std::string& peer, bool is_loopback);
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> all();
  [[nodiscard]] std::size_t size();
  void wait_until_empty(std::int64_t at_most_ms);

 private:
  void seat(const Place& place, const std::shared_ptr<Connection>& connection);
  void leave(const Place& place);

  std::size_t most_;
  std::size_t most_of_peer_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::unordered_map<const Place*, std::weak_ptr<Connection>> places_;
  std::unordered_map<std::string, std::size_t> of_peer_;
};

struct Counters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> answered_4xx{0};
  std::atomic<std::uint64_t> answered_5xx{0};
  std::atomic<std::uint64_t> overloaded{0};
  std::atomic<std::uint64_t> sockets_now{0};
  std::atomic<std::uint64_t> sockets_full{0};
};

struct Engine {
  static constexpr std::size_t kSocketWorkers = 4;

  Engine(ServerOptions given, Router routes)
      : options(std::move(given)),
        router(std::move(routes)),
        lobby(options.connections, options.connections_of_peer),
        limit(options.requests_per_s, options.burst) {
    workers.emplace(WorkerPoolOptions{options.workers, options.waiting_requests});
    // One task of each connection at most, so they are bounded without a bound of the pool.
    socket_workers.emplace(WorkerPoolOptions{kSocketWorkers, SIZE_MAX});
    for (const Route& route : router.routes()) {
      body_bytes = std::max(body_bytes, route.body_bytes);
    }
  }

  ServerOptions options;
  Router router;
  std::size_t body_bytes = kBodyBytes;  ///< the largest that any route takes
  bool is_loopback = true;              ///< bound to it
  bool is_stopping = false;             ///< of the server's thread
  Lobby lobby;
  Counters counters;
  RateLimit limit;
  std::optional<asio::ssl::context> tls;
  asio::io_context io{1};             ///< behind what its handlers use
  std::optional<WorkerPool> workers;  ///< of requests
  std::optional<WorkerPool> socket_workers;
};

/// A new connection: plain, or TLS if the engine has it.
void begin_connection(Engine& engine, asio::ip::tcp::socket socket,
                      std::unique_ptr<Lobby::Place> place);

}  // namespace mallbots::gateways
