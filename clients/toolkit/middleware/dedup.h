// Dedup: a message whose id was handled before is done without being handled. An id is remembered
// only after success, so that a failed message is not taken for a repetition of itself, and it is
// the message's id, not its content: two equal events are two events. While one of an id is being
// handled, another one waits.
//
// Each handler remembers for itself, in memory: it catches what comes twice within a process's
// life, among the last `max_ids` and within `window_ms`. What must hold across a crash is the
// inbox's (store/), which is one transaction with the handler's effect.
//
// Who calls: any thread. No errors of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

struct DedupOptions {
  std::size_t max_ids = 100'000;
  std::int64_t window_ms = 600'000;
};

[[nodiscard]] Middleware dedup(DedupOptions options = {});

}  // namespace mallbots::toolkit
