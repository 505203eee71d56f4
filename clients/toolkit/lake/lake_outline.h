// outline_of: whether a file has the shape of an Avro object container file (specification 1.11.1,
// "Object Container Files"), and how many records stand before what is not so. libavro takes every
// length of a file for true and asks the allocator for it, so nothing is shown to it unread.
//
// Who calls: any thread. Reads lengths and marks only: what the blocks hold has their checksums.
// Errors: Io.
#pragma once

#include <cstdint>
#include <string>

#include "shm/base/result.h"

namespace mallbots::toolkit {

struct LakeOutline {
  std::uint64_t records = 0;  ///< in the blocks that are whole, as they say themselves
  std::string damage{};       ///< what follows them; empty: the end
};

[[nodiscard]] Result<LakeOutline> outline_of(const std::string& path);

}  // namespace mallbots::toolkit
