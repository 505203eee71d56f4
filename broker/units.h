// Sizes and durations as people write them (docs/CLI.md, "Words for sizes, durations and times").
// Used for topic settings and the configuration file. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mallbots::broker {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

/// `512`, `64K`, `64KiB`, `1.5MiB`; powers of 1024, any case. Nothing if it is not a size or does
/// not fit into 63 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
/// The shortest exact spelling: `64KiB`, `1000`.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// Milliseconds of `500ms`, `1h30m`, `7d`; a bare number is milliseconds. Nothing if it is not a
/// duration or longer than 292 years.
[[nodiscard]] std::optional<std::int64_t> parse_duration_ms(std::string_view text);
/// The shortest exact spelling: `5ms`, `1h30m`.
[[nodiscard]] std::string format_duration_ms(std::int64_t milliseconds);

/// A whole number without sign.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace mallbots::broker
