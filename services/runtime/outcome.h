// Outcome: how a call of a service's application ends. A Refusal is the domain's no, for good; an
// Error is a technical failure, after which nothing was changed and trying again may help.
//
// Who calls: applications make them, adapters tell the caller.
#pragma once

#include <expected>
#include <utility>
#include <variant>

#include "clients/toolkit/handler.h"
#include "services/runtime/refusal.h"
#include "shm/base/result.h"

namespace mallbots {

using Failure = std::variant<Refusal, Error>;

template <class T>
using Outcome = std::expected<T, Failure>;

/// For a message's handler: a refusal is final and answers the command, an error comes again.
[[nodiscard]] inline toolkit::HandlerFailure as_handler_failure(const Failure& failure) {
  if (const auto* error = std::get_if<Error>(&failure)) return *error;
  return {"Refused", std::get<Refusal>(failure).reason, toolkit::Again::kNever};
}

/// The value, or the call that it stands in returns the failure.
#define MALLBOTS_OUTCOME(name, expression) \
  auto name = (expression);                \
  if (!name) return std::unexpected(::mallbots::Failure(std::move(name).error()))

}  // namespace mallbots
