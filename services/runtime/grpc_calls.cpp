#include "services/runtime/grpc_calls.h"

#include "services/runtime/grpc_metadata.h"
#include "services/runtime/text.h"

namespace mallbots {
namespace {

std::string metadata(const grpc::ServerContextBase& context, const char* name) {
  const auto& all = context.client_metadata();
  const auto found = all.find(name);
  return found == all.end() ? std::string{}
                            : std::string{found->second.data(), found->second.size()};
}

grpc::StatusCode code_of(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::kInvalid:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case RefusalKind::kUnknown:
      return grpc::StatusCode::NOT_FOUND;
    case RefusalKind::kForbidden:
      return grpc::StatusCode::PERMISSION_DENIED;
    case RefusalKind::kWrongState:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case RefusalKind::kConflict:
      return grpc::StatusCode::ABORTED;
  }
  return grpc::StatusCode::INTERNAL;
}

grpc::StatusCode code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoBroker:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kRevoked:
    case ErrorCode::kTimeout:
    case ErrorCode::kNotDurable:
    case ErrorCode::kInDoubt:
    case ErrorCode::kDraining:
      return grpc::StatusCode::UNAVAILABLE;
    case ErrorCode::kConflict:
      return grpc::StatusCode::ABORTED;
    case ErrorCode::kDiskFull:
    case ErrorCode::kMemoryFull:
    case ErrorCode::kDiskBudget:
    case ErrorCode::kLimitReached:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case ErrorCode::kTooLarge:
    case ErrorCode::kBadStreamId:
    case ErrorCode::kBadArgument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorCode::kRefused:
      return grpc::StatusCode::FAILED_PRECONDITION;
    default:
      return grpc::StatusCode::INTERNAL;
  }
}

}  // namespace

toolkit::Cause cause_of(const grpc::ServerContextBase& context) {
  toolkit::Cause cause{.correlation_id = metadata(context, kCorrelationKey),
                       .causation_id = metadata(context, kRequestKey),
                       .trace = metadata(context, kTraceKey),
                       .actor = metadata(context, kActorKey)};
  if (cause.causation_id.empty()) cause.causation_id = toolkit::new_message_id();
  if (cause.correlation_id.empty()) cause.correlation_id = cause.causation_id;
  return cause;
}

grpc::Status status_of(const Failure& failure) {
  if (const auto* error = std::get_if<Error>(&failure))
    return {code_of(error->code), clipped(error->sentence())};
  const auto& refusal = std::get<Refusal>(failure);
  return {code_of(refusal.kind), clipped(refusal.reason)};
}

grpc::Status Calls::failed(const Failure& failure) const {
  if (const auto* error = std::get_if<Error>(&failure))
    log_({toolkit::Severity::kWarning, "call failed", {{"problem", error->sentence()}}});
  return status_of(failure);
}

grpc::Status Calls::failed(const std::exception& thrown) const {
  log_({toolkit::Severity::kError, "call threw", {{"problem", thrown.what()}}});
  return {grpc::StatusCode::INTERNAL, "an error of the service; its log says more"};
}

}  // namespace mallbots
