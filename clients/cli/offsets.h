// Where to start reading (`consume -o`) and where to move a group (`group seek --to`), as people
// write it. docs/CLI.md, "Offsets". Pure functions; a text outside the grammar is BadArgument.
#pragma once

#include <cstdint>
#include <string_view>

#include "shm/base/ids.h"
#include "shm/base/result.h"

namespace mallbots::client::cli {

/// What `-o` says, for every partition read.
struct StartPoint {
  enum class Kind : std::uint8_t {
    kStart,   ///< the oldest record kept
    kEnd,     ///< what comes from now on
    kOffset,  ///< `offset`
    kBack,    ///< `offset` records before the end, not before the start
    kRange,   ///< `offset` up to but without `until`
    kTime,    ///< the first record at or after `time_ms`
  };
  Kind kind = Kind::kEnd;
  Offset offset = 0;
  Offset until = kNoOffset;
  UnixMillis time_ms = 0;
  friend bool operator==(const StartPoint&, const StartPoint&) = default;
};

/// `start|end|N|-N|A:B|@TIME`.
[[nodiscard]] Result<StartPoint> parse_start_point(std::string_view text, UnixMillis now_ms);

/// What `--to` says.
struct SeekPoint {
  enum class Kind : std::uint8_t { kStart, kEnd, kTime, kForward, kBackward };
  Kind kind = Kind::kStart;
  std::int64_t value = 0;  ///< Unix ms or a number of records
  friend bool operator==(const SeekPoint&, const SeekPoint&) = default;
};

/// `start|end|@TIME|+N|-N`.
[[nodiscard]] Result<SeekPoint> parse_seek_point(std::string_view text, UnixMillis now_ms);

}  // namespace mallbots::client::cli
