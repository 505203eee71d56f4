// Calls: how an adapter carries out what gRPC brings. Each method of a service's CallbackService is
// one line: Calls runs the body on the process's worker pool, with the cause that the metadata
// tells, and turns what it gives into a status.
//
//   grpc::ServerUnaryReactor* EnableCustomer(grpc::CallbackServerContext* context,
//                                            const CustomerRequest* request, Empty*) override {
//     return calls_.run(context, [=, this](const toolkit::Cause& cause) {
//       return customers_->enable(request->id(), cause);
//     });
//   }
//
// Metadata: `request-id` names the request: the same again has its effect once, so a caller that
// changes two things of one aggregate gives two ids. `correlation-id` (else the request's) goes
// through all that it causes; `actor` says who asked, `traceparent` is W3C's.
//
// Status: a refusal as refusal.h says; errors that pass (broker or database busy, in doubt)
// UNAVAILABLE, too much of it RESOURCE_EXHAUSTED, what the caller got wrong INVALID_ARGUMENT, ours
// INTERNAL. Too many calls waiting: RESOURCE_EXHAUSTED, nothing was done.
//
// Who calls: gRPC's threads. Heavy include: in adapters only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>

#include "clients/toolkit/log.h"
#include "clients/toolkit/message.h"
#include "services/runtime/outcome.h"
#include "services/runtime/worker_pool.h"

namespace mallbots {

[[nodiscard]] toolkit::Cause cause_of(const grpc::ServerContextBase& context);
[[nodiscard]] grpc::Status status_of(const Failure& failure);

class Calls {
 public:
  Calls(WorkerPool& pool, toolkit::Log log) : pool_(&pool), log_(std::move(log)) {}

  /// `body`: Outcome<void>(const toolkit::Cause&); writes the response itself.
  template <class Body>
  grpc::ServerUnaryReactor* run(grpc::CallbackServerContext* context, Body body) const {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const bool taken = pool_->submit([this, context, reactor, body = std::move(body)] {
      reactor->Finish(context->IsCancelled() ? grpc::Status::CANCELLED : answer(*context, body));
    });
    if (!taken) reactor->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many calls wait"});
    return reactor;
  }

 private:
  template <class Body>
  [[nodiscard]] grpc::Status answer(const grpc::CallbackServerContext& context,
                                    const Body& body) const {
    try {
      const Outcome<void> outcome = body(cause_of(context));
      if (outcome) return grpc::Status::OK;
      return failed(outcome.error());
    } catch (const std::exception& thrown) {
      return failed(thrown);
    }
  }
  [[nodiscard]] grpc::Status failed(const Failure& failure) const;
  [[nodiscard]] grpc::Status failed(const std::exception& thrown) const;

  WorkerPool* pool_;
  toolkit::Log log_;
};

}  // namespace mallbots
