#include "broker/storage/slot_scan.h"

#include <algorithm>

namespace mallbots::broker {

namespace {

constexpr UnixMillis kFutureMs = 60'000;
constexpr std::uint32_t kHeaderUnits = shm::kRecordHeaderBytes / shm::kUnitBytes;

class Scanner {
 public:
  explicit Scanner(const SlotScanRequest& request)
      : request_(request),
        at_(request.from_units),
        expected_(request.expected),
        next_index_bytes_(std::uint64_t{request.from_units} * shm::kUnitBytes +
                          request.index_from_bytes) {
    now_.to_units = at_;
    now_.end_offset = expected_;
    now_.running_max_ms = request.running_max_ms;
    taken_ = now_;
    batch_start_ = at_;
    batch_first_ = expected_;
  }

  SlotScan run() {
    while (at_ < request_.to_units && !stopped_) {
      const auto checked = shm::check_record(rest(), request_.seed, shm::BodyCheck::kVerify);
      if (acceptable(checked)) {
        take(checked);
      } else {
        refuse(checked);
      }
    }
    if (!stopped_) finish();
    taken_.index = std::move(index_);
    std::erase_if(taken_.index, [this](const shm::IndexEntry& entry) {
      return entry.byte >= std::uint64_t{taken_.to_units} * shm::kUnitBytes;
    });
    taken_.patches = std::move(patches_);
    taken_.bad = std::move(bad_);
    return std::move(taken_);
  }

 private:
  [[nodiscard]] std::span<const std::byte> rest() const {
    return request_.slot_data.first(std::uint64_t{request_.to_units} * shm::kUnitBytes)
        .subspan(std::uint64_t{at_} * shm::kUnitBytes);
  }

  /// Damaged records are the broker's word; a producer may not say it.
  [[nodiscard]] bool acceptable(const shm::CheckedRecord& checked) const {
    if (!checked.good() || checked.header.type == shm::RecordType::kDamaged) return false;
    return checked.header.type == shm::RecordType::kPad || checked.header.offset == expected_;
  }

  void take(const shm::CheckedRecord& checked) {
    const shm::RecordHeader& header = checked.header;
    const std::uint64_t byte = std::uint64_t{at_} * shm::kUnitBytes;
    at_ += static_cast<std::uint32_t>(checked.bytes / shm::kUnitBytes);
    if (header.type == shm::RecordType::kPad) {
      if (!inside_batch_) end_batch();
      return;
    }
    if (byte >= next_index_bytes_) {
      index_.push_back({expected_, byte, now_.running_max_ms});
      next_index_bytes_ = byte + shm::kIndexStrideBytes;
    }
    ++expected_;
    ++now_.records;
    now_.min_timestamp_ms = std::min(now_.min_timestamp_ms, header.timestamp_ms);
    now_.running_max_ms = std::max(now_.running_max_ms, header.timestamp_ms);
    if (header.timestamp_ms > request_.now_ms + kFutureMs) ++now_.future_stamps;
    inside_batch_ = (header.flags & shm::kLastOfBatch) == 0;
    if (!inside_batch_) end_batch();
  }

  /// Everything before at_ is whole batches.
  void end_batch() {
    now_.to_units = at_;
    now_.end_offset = expected_;
    taken_ = now_;
    batch_start_ = at_;
    batch_first_ = expected_;
    inside_batch_ = false;
    const std::uint64_t bytes = std::uint64_t{at_ - request_.from_units} * shm::kUnitBytes;
    if (bytes >= request_.max_bytes && at_ < request_.to_units) stopped_ = true;
  }

  void refuse(const shm::CheckedRecord& checked) {
    std::string reason{checked.good() ? std::string_view{"its offset or type is wrong"}
                                      : shm::fault_name(checked.fault)};
    const bool knows_its_place = checked.fault == shm::RecordFault::kBodyHash &&
                                 checked.header.offset == expected_ &&
                                 checked.header.type != shm::RecordType::kDamaged;
    const auto bytes = rest();
    std::uint64_t distance = checked.bytes;
    Offset end = expected_ + 1;
    if (!knows_its_place) {
      const std::uint64_t room = bytes.size() / shm::kRecordHeaderBytes + 1;
      distance = shm::find_next_record(bytes, request_.seed,
                                       {shm::kRecordHeaderBytes, expected_, expected_ + room});
      const auto found =
          shm::check_record(bytes.subspan(distance), request_.seed, shm::BodyCheck::kSkip);
      const bool none = distance + shm::kRecordHeaderBytes > bytes.size() || !found.good();
      if (none) distance = bytes.size();
      end = none ? std::max(expected_, request_.end_offset) : found.header.offset;
    }
    patch(at_ + static_cast<std::uint32_t>(distance / shm::kUnitBytes), end, std::move(reason));
  }

  /// [at_, to) is not to be kept as it is.
  void patch(std::uint32_t to, Offset end, std::string reason) {
    if (!request_.sealed) {
      bad_ = SlotPatch{at_, 0, expected_, expected_, std::move(reason)};
      stopped_ = true;
      return;
    }
    to = std::max(to, at_ + kHeaderUnits);
    patches_.push_back({at_, to, expected_, end, std::move(reason)});
    at_ = to;
    expected_ = end;
    end_batch();
    stopped_ = false;  // the limit does not cut between a patch and what it belongs to
  }

  /// The bytes are used up: the last batch must be whole, and the offsets as many as the pair says.
  void finish() {
    if (inside_batch_) {
      const Offset lost_to = expected_;
      now_ = taken_;
      at_ = batch_start_;
      expected_ = batch_first_;
      std::erase_if(index_,
                    [this](const shm::IndexEntry& entry) { return entry.offset >= batch_first_; });
      patch(request_.to_units, request_.sealed ? std::max(lost_to, request_.end_offset) : lost_to,
            "its batch does not end");
      if (stopped_) return;
    }
    if (request_.sealed && expected_ < request_.end_offset) {
      patch(at_, request_.end_offset, "the slot was sealed with more offsets than records");
    }
    taken_.complete = true;
  }

  const SlotScanRequest& request_;
  std::uint32_t at_;
  Offset expected_;
  std::uint64_t next_index_bytes_;
  bool inside_batch_ = false;
  bool stopped_ = false;
  std::uint32_t batch_start_ = 0;
  Offset batch_first_ = 0;
  SlotScan now_;
  SlotScan taken_;
  std::vector<shm::IndexEntry> index_;
  std::vector<SlotPatch> patches_;
  std::optional<SlotPatch> bad_;
};

}  // namespace

SlotScan scan_slot(const SlotScanRequest& request) { return Scanner(request).run(); }

SlotScan begin_scan(const SlotScanRequest& request) {
  SlotScan none;
  none.to_units = request.from_units;
  none.end_offset = request.expected;
  none.running_max_ms = request.running_max_ms;
  return none;
}

std::uint64_t index_due_behind(const SlotScan& done, const SlotScanRequest& request) {
  const std::uint64_t due =
      done.index.empty()
          ? std::uint64_t{request.from_units} * shm::kUnitBytes + request.index_from_bytes
          : done.index.back().byte + shm::kIndexStrideBytes;
  const std::uint64_t end = std::uint64_t{done.to_units} * shm::kUnitBytes;
  return due > end ? due - end : 0;
}

SlotScan scan_on(SlotScan done, SlotScanRequest request) {
  const std::uint64_t taken = std::uint64_t{done.to_units - request.from_units} * shm::kUnitBytes;
  if (taken >= request.max_bytes && done.to_units < request.to_units) {
    done.complete = false;
    done.bad.reset();
    return done;
  }
  request.index_from_bytes = index_due_behind(done, request);
  request.max_bytes -= std::min(request.max_bytes, taken);
  request.from_units = done.to_units;
  request.expected = done.end_offset;
  request.running_max_ms = done.running_max_ms;
  SlotScan all = scan_slot(request);
  all.records += done.records;
  all.min_timestamp_ms = std::min(all.min_timestamp_ms, done.min_timestamp_ms);
  all.future_stamps += done.future_stamps;
  done.index.insert(done.index.end(), all.index.begin(), all.index.end());
  all.index = std::move(done.index);
  return all;
}

}  // namespace mallbots::broker
