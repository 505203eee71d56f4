// How `consume` prints a record: a kcat-like pattern (`-f`) or one JSON object per line (`-J`).
// docs/CLI.md, "Record patterns". Used by one thread; render() appends and allocates nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/message.h"
#include "shm/base/ids.h"
#include "shm/base/result.h"

namespace mallbots::client::cli {

/// A record as the printers see it; points into the reader's memory.
struct RecordText {
  std::string_view topic;
  PartitionIndex partition = 0;
  Offset offset = 0;
  UnixMillis timestamp_ms = 0;
  std::string_view key;  ///< empty: no key
  std::string_view payload;
  std::span<const std::pair<std::string_view, std::string_view>> headers;
  std::optional<std::uint64_t> version{};  ///< in its stream; nothing: it is no event
  bool is_internal = false;
  std::string_view token{};  ///< of a delivery that is settled by hand; else empty
  std::uint32_t attempt = 0;
};

/// Of a message, as long as it is valid; `headers` holds the headers meanwhile.
[[nodiscard]] RecordText text_of(
    const Message& message, std::vector<std::pair<std::string_view, std::string_view>>& headers);

class RecordPattern {
 public:
  /// Letters %t %p %o %k %K %s %S %T %h %v %% and the escapes \n \t \r \0 \\ \xHH; anything else is
  /// BadArgument.
  [[nodiscard]] static Result<RecordPattern> parse(std::string_view pattern);

  void render(const RecordText& record, std::string& out) const;

 private:
  struct Piece {
    char letter;  ///< 0: `literal`
    std::string literal;
  };
  std::vector<Piece> pieces_;
};

/// Undoes the escapes \n \t \r \0 \\ \xHH (also used for `produce -K`).
[[nodiscard]] Result<std::string> unescape(std::string_view text);

/// One line: {"topic","partition","offset","ts","key","payload","headers"} as kcat -J names them;
/// bytes that are not UTF-8 go into key_base64 and payload_base64 instead. Events: also "version"
/// and "internal". With a token: also "token" and "attempt".
void render_json(const RecordText& record, std::string& out);

[[nodiscard]] bool is_utf8(std::string_view bytes) noexcept;
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace mallbots::client::cli
