// The log of a process of the shop: lines on standard error, or in a file, with time, process and
// named values. Whatever is written to it, card tokens and phone numbers do not get through:
// whole tokens (tok_...) and numbers in international form are masked, as the last guard behind
// code that does not log them.
//
//   2026-11-21T14:30:14.123Z depot warning handler failed handler=command.CancelShoppingList ...
//
// Who calls: any thread.
#pragma once

#include <string>
#include <string_view>

#include "clients/toolkit/log.h"
#include "shm/base/result.h"

namespace mallbots {

/// `file` empty: standard error. Io: the file cannot be written.
[[nodiscard]] Result<toolkit::Log> service_log(const std::string& process,
                                               const std::string& file = {});

/// tok_... becomes tok_***, +441234567890 becomes +44*******90.
[[nodiscard]] std::string redacted(std::string_view text);

}  // namespace mallbots
