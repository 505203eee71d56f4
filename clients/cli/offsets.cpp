#include "clients/cli/offsets.h"

#include <fmt/format.h>

#include <limits>

#include "clients/cli/units.h"

namespace mallbots::client::cli {
namespace {

using std::string_view;

Result<Offset> parse_offset(string_view text, string_view whole) {
  const auto offset = parse_number(text, "offset");
  if (!offset || *offset == kNoOffset)
    return fail(
        ErrorCode::kBadArgument,
        fmt::format("'{}' is no place to start; write start, end, N, -N, A:B or @TIME", whole));
  return *offset;
}

}  // namespace

Result<StartPoint> parse_start_point(string_view text, UnixMillis now_ms) {
  using Kind = StartPoint::Kind;
  if (text == "start") return StartPoint{Kind::kStart};
  if (text == "end") return StartPoint{Kind::kEnd};
  if (text.starts_with('@')) {
    const auto time_ms = parse_time(text.substr(1), now_ms);
    if (!time_ms) return std::unexpected(time_ms.error());
    return StartPoint{Kind::kTime, 0, kNoOffset, *time_ms};
  }
  if (text.starts_with('-')) {
    const auto back = parse_offset(text.substr(1), text);
    if (!back) return std::unexpected(back.error());
    return StartPoint{Kind::kBack, *back};
  }
  if (const auto colon = text.find(':'); colon != string_view::npos) {
    const auto from = parse_offset(text.substr(0, colon), text);
    if (!from) return std::unexpected(from.error());
    const auto until = parse_offset(text.substr(colon + 1), text);
    if (!until) return std::unexpected(until.error());
    if (*until < *from)
      return fail(ErrorCode::kBadArgument,
                  fmt::format("the range '{}' ends before it starts", text));
    return StartPoint{Kind::kRange, *from, *until};
  }
  const auto offset = parse_offset(text, text);
  if (!offset) return std::unexpected(offset.error());
  return StartPoint{Kind::kOffset, *offset};
}

Result<SeekPoint> parse_seek_point(string_view text, UnixMillis now_ms) {
  using Kind = SeekPoint::Kind;
  if (text == "start") return SeekPoint{Kind::kStart};
  if (text == "end") return SeekPoint{Kind::kEnd};
  if (text.starts_with('@')) {
    const auto time_ms = parse_time(text.substr(1), now_ms);
    if (!time_ms) return std::unexpected(time_ms.error());
    return SeekPoint{Kind::kTime, *time_ms};
  }
  if (text.starts_with('+') || text.starts_with('-')) {
    const auto count = parse_number(text.substr(1), "number of records");
    if (!count) return std::unexpected(count.error());
    if (*count <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return SeekPoint{text.front() == '+' ? Kind::kForward : Kind::kBackward,
                       static_cast<std::int64_t>(*count)};
  }
  return fail(ErrorCode::kBadArgument,
              fmt::format("'{}' is no place to seek to; write start, end, @TIME, +N or -N", text));
}

}  // namespace mallbots::client::cli
