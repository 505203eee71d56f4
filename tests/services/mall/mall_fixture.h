// RunningMall: `mall up` over a broker of its own, in one process or one for each service, and what
// gateways do with it: calls to contexts, each repeated under the same request id until it is
// answered, as a gateway's caller would. ask() and channel() from any thread, the rest from one;
// ends with the object.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "services/customers/api.grpc.pb.h"
#include "services/depot/api.grpc.pb.h"
#include "services/orders/api.grpc.pb.h"
#include "services/payments/api.grpc.pb.h"
#include "services/runtime/grpc_client.h"
#include "services/stores/api.grpc.pb.h"
#include "tests/services/mall/manner.h"
#include "tests/support/daemon.h"

namespace mallbots::test {

struct MallOptions {
  std::string services = "customers,orders,depot,payments,stores,search,notifications";
  std::vector<std::string> settings;  ///< NAME=VALUE
  double limit_s = 110;               ///< it may run
  /// One of `services` that `mall up` leaves out: it runs in a process that nobody starts again.
  std::string apart{};
};

class RunningMall {
 public:
  explicit RunningMall(Manner manner, MallOptions options = {})
      : manner_(manner),
        options_(std::move(options)),
        daemon_({.process = {.limit_s = options_.limit_s}}) {}
  ~RunningMall();

  /// The broker, unless it runs, and the services, until they are ready. `more`: words for
  /// `mall up`.
  [[nodiscard]] bool start(const std::vector<std::string>& more = {});
  /// SIGTERM; true if it ended cleanly and in time.
  [[nodiscard]] bool stop();
  /// SIGKILL to the service that runs apart; it stays away until start_apart(), which waits until
  /// it is ready.
  [[nodiscard]] bool kill_apart();
  [[nodiscard]] bool start_apart();
  /// SIGTERM to it; true if it ended cleanly, and so soon.
  [[nodiscard]] bool stop_apart(double limit_s = 20);
  /// SIGKILL to the process that has the service. False: there is none.
  [[nodiscard]] bool kill(const std::string& service) { return signal(service, SIGKILL); }
  [[nodiscard]] bool signal(const std::string& service, int signal);
  /// Of a gateway, e.g. "http://127.0.0.1:40123/"; empty: it has none.
  [[nodiscard]] std::string address_of(const std::string& gateway) const;
  [[nodiscard]] bool is_open() const { return mall_ && mall_->running(); }
  [[nodiscard]] std::string log() const { return mall_->errors(); }
  [[nodiscard]] Daemon& daemon() noexcept { return daemon_; }
  [[nodiscard]] std::string data_dir() const { return daemon_.folder() / "mall"; }
  [[nodiscard]] std::shared_ptr<grpc::Channel> channel(const std::string& service);

  /// `method` of the service's stub. The same request is asked again, under the same id, while the
  /// service is away and while `again` says that it does not know yet what has been told.
  template <class Stub, class Request, class Response>
  grpc::Status ask(const std::string& service,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response, bool until_known = false);

 private:
  [[nodiscard]] pid_t process_of(const std::string& service) const;

  Manner manner_;
  MallOptions options_;
  Daemon daemon_;
  bool has_broker_ = false;
  std::optional<Process> mall_;
  std::optional<Process> apart_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;  ///< under mutex_
  std::atomic<int> requests_ = 0;
};

struct NewStore {
  std::string id;
  std::string name;
  std::string location;
  std::vector<std::pair<std::string, std::int64_t>>
      products{};  ///< id, which is its name, too; pence
};
/// It takes part and sells them; a refusal fails the test.
void open_store(RunningMall& mall, const NewStore& store);
/// So many of each into the cart of that id, which is begun.
orderspb::Cart fill_cart(RunningMall& mall, const std::string& id,
                         const std::vector<std::pair<std::string, int>>& products);

/// What an order is submitted with.
struct CheckOut {
  std::string payment{};  ///< empty: "payment-ORDER"
  std::int64_t held = 699;
};

/// One order, step by step: two mugs and a cake, 6.99.
class Story {
 public:
  explicit Story(RunningMall& mall, std::string order = "o1")
      : mall_(&mall), order_(std::move(order)) {}

  void open_store();
  void fill_cart();
  void check_out(const CheckOut& with = {});
  void wait_for(const std::string& status);
  void start_shopping();
  void bring_it_in();
  void pay();
  void carry_away();
  /// The names of all that happened to the order, in order.
  [[nodiscard]] std::vector<std::string> history();
  [[nodiscard]] orderspb::Order order();
  [[nodiscard]] paymentspb::Invoice invoice();
  [[nodiscard]] const std::string& id() const noexcept { return order_; }

 private:
  void report(depotpb::ReportRequest report);

  RunningMall* mall_;
  std::string order_;
  std::uint64_t epoch_ = 0;
  std::uint64_t sequence_ = 0;
  std::string list_;
};

template <class Stub, class Request, class Response>
grpc::Status RunningMall::ask(const std::string& service,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request, Response* response, bool until_known) {
  const CallOrigin origin{"request-" + std::to_string(++requests_), "system"};
  Stub stub{channel(service)};
  grpc::Status status;
  const Deadline patience = Deadline::after_ms(40'000);
  do {
    grpc::ClientContext context;
    prepare(context, origin, 5'000);
    status = (stub.*method)(&context, request, response);
    const bool is_away = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    if (status.ok() || (!is_away && !until_known)) break;
    // sleep: asked again after a while, as a caller does
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  } while (!patience.has_passed());
  return status;
}

}  // namespace mallbots::test
