// Ids that never meet: of topics, partitions and producers. Any thread.
#pragma once

#include <cstdint>
#include <random>

#include "shm/layout/session_page.h"

namespace mallbots::broker {

/// Not 0 and not kSeatTaken, which say other things where ids stand.
[[nodiscard]] inline std::uint64_t random_id() {
  std::random_device device;
  std::uint64_t id = 0;
  while (id == 0 || id == shm::kSeatTaken) id = (std::uint64_t{device()} << 32) | device();
  return id;
}

}  // namespace mallbots::broker
