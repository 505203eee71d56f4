// The headers of a record as one column of a row: name and value of each, each with its length in
// 32 bits, little-endian, in front. Used by the outbox; a service's own database, so what does not
// read back is Corrupt.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/message.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

/// TooLarge: more than a record may carry, 65,535 bytes.
[[nodiscard]] Result<std::string> pack_headers(std::span<const client::Header> headers);
/// Names and values point into `block`.
[[nodiscard]] Result<std::vector<client::Header>> unpack_headers(std::string_view block);

}  // namespace mallbots::toolkit
