// What goes over the socket between broker and keeper: one fixed struct each way, at most one
// descriptor with it. Both ends are the same binary, so there is no version.
#pragma once

#include <cstdint>

namespace mallbots::broker {

enum class LinkType : std::uint32_t { kPut = 1, kRemove, kReady, kAck };

struct LinkMessage {
  std::uint32_t type = 0;
  std::uint32_t kind = 0;
  std::uint64_t id = 0;
  std::uint64_t sequence = 0;  ///< an acknowledgement repeats it
  std::uint64_t failed = 0;    ///< acknowledgements: not 0 if the descriptor did not arrive
};
static_assert(sizeof(LinkMessage) == 32);

}  // namespace mallbots::broker
