// The shop's limits: what one cart or order may hold, for those who fill carts and those who check
// them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mallbots {

inline constexpr std::uint32_t kMaxQuantity = 100'000;  ///< of one product
inline constexpr std::size_t kMaxLines = 2'000;

}  // namespace mallbots
