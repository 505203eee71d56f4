// Sizes, durations and times as people write them on the command line, and back again.
// docs/CLI.md, "Words for sizes, durations and times", is the grammar. Pure functions of their
// arguments; a text outside the grammar is BadArgument with the text and the reason in its detail.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm/base/ids.h"
#include "shm/base/result.h"

namespace mallbots::client::cli {

/// `N[.F][UNIT]`, UNIT one of B K M G T (or Ki, KiB ...), powers of 1024, any case; bytes.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// Three digits at most and a unit: `512B`, `1.5KiB`, `64MiB`. Never longer than 8 characters.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// One or more `N` + unit of ms s m h d, largest first by habit: `1h30m`; milliseconds.
[[nodiscard]] Result<std::int64_t> parse_duration_ms(std::string_view text);
/// For people: `0s`, `37ms`, `4.2s`, `3m12s`, `5h07m`, `12d03h`.
[[nodiscard]] std::string format_duration(std::int64_t milliseconds);

/// RFC 3339 (a missing zone is UTC, a missing time is midnight), Unix milliseconds, or `-DURATION`
/// before `now_ms`.
[[nodiscard]] Result<UnixMillis> parse_time(std::string_view text, UnixMillis now_ms);
/// RFC 3339 in UTC with milliseconds: `2026-01-31T09:05:00.250Z`; parse_time gives it back.
[[nodiscard]] std::string format_time(UnixMillis time_ms);

/// A whole number, all of `text`, no sign; `what` names it in the error.
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text, std::string_view what);

}  // namespace mallbots::client::cli
