// Result<T>: an expected failure as a value. A function that can fail in normal life returns one
// and never throws across a room's wall.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "shm/base/error.h"

namespace mallbots {

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string detail = {}) {
  return std::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace mallbots

/// Returns the error of `expression` from the enclosing function, if it has one.
#define MALLBOTS_TRY(expression)                                \
  do {                                                          \
    if (auto mallbots_try_ = (expression); !mallbots_try_)      \
      return std::unexpected(std::move(mallbots_try_).error()); \
  } while (false)
