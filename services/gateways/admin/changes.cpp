#include "services/gateways/admin/changes.h"

#include <algorithm>
#include <utility>

namespace mallbots::gateways {

bool Changes::matches(const Row& row, const RowFilter& filter) {
  if (!filter.key.empty() && row.key != filter.key) return false;
  return !filter.by_store || std::ranges::any_of(row.stores, [&](const std::string& store) {
    return std::ranges::find(filter.stores, store) != filter.stores.end();
  });
}

void Changes::number_anew(Row& row) {
  if (row.number != 0) {
    by_number_.erase(row.number);
    removals_.erase(row.number);
  }
  row.number = ++newest_;
  by_number_.emplace(row.number, &row);
  if (row.is_gone) removals_.emplace(row.number, &row);
}

void Changes::put(const std::string& key, std::string row, std::vector<std::string> stores,
                  bool is_touched) {
  Row& mine = rows_[key];
  const bool is_same = mine.number != 0 && !mine.is_gone && mine.json == row;
  if (is_same && !is_touched) return;
  mine.key = key;
  mine.json = std::move(row);
  mine.stores = std::move(stores);
  mine.is_gone = false;
  number_anew(mine);
}

void Changes::remove(const std::string& key) {
  const auto found = rows_.find(key);
  if (found == rows_.end() || found->second.is_gone) return;
  found->second.is_gone = true;
  found->second.json.clear();
  number_anew(found->second);
  forget_removals();
}

void Changes::forget_removals() {
  while (removals_.size() > kept_removals_) {
    const auto oldest = removals_.begin();
    forgotten_ = oldest->first;
    by_number_.erase(oldest->first);
    const std::string key = oldest->second->key;
    removals_.erase(oldest);
    rows_.erase(key);
  }
}

Place Changes::place_of(std::uint64_t last) const noexcept {
  if (last > newest_) return {};
  return {.told = last, .seen = last, .whole = 0, .is_begun = last != 0, .is_loading = false};
}

std::string_view Changes::row(const std::string& key) const {
  const auto found = rows_.find(key);
  return found == rows_.end() ? std::string_view{} : std::string_view(found->second.json);
}

Piece Changes::next(const Place& place, const RowFilter& filter) const {
  Place now = place;
  if (!now.is_begun || forgotten_ > std::max(now.seen, now.whole)) {
    now = {.told = 0, .seen = 0, .whole = newest_, .is_begun = false, .is_loading = false};
  }
  Piece piece{.from = now.told};
  std::size_t bytes = 0;
  auto at = by_number_.upper_bound(now.seen);
  if (!filter.key.empty()) {
    // One row alone: look it up instead of looking through all.
    const auto mine = rows_.find(filter.key);
    const bool is_new = mine != rows_.end() && mine->second.number > now.seen;
    at = is_new ? by_number_.find(mine->second.number) : by_number_.end();
  }
  for (; at != by_number_.end(); ++at) {
    if (piece.rows.size() + piece.removed.size() >= kRowsOfPiece || bytes >= kBytesOfPiece) break;
    const Row& row = *at->second;
    now.seen = at->first;
    const bool is_old_removal = row.is_gone && row.number <= now.whole;
    if (is_old_removal || !matches(row, filter)) continue;
    (row.is_gone ? piece.removed : piece.rows).push_back(row.is_gone ? row.key : row.json);
    bytes += row.is_gone ? row.key.size() : row.json.size();
  }
  piece.more = at != by_number_.end() && filter.key.empty();
  if (!piece.more) now.seen = newest_;
  piece.to = now.seen;
  piece.is_news = !now.is_begun || now.is_loading || !piece.rows.empty() || !piece.removed.empty();
  if (piece.is_news) {
    now.told = piece.to;
    now.is_begun = true;
    now.is_loading = piece.more;
  }
  piece.after = now;
  return piece;
}

}  // namespace mallbots::gateways
