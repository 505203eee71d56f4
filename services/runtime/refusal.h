// Refusal: why a domain rule said no. A value for the caller (a kiosk, a saga, a robot), never a
// technical failure: those are Error (shm/base/error.h) and are retried, a refusal is not.
//
// Who calls: domains make them, adapters translate them: kInvalid to gRPC INVALID_ARGUMENT and
// HTTP 400, kUnknown to NOT_FOUND and 404, kForbidden to PERMISSION_DENIED and 403, kWrongState to
// FAILED_PRECONDITION and 409, kConflict to ABORTED and 409 (read again, then decide again).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace mallbots {

enum class RefusalKind : std::uint8_t { kInvalid, kUnknown, kForbidden, kWrongState, kConflict };

struct Refusal {
  RefusalKind kind = RefusalKind::kInvalid;
  std::string reason;  ///< a sentence that names the input
};

/// What a rule decided: what is to happen, or why not.
template <class T>
using Decision = std::expected<T, Refusal>;

[[nodiscard]] inline std::unexpected<Refusal> refuse(RefusalKind kind, std::string reason) {
  return std::unexpected(Refusal{kind, std::move(reason)});
}

}  // namespace mallbots
