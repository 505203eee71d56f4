#include "broker/storage/segment_listing.h"

#include <algorithm>

#include "broker/storage/segment_files.h"
#include "shm/layout/board.h"
#include "shm/segment/walker.h"

namespace mallbots::broker {

namespace {

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// True if a part of `bytes`, which begin at file byte `at`, reads as if its sector had never been
/// written: zero from the start or a sector border to the end or a sector border.
bool looks_unwritten(std::span<const std::byte> bytes, std::uint64_t at) {
  while (!bytes.empty()) {
    const std::uint64_t n =
        std::min<std::uint64_t>(bytes.size(), shm::kSectorBytes - at % shm::kSectorBytes);
    if (all_zero(bytes.first(n))) return true;
    bytes = bytes.subspan(n);
    at += n;
  }
  return false;
}

class Lister {
 public:
  Lister(Disk& disk, const ListRequest& request) : disk_(disk), request_(request) {
    shm::SegmentTrailer& trailer = list_.footer.trailer;
    trailer.flags = shm::kRebuilt;
    trailer.partition_id = request.header.partition_id;
    trailer.number = request.header.number;
    trailer.base_offset = trailer.end_offset = request.header.base_offset;
    trailer.data_end = shm::kBlockBytes;
    trailer.min_timestamp_ms = shm::kNoTimestamp;
    trailer.running_max_ms = request.header.base_timestamp_ms;
    trailer.closed_ms = request.now_ms;
    trailer.log_epoch = request.header.log_epoch;
    whole_ = now_ = mark();
  }

  Result<Listing> run() {
    auto file = disk_.open(request_.path, OpenMode::kReadDirect);
    if (!file) return std::unexpected(std::move(file).error());
    // What this broker will call durable must be so, whatever the dead one had flushed.
    MALLBOTS_TRY(disk_.flush_and_forget(*file));
    file_ = &*file;
    FileScan scan;
    scan.seed =
        shm::record_seed(PartitionId{request_.header.partition_id}, request_.header.log_epoch);
    scan.expected = request_.header.base_offset;
    if (request_.named) scan.end_byte = request_.named->byte;
    Result<void> failure;
    auto scanned = scan_file(disk_, *file, scan, [&](const shm::WalkStep& step) {
      list_.scanned_bytes = step.end_byte;
      auto goes_on = visit(step);
      if (goes_on) return *goes_on;
      failure = std::unexpected(std::move(goes_on).error());
      return false;
    });
    if (!scanned) return std::unexpected(std::move(scanned).error());
    if (!failure) return std::unexpected(std::move(failure).error());
    request_.named ? end_as_named() : end_at_last_batch();
    return std::move(list_);
  }

 private:
  /// How much of the lists and counts belongs to everything before a place.
  struct Mark {
    std::uint64_t byte = shm::kBlockBytes;
    Offset offset = 0;
    std::uint64_t records = 0;
    UnixMillis min_ms = INT64_MAX;
    UnixMillis max_ms = shm::kNoTimestamp;
    std::size_t runs = 0;
    std::size_t index = 0;
    std::size_t damages = 0;
  };
  struct Torn {
    std::uint64_t byte;
    Mark before;
  };

  [[nodiscard]] Mark mark() const {
    Mark mark;
    mark.offset = request_.header.base_offset;
    mark.max_ms = request_.header.base_timestamp_ms;
    return mark;
  }

  /// False ends the walk.
  Result<bool> visit(const shm::WalkStep& step) {
    switch (step.kind) {
      case shm::WalkStep::kPad:
        run_ended_ = run_ended_ || step.end_byte % shm::kBlockBytes == 0;
        return true;
      case shm::WalkStep::kRecord:
        return take(step);
      case shm::WalkStep::kDamage:
        return damaged(step);
      default:
        return false;
    }
  }

  bool take(const shm::WalkStep& step) {
    if (request_.cut_at && step.first_offset >= *request_.cut_at) return false;
    auto& footer = list_.footer;
    if (run_ended_ || footer.runs.empty()) {
      const std::uint64_t byte = shm::block_floor(step.byte);
      footer.runs.push_back({byte, step.end_byte, step.first_offset, shm::kNoSlot});
      run_ended_ = false;
    }
    footer.runs.back().end_byte = step.end_byte;
    if (footer.index.empty() || step.byte >= footer.index.back().byte + shm::kIndexStrideBytes) {
      footer.index.push_back({step.first_offset, step.byte, now_.max_ms});
    }
    const shm::RecordHeader& header = *step.view.header;
    if (header.type != shm::RecordType::kDamaged) {
      ++now_.records;
      now_.min_ms = std::min(now_.min_ms, header.timestamp_ms);
      now_.max_ms = std::max(now_.max_ms, header.timestamp_ms);
    }
    now_.byte = step.end_byte;
    now_.offset = step.end_offset;
    now_.runs = footer.runs.size();
    now_.index = footer.index.size();
    now_.damages = footer.damages.size();
    if ((header.flags & shm::kLastOfBatch) != 0) whole_ = now_;
    return true;
  }

  Result<bool> damaged(const shm::WalkStep& step) {
    auto unwritten = is_unwritten(step);
    if (!unwritten) return std::unexpected(std::move(unwritten).error());
    if (*unwritten) torn_.push_back({step.byte, whole_});
    last_damage_is_torn_ = *unwritten;
    list_.footer.damages.push_back({step.byte, step.end_byte, step.first_offset, step.end_offset});
    list_.remarks.push_back("bytes " + std::to_string(step.byte) + " to " +
                            std::to_string(step.end_byte) +
                            " are damaged: " + std::string(shm::fault_name(step.fault)));
    now_.damages = list_.footer.damages.size();
    return true;
  }

  Result<bool> is_unwritten(const shm::WalkStep& step) {
    if (step.fault == shm::RecordFault::kUnwritten) return true;
    const std::uint64_t extent = step.fault == shm::RecordFault::kBodyHash
                                     ? step.end_byte - step.byte
                                     : shm::kRecordHeaderBytes;
    const std::uint64_t begin = shm::block_floor(step.byte);
    AlignedBuffer bytes{shm::block_ceil(step.byte + extent - begin)};
    auto got = disk_.read(*file_, begin, bytes.span());
    if (!got) return std::unexpected(std::move(got).error());
    const std::uint64_t inside = step.byte - begin;
    if (*got < inside + extent) return true;  // the file ends in it
    return looks_unwritten(bytes.span().subspan(inside, extent), step.byte);
  }

  /// A power cut may have dropped any sector of the last write, so that good records can stand
  /// behind a hole. All further back was flushed: there it is damage, and what follows is kept.
  void end_at_last_batch() {
    for (const Torn& torn : torn_) {
      if (now_.byte <= torn.byte + request_.header.write_limit_bytes) {
        whole_ = torn.before;
        break;
      }
    }
    const bool odd_tail = list_.footer.damages.size() > whole_.damages && !last_damage_is_torn_;
    list_.footer.damages.resize(whole_.damages);
    list_.remarks.resize(whole_.damages);
    if (odd_tail) {
      list_.remarks.push_back("what follows byte " + std::to_string(whole_.byte) +
                              " does not check out and does not look like a torn write; it is "
                              "ignored, for nothing good follows it");
    }
    finish(whole_);
  }

  void end_as_named() {
    const ListRequest::NamedEnd& named = *request_.named;
    auto& damages = list_.footer.damages;
    if (now_.offset < named.offset) {
      // Damage at the very end: the walker could not know how many offsets it cost.
      if (damages.empty() || damages.back().end_byte <= now_.byte) {
        damages.push_back({now_.byte, named.byte, now_.offset, named.offset});
        list_.remarks.push_back("bytes " + std::to_string(now_.byte) + " to " +
                                std::to_string(named.byte) + " are missing");
      }
      damages.back().end_offset = named.offset;
    }
    now_.byte = named.byte;
    now_.offset = named.offset;
    finish(now_);
  }

  void finish(const Mark& end) {
    shm::SegmentTrailer& trailer = list_.footer.trailer;
    list_.footer.runs.resize(end.runs);
    list_.footer.index.resize(end.index);
    if (!list_.footer.runs.empty()) list_.footer.runs.back().end_byte = end.byte;
    trailer.end_offset = end.offset;
    trailer.data_end = end.byte;
    trailer.records = end.records;
    trailer.min_timestamp_ms = end.records == 0 ? shm::kNoTimestamp : end.min_ms;
    trailer.running_max_ms = end.max_ms;
  }

  Disk& disk_;
  const ListRequest& request_;
  const File* file_ = nullptr;
  Listing list_;
  bool run_ended_ = false;
  bool last_damage_is_torn_ = false;
  Mark now_;
  Mark whole_;
  std::vector<Torn> torn_;
};

}  // namespace

Result<Listing> list_records(Disk& disk, const ListRequest& request) {
  return Lister(disk, request).run();
}

}  // namespace mallbots::broker
