// Changes: the rows of one topic of the board, each with the number of its last change. Whoever
// says up to where he has them gets the rows that changed since, as they are now, and the keys that
// are gone: nothing lost, nothing twice, however long he was away and however often a row changed.
//
// Who calls: the board, one thread at a time. Memory: the rows, and kept_removals keys of removed
// rows; who lacks a removal that is forgotten starts anew (snapshot). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mallbots::gateways {

/// Which rows a viewer gets. A row is always in or always out, as long as it exists.
struct RowFilter {
  std::string key{};                  ///< this one alone; empty: all
  bool by_store = false;              ///< only those of `stores`
  std::vector<std::string> stores{};  ///< a row may be of several
  friend bool operator==(const RowFilter&, const RowFilter&) = default;
};

/// How far one viewer has one topic.
struct Place {
  std::uint64_t told = 0;   ///< the last number that it was told; 0: nothing
  std::uint64_t seen = 0;   ///< nothing behind `told` up to here is for it
  std::uint64_t whole = 0;  ///< removals up to here cannot concern it
  bool is_begun = false;    ///< was told something
  bool is_loading = false;  ///< more follows what it was told last
};

/// One message to a viewer.
struct Piece {
  bool is_news = false;  ///< else there is nothing to say, and `after` is where to go on
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool more = false;
  std::vector<std::string_view> rows;     ///< JSON; valid until the next change
  std::vector<std::string_view> removed;  ///< keys; the same
  Place after;                            ///< once it is sent
};

class Changes {
 public:
  static constexpr std::size_t kRowsOfPiece = 500;
  static constexpr std::size_t kBytesOfPiece = 128 * 1024;

  explicit Changes(std::size_t kept_removals = 10'000) : kept_removals_(kept_removals) {}

  /// `row`: JSON. No change if it is there already as it is, unless `is_touched`.
  void put(const std::string& key, std::string row, std::vector<std::string> stores = {},
           bool is_touched = false);
  void remove(const std::string& key);

  [[nodiscard]] Piece next(const Place& place, const RowFilter& filter) const;
  /// Of somebody who comes back with what he had; a number that cannot be starts anew.
  [[nodiscard]] Place place_of(std::uint64_t last) const noexcept;
  [[nodiscard]] std::uint64_t newest() const noexcept { return newest_; }
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  /// Valid until the next change; empty: no such row.
  [[nodiscard]] std::string_view row(const std::string& key) const;

 private:
  struct Row {
    std::string key;
    std::string json;
    std::vector<std::string> stores;
    std::uint64_t number = 0;
    bool is_gone = false;
  };
  [[nodiscard]] static bool matches(const Row& row, const RowFilter& filter);
  void number_anew(Row& row);
  void forget_removals();

  std::size_t kept_removals_;
  std::uint64_t newest_ = 0;
  std::uint64_t forgotten_ = 0;  ///< number of the youngest removal that is not known any more
  std::unordered_map<std::string, Row> rows_;  ///< also those that are gone and still known
  std::map<std::uint64_t, const Row*> by_number_;
  std::map<std::uint64_t, const Row*> removals_;
};

}  // namespace mallbots::gateways
