// Host: what a process of the shop gives to the services in it: the broker, a database per context
// with inbox, outbox and relay, handlers, timers, threads, a log, metrics, gRPC in and out.
//
//   Result<std::unique_ptr<Service>> make_depot(Host& host) {
//     auto store = host.open_store("depot");
//     ...
//     MALLBOTS_TRY(host.handle(commands.registrations(), *store));
//     host.every(1'000, "depot.tick", [depot] { return depot->tick(); });
//     host.serve("depot", *adapter);
//   }
//
//   auto host = Host::open({.data_dir = ...});
//   std::vector<std::unique_ptr<Service>> services;   // made with the host, destroyed before it
//   MALLBOTS_TRY((*host)->start());
//   ...
//   (*host)->stop();
//
// Several services in one process share broker connection, router, timer thread and gRPC server;
// each still listens on a socket of its own, SOCKETS/NAME.sock, so that callers know no difference.
//
// Who calls: the process's main thread opens, starts and stops; services register between open()
// and start(), from that thread. What the accessors give may be used by any thread until stop().
// Handlers run on the router's threads, one per handler; timers one after the other on one thread,
// so they are short; calls (grpc_calls.h) on a bounded pool.
//
// What stop() promises: threads that run beside are told to end and joined; no call is taken any
// more, those that run end (at most 2 s, then they are cancelled); timers end; handlers finish what
// they have; the relays end, and what the outbox still holds goes out with the next start.
//
// Errors of open(): those of client::Connection::open; BadArgument (the socket folder's name is too
// long for a Unix socket); Io (a folder cannot be made).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "clients/toolkit/cqrs/registration.h"
#include "clients/toolkit/saga/saga_runner.h"
#include "clients/toolkit/shm_bus.h"
#include "services/runtime/outcome.h"
#include "services/runtime/topics.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc
namespace prometheus {
class Registry;
}

namespace mallbots {

class WorkerPool;

struct HostOptions {
  /// Of the process: names its broker session and its lines in the log.
  std::string name = "mall";
  std::string instance = "default";  ///< of the broker
  std::string runtime_dir{};         ///< of the broker; empty: as client::default_runtime_dir says
  std::string data_dir{};            ///< databases
  std::string socket_dir{};          ///< empty: RUNTIME_DIR/mall
  std::map<std::string, std::string, std::less<>> settings{};
  toolkit::Log log{};  ///< none: service_log()
};

/// One service of the shop, a context or a gateway, made by its make_X(Host&). What it registered
/// refers to it, so it is destroyed after Host::stop() and before the host.
class Service {
 public:
  Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  virtual ~Service() = default;
};

class Host {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Host>> open(HostOptions options);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  /// stop(), if nobody has.
  ~Host();

  [[nodiscard]] client::Connection& connection() noexcept;
  [[nodiscard]] toolkit::ShmBus& bus() noexcept;
  [[nodiscard]] toolkit::Clock& clock() noexcept;
  [[nodiscard]] const toolkit::Log& log() const noexcept;
  [[nodiscard]] const std::shared_ptr<prometheus::Registry>& metrics() const noexcept;
  /// Where the calls of this process are carried out (grpc_calls.h).
  [[nodiscard]] WorkerPool& calls() noexcept;
  [[nodiscard]] const HostOptions& options() const noexcept;
  [[nodiscard]] std::string setting(std::string_view name, std::string_view otherwise) const;
  /// BadConfig: it is no number, or lies below 0.
  [[nodiscard]] Result<std::int64_t> number(std::string_view name, std::int64_t otherwise) const;

  // --- For services, before start()

  /// The database DATA/NAME.db with inbox and outbox, whose relay runs from start() on. As long as
  /// the host. InUse: another process has this context.
  [[nodiscard]] Result<toolkit::ServiceStore> open_store(const std::string& name);
  /// Topics that are written or heard; whoever comes first makes them. Empty settings are those
  /// that the shop gives a topic of that name (topics.h).
  [[nodiscard]] Result<void> ensure_topics(std::span<const Topic> topics);
  [[nodiscard]] Result<void> ensure_topics(std::initializer_list<Topic> topics) {
    return ensure_topics(std::span{topics.begin(), topics.size()});
  }
  /// Its topics are made if they are not there. Without a store it stands in no transaction.
  [[nodiscard]] Result<void> handle(toolkit::Registration registration,
                                    toolkit::HandlerOptions options = {});
  [[nodiscard]] Result<void> handle(std::vector<toolkit::Registration> registrations,
                                    const toolkit::HandlerOptions& options = {});
  [[nodiscard]] Result<void> handle(toolkit::Registration registration,
                                    const toolkit::ServiceStore& store,
                                    toolkit::HandlerOptions options = {});
  [[nodiscard]] Result<void> handle(std::vector<toolkit::Registration> registrations,
                                    const toolkit::ServiceStore& store,
                                    const toolkit::HandlerOptions& options = {});
  /// From start() on, first after one interval. A failure is logged and tried with the next turn.
  void every(std::int64_t interval_ms, std::string name, std::function<Outcome<void>()> turn);
  /// A thread from start() on, until it returns or its token says stop.
  void run_beside(std::string name, std::function<void(const std::stop_token&)> body);
  /// For describe(): somebody who reads topics without a handler (a view).
  void declare_reader(const std::string& name, std::vector<std::string> topics);
  /// The service's calls, on SOCKETS/NAME.sock. Lives until stop().
  void serve(const std::string& name, grpc::Service& service);
  /// For one without calls: its socket tells its health.
  void announce(const std::string& name);

  /// Where people and devices reach it, e.g. "http://127.0.0.1:8080/": kept in
  /// SOCKETS/NAME.address for whoever shows it, and said in the log. Io: it cannot be written.
  [[nodiscard]] Result<void> publish_address(const std::string& name, const std::string& address);

  // --- Calls to contexts, wherever they run. Waits (until the call's deadline) for one that is not
  // there yet; a call whose answer was lost is made again, so each carries a request id
  // (grpc_client.h).

  [[nodiscard]] std::shared_ptr<grpc::Channel> channel(const std::string& name);
  [[nodiscard]] std::string socket_of(std::string_view name) const;

  // --- Running

  /// Errors: those of Router::start; Io (a socket cannot be listened on). Then nothing runs.
  [[nodiscard]] Result<void> start();
  void stop();
  /// Started, and every handler is subscribed.
  [[nodiscard]] bool is_ready() const;
  /// Who hears what: handlers (Router::describe) and declared readers.
  [[nodiscard]] toolkit::Description describe() const;

 private:
  class Impl;
  explicit Host(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots
