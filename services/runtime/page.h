// Page: how long lists are read, a piece at a time. A cursor says behind which row to go on; it is
// opaque to callers and stays good while rows come and go.
//
// Who calls: applications and adapters, any thread. Refusal kInvalid: a size below 0 or above the
// limit, a cursor that is none of ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/refusal.h"

namespace mallbots {

struct PageRequest {
  std::string_view cursor{};  ///< empty: from the start
  std::int64_t limit = 0;     ///< 0: as the list says
};

template <class Item>
struct Page {
  std::vector<Item> items;
  std::string next;  ///< empty: no more
};

struct PageSizes {
  std::int64_t usual = 50;
  std::int64_t most = 200;
};

[[nodiscard]] Decision<std::int64_t> page_size(std::int64_t asked, const PageSizes& sizes = {});

/// Any bytes.
[[nodiscard]] std::string make_cursor(std::initializer_list<std::string_view> parts);
/// Exactly so many parts, all empty for the empty cursor.
[[nodiscard]] Decision<std::vector<std::string>> read_cursor(std::string_view cursor,
                                                             std::size_t parts);

}  // namespace mallbots
