// What a call to a context carries besides its message (grpc_calls.h says what for).
#pragma once

namespace mallbots {

inline constexpr const char* kRequestKey = "request-id";
inline constexpr const char* kCorrelationKey = "correlation-id";
inline constexpr const char* kActorKey = "actor";
inline constexpr const char* kTraceKey = "traceparent";

}  // namespace mallbots
