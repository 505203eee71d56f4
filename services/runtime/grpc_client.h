// A call to a context, from a gateway's side: what it carries, and how its status reads.
//
//   grpc::ClientContext context;
//   prepare(context, {.id = request_id, .actor = "kiosk:3"}, 2'000);
//   const grpc::Status status = stub->SetQuantity(&context, request, &cart);
//   if (!status.ok()) return std::unexpected(failure_of(status));
//
// Who calls: any thread. Heavy include: in .cpp files only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "services/runtime/grpc_metadata.h"
#include "services/runtime/outcome.h"
#include "shm/base/clock.h"

namespace mallbots {

struct CallOrigin {
  std::string id;  ///< of the request: the same again has its effect once
  std::string actor;
  std::string correlation_id{};  ///< empty: the id
  std::string traceparent{};
};

inline void prepare(grpc::ClientContext& context, const CallOrigin& origin,
                    std::int64_t timeout_ms) {
  // Relative deadlines need the clock of std::chrono that gRPC takes.
  context.set_deadline(
      std::chrono::system_clock::time_point{std::chrono::milliseconds{wall_now_ms() + timeout_ms}});
  const auto add = [&context](const char* key, const std::string& value) {
    if (!value.empty()) context.AddMetadata(key, value);
  };
  add(kRequestKey, origin.id);
  add(kActorKey, origin.actor);
  add(kCorrelationKey, origin.correlation_id);
  add(kTraceKey, origin.traceparent);
}

/// The context's refusal again, or an Error: Timeout (no answer by the deadline, or nobody there),
/// LimitReached (too much at once), Io (anything else).
[[nodiscard]] inline Failure failure_of(const grpc::Status& status) {
  const auto refusal = [&status](RefusalKind kind) {
    return Failure{Refusal{kind, status.error_message()}};
  };
  const auto error = [&status](ErrorCode code) {
    return Failure{Error{code, status.error_message()}};
  };
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return refusal(RefusalKind::kInvalid);
    case grpc::StatusCode::NOT_FOUND:
      return refusal(RefusalKind::kUnknown);
    case grpc::StatusCode::PERMISSION_DENIED:
      return refusal(RefusalKind::kForbidden);
    case grpc::StatusCode::FAILED_PRECONDITION:
      return refusal(RefusalKind::kWrongState);
    case grpc::StatusCode::ABORTED:
      return refusal(RefusalKind::kConflict);
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
      return error(ErrorCode::kTimeout);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return error(ErrorCode::kLimitReached);
    default:
      return error(ErrorCode::kIo);
  }
}

}  // namespace mallbots
