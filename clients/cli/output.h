// What a command prints: one table or one set of facts, as aligned text for people or as JSON for
// programs, from the same cells, so that the two cannot tell different stories.
//
// Used by the main thread. text() and json() are pure; only print() touches stdout. Names and
// details come from other processes: control characters in them, and bytes that are not UTF-8, are
// shown as \xHH.
#pragma once

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/base/ids.h"

namespace mallbots::client::cli {

using Json = nlohmann::ordered_json;

/// One value: `json` for programs, `text` for people.
struct Cell {
  Json json;
  std::string text;
};
[[nodiscard]] Cell text_cell(std::string_view text);
[[nodiscard]] Cell number_cell(std::uint64_t number);
/// Bytes in JSON, `64MiB` in text.
[[nodiscard]] Cell size_cell(std::uint64_t bytes);
/// Milliseconds in JSON, `3m12s` in text.
[[nodiscard]] Cell duration_cell(std::int64_t milliseconds);
/// kNoOffset is null in JSON and `-` in text.
[[nodiscard]] Cell offset_cell(Offset offset);
/// Null in JSON and `-` in text.
[[nodiscard]] Cell empty_cell();

enum class Align : std::uint8_t { kLeft, kRight };

struct Column {
  std::string_view title;  ///< as printed, e.g. LOG-END-OFFSET
  std::string_view key;    ///< JSON field
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// Takes one cell per column.
  void add(std::vector<Cell> row);
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  /// Title line and rows. `width` 0: as wide as it gets; else the widest text column is cut with
  /// an ellipsis until the lines fit.
  [[nodiscard]] std::string text(std::size_t width = 0) const;
  [[nodiscard]] Json json() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

/// `name   value` lines, or one JSON object.
class Facts {
 public:
  void add(std::string_view name, std::string_view key, Cell value);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Json json() const;

 private:
  struct Fact {
    std::string name;
    std::string key;
    Cell value;
  };
  std::vector<Fact> facts_;
};

/// Columns of the terminal on stdout; 0 if it is none.
[[nodiscard]] std::size_t terminal_width();
/// Writes all of it to stdout; false if stdout does not take it (closed, disk full).
[[nodiscard]] bool print(std::string_view text);
[[nodiscard]] bool print_json(const Json& json);
/// `text` with control characters, and all that is not ASCII in a text that is not UTF-8, as
/// \xHH.
[[nodiscard]] std::string printable(std::string_view text);
/// Code points of `text`.
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;

}  // namespace mallbots::client::cli
