// Flush probe: the two ways to make a write durable, and which of them is the faster one here.
// Start-up only, on the thread that will drive the data path; blocking, at most about 100 ms.
//
// Both end in the same commands to the device (FUA, or a write and a flush), but not in the same
// waits: by plain calls they are equal on a device without FUA, through io_uring the linked
// fdatasync is handed to a thread of its own and costs 40 us more (docs/decisions/0009). So each
// engine is measured as it will be used.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "shm/base/result.h"

namespace mallbots::broker {

class AlignedBuffer;

/// How a write inside its file's durable size is made durable; others: flush_plan.h.
enum class FlushStyle : std::uint8_t { kDsync, kFdatasync };

/// Overwrites one block of an open file and makes it durable; 0 or an errno.
using DurableOverwrite =
    std::function<int(int fd, AlignedBuffer& block, std::uint64_t at, FlushStyle style)>;

/// By pwritev2 and fdatasync, as the flush thread does it.
[[nodiscard]] int overwrite_by_calls(int fd, AlignedBuffer& block, std::uint64_t at,
                                     FlushStyle style);

/// The faster of the two on the device of `folder`, by medians of 4 KiB overwrites of a file that
/// is gone afterwards. In doubt kDsync: one request instead of two. Errors: Io, DiskFull,
/// NotPermitted if the file cannot be made.
[[nodiscard]] Result<FlushStyle> measure_flush(const std::string& folder,
                                               const DurableOverwrite& overwrite);

}  // namespace mallbots::broker
