// The check before persistence: is what the producers committed into a slot a run of whole, good
// batches with dense offsets? Slot memory is data that others wrote and may still be writing: every
// header is copied once and judged by the copy. Pure; the persister's thread.
//
// A bad record in an open slot stops the scan before its batch. In a sealed slot the bytes from the
// bad record to the next whole one (or the tail) are to be replaced by one damaged record (a
// patch), so that offsets stay dense and what follows stays readable (protocol section 10).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shm/base/ids.h"
#include "shm/segment/format.h"
#include "shm/segment/record_check.h"

namespace mallbots::broker {

struct SlotScanRequest {
  std::span<const std::byte> slot_data;
  std::uint32_t from_units = 0;
  std::uint32_t to_units = 0;
  bool sealed = false;
  Offset end_offset = 0;  ///< sealed: what the slot's commit pair says
  std::uint64_t seed = 0;
  Offset expected = 0;
  UnixMillis running_max_ms = shm::kNoTimestamp;
  std::uint64_t max_bytes = ~std::uint64_t{0};  ///< stop at the first batch end at or above this
  std::uint64_t index_from_bytes = 0;  ///< no index entry before so many bytes from from_units
  UnixMillis now_ms = 0;
};

/// [from_units, to_units) becomes one record for the offsets [first, end), a pad if there are none.
/// Behind the tail when the damage there is smaller than a header.
struct SlotPatch {
  std::uint32_t from_units = 0;
  std::uint32_t to_units = 0;
  Offset first_offset = 0;
  Offset end_offset = 0;
  std::string reason;
};

struct SlotScan {
  std::uint32_t to_units = 0;  ///< behind the last whole batch taken, patches included
  Offset end_offset = 0;
  std::uint64_t records = 0;
  UnixMillis min_timestamp_ms = INT64_MAX;
  UnixMillis running_max_ms = shm::kNoTimestamp;
  std::uint64_t future_stamps = 0;
  bool complete = false;               ///< everything up to the request's to_units was taken
  std::vector<shm::IndexEntry> index;  ///< byte: from the start of the slot
  std::vector<SlotPatch> patches;
  /// Open slot only: the first bad record.
  std::optional<SlotPatch> bad;
};

[[nodiscard]] SlotScan scan_slot(const SlotScanRequest& request);

/// What scan_slot(request) says, when `done` are the whole batches that an earlier scan of the open
/// slot took from the same place on: those are not judged again. done.to_units is at most
/// request.to_units.
[[nodiscard]] SlotScan scan_on(SlotScan done, SlotScanRequest request);
/// Nothing taken yet: what scan_on goes on from at first.
[[nodiscard]] SlotScan begin_scan(const SlotScanRequest& request);
/// Bytes behind done.to_units before which no further index entry is due.
[[nodiscard]] std::uint64_t index_due_behind(const SlotScan& done, const SlotScanRequest& request);

}  // namespace mallbots::broker
