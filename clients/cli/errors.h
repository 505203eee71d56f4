// `mallbots errors`: the catalogue of shm/base/error.h as text, JSON and docs/ERRORS.md. Pure.
#pragma once

#include <string>

namespace mallbots::client::cli {

/// All of docs/ERRORS.md.
[[nodiscard]] std::string errors_markdown();

}  // namespace mallbots::client::cli
