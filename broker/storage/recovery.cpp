#include "broker/storage/recovery.h"

#include <algorithm>
#include <map>

#include "broker/storage/segment_files.h"
#include "broker/storage/segment_listing.h"
#include "broker/storage/segment_writer.h"
#include "shm/base/clock.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

SegmentVerdict decide(const SegmentFacts& facts) noexcept {
  const bool listed = facts.has_footer || facts.has_side;
  if (facts.header != SegmentFacts::Header::kGood) {
    if (listed) return SegmentVerdict::kHeaderFromFooter;
    return facts.header == SegmentFacts::Header::kUnborn ? SegmentVerdict::kUnborn
                                                         : SegmentVerdict::kQuarantine;
  }
  if (!facts.named_as_end && !facts.is_newest) return SegmentVerdict::kStray;
  // A recovery has fixed the end: what its dead writer added later does not count.
  if (facts.has_side) return SegmentVerdict::kUseSide;
  if (facts.has_footer && facts.footer_proven) return SegmentVerdict::kUseFooter;
  return facts.named_as_end ? SegmentVerdict::kScanToNamed : SegmentVerdict::kScanToEnd;
}

const char* verdict_name(SegmentVerdict verdict) noexcept {
  switch (verdict) {
    case SegmentVerdict::kUseFooter:
      return "use footer";
    case SegmentVerdict::kUseSide:
      return "use side file";
    case SegmentVerdict::kScanToEnd:
      return "read to the end";
    case SegmentVerdict::kScanToNamed:
      return "read to the named end";
    case SegmentVerdict::kHeaderFromFooter:
      return "header from footer";
    case SegmentVerdict::kUnborn:
      return "unborn";
    case SegmentVerdict::kStray:
      return "stray";
    case SegmentVerdict::kQuarantine:
      return "quarantine";
  }
  return "unknown";
}

namespace {

/// A segment file as found.
struct Found {
  shm::SegmentNumber number = shm::kNoSegment;
  SegmentFacts facts;
  shm::SegmentHeader header{};
  shm::SegmentTrailer trailer{};  ///< of the side file if there is one, else of the footer
  std::uint64_t file_bytes = 0;
  std::string why_bad;
  std::optional<ListRequest::NamedEnd> named;

  [[nodiscard]] bool usable() const {
    return facts.header == SegmentFacts::Header::kGood || facts.has_footer || facts.has_side;
  }
};

bool is_ours(const PartitionIdentity& identity, std::uint64_t partition, std::uint64_t number,
             shm::SegmentNumber expected) {
  return partition == static_cast<std::uint64_t>(identity.partition) && number == expected;
}

class Recovery {
 public:
  Recovery(Disk& disk, const RecoverRequest& request) : disk_(disk), request_(request) {
    if (request.note && (!request.cut_at || request.note->point.offset >= *request.cut_at)) {
      note_ = request.note;
    }
    cut_at_ = note_ ? std::optional{note_->point.offset} : request.cut_at;
  }

  Result<RecoveredPartition> run() {
    MALLBOTS_TRY(find_files());
    const std::vector<Found*> chain = link_chain();
    for (Found* found : chain) MALLBOTS_TRY(add(*found));
    report_the_rest(chain);
    conclude();
    return std::move(result_);
  }

 private:
  [[nodiscard]] std::string path_of(const Found& found) const {
    return request_.folder + "/" + segment_file_name(found.number);
  }
  [[nodiscard]] std::string side_path_of(const Found& found) const {
    return request_.folder + "/" + side_file_name(found.number);
  }
  void finding(const Found& found, std::string sentence, Offset first = 0, Offset end = 0) {
    result_.findings.push_back(
        {found.number, path_of(found) + ": " + std::move(sentence), first, end});
  }

  // --- what is there

  Result<void> find_files() {
    auto names = disk_.list(request_.folder);
    if (!names) return std::unexpected(std::move(names).error());
    for (const std::string& name : *names) {
      const auto side = segment_number_of(name, kSideSuffix);
      result_.next_number = std::max(result_.next_number, side + 1);
      const auto number = segment_number_of(name, kSegmentSuffix);
      if (number == shm::kNoSegment) continue;
      result_.next_number = std::max(result_.next_number, number + 1);
      Found& found = files_[number];
      found.number = number;
      MALLBOTS_TRY(look_at(found));
    }
    return {};
  }

  Result<void> look_at(Found& found) {
    auto file = disk_.open(path_of(found), OpenMode::kReadOnly);
    if (!file) return std::unexpected(std::move(file).error());
    auto ends = read_ends(disk_, *file);
    if (!ends) return std::unexpected(std::move(ends).error());
    found.file_bytes = ends->file_bytes;
    MALLBOTS_TRY(look_at_header(found, *file, ends->head));
    auto trailer = shm::parse_trailer(ends->tail, ends->file_bytes);
    if (trailer &&
        is_ours(request_.identity, trailer->partition_id, trailer->number, found.number)) {
      found.facts.has_footer = true;
      found.trailer = *trailer;
    } else if (!trailer && trailer.error().code == ErrorCode::kWrongVersion) {
      return std::unexpected(with_path(found, trailer.error()));
    }
    auto side = read_footer(disk_, side_path_of(found));
    if (side && is_ours(request_.identity, side->trailer.partition_id, side->trailer.number,
                        found.number)) {
      found.facts.has_side = true;
      found.trailer = side->trailer;
    } else if (!side && side.error().code == ErrorCode::kWrongVersion) {
      return std::unexpected(with_path(found, side.error()));
    }
    return {};
  }

  Error with_path(const Found& found, Error error) const {
    error.detail = path_of(found) + ": " + error.detail;
    return error;
  }

  Result<void> look_at_header(Found& found, const File& file, std::span<const std::byte> head) {
    auto header = shm::parse_segment_header(head);
    if (header && is_ours(request_.identity, header->partition_id, header->number, found.number)) {
      found.header = *header;
      return {};
    }
    if (!header && header.error().code == ErrorCode::kWrongVersion) {
      return std::unexpected(with_path(found, header.error()));
    }
    found.why_bad = header ? "it belongs to another partition" : header.error().detail;
    found.facts.header = SegmentFacts::Header::kBad;
    if (!shm::is_unborn(head)) return {};
    // A header is synced before the first record: zeros before records are damage, not a spare.
    auto zeros = is_all_zeros(file, found.file_bytes);
    if (!zeros) return std::unexpected(std::move(zeros).error());
    if (*zeros) found.facts.header = SegmentFacts::Header::kUnborn;
    return {};
  }

  Result<bool> is_all_zeros(const File& file, std::uint64_t file_bytes) {
    AlignedBuffer piece{std::size_t{1} << 20};
    for (std::uint64_t at = 0; at < file_bytes;) {
      auto got = disk_.read(file, at, piece.span());
      if (!got) return std::unexpected(std::move(got).error());
      if (*got == 0) break;
      const auto bytes = piece.span().first(*got);
      if (std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; }))
        return false;
      at += *got;
    }
    return true;
  }

  // --- which of them count

  /// From the newest back: each header names the one before it. Oldest first.
  std::vector<Found*> link_chain() {
    std::vector<Found*> chain;
    Found* at = newest_below(~shm::SegmentNumber{0});
    while (at != nullptr) {
      if (!at->named) at->facts.is_newest = true;
      at->facts.named_as_end = at->named.has_value();
      at->facts.footer_proven = is_proven(*at);
      chain.push_back(at);
      at = before(*at);
    }
    std::reverse(chain.begin(), chain.end());
    return chain;
  }

  /// The last bytes of a file that was never closed may be a payload, made to look like a trailer.
  /// Then it stands before the end of the records.
  bool is_proven(const Found& found) const {
    if (!found.facts.has_footer || !fits(found)) return false;
    const shm::SegmentTrailer& said = found.trailer;
    if (found.named)
      return said.data_end == found.named->byte && said.end_offset == found.named->offset;
    if (!request_.note)  // then nothing was written since the memory was made
      return request_.clean || (cut_at_ && said.end_offset == *cut_at_);
    return note_ && note_->point.segment == found.number && note_->point.byte == said.data_end &&
           note_->point.offset == said.end_offset;
  }
  /// The footer is this segment's and fills the file from the end of the records on.
  static bool fits(const Found& found) {
    return found.facts.header == SegmentFacts::Header::kGood &&
           found.trailer.base_offset == found.header.base_offset &&
           found.trailer.log_epoch == found.header.log_epoch &&
           found.trailer.data_end <= found.file_bytes &&  // a sum that wraps fits, too
           footer_begin(found.trailer.data_end) + found.trailer.footer_bytes == found.file_bytes;
  }
  /// Where the last records are damaged, the broker that closed the segment knew of more than can
  /// be read; a payload may claim it, but neither beyond what counts nor more than has room.
  bool knows_better(const Found& found, const shm::SegmentTrailer& read) {
    const shm::SegmentTrailer& said = found.trailer;
    if (!fits(found) || said.data_end < read.data_end || said.end_offset < read.end_offset)
      return false;
    if (cut_at_ && said.end_offset > *cut_at_) return false;
    const std::uint64_t room = (said.data_end - read.data_end) / shm::kRecordHeaderBytes;
    return said.end_offset - read.end_offset <= room && read_footer(disk_, path_of(found));
  }

  Found* newest_below(shm::SegmentNumber number) {
    for (auto it = files_.lower_bound(number); it != files_.begin();) {
      --it;
      if (it->second.usable()) return &it->second;
    }
    return nullptr;
  }

  Found* before(const Found& found) {
    if (found.facts.header != SegmentFacts::Header::kGood) return newest_below(found.number);
    const shm::SegmentNumber number = found.header.predecessor;
    if (number == shm::kNoSegment) return nullptr;
    const auto it = files_.find(number);
    if (it != files_.end() && it->second.usable() && number < found.number) {
      it->second.named = {found.header.predecessor_end, found.header.predecessor_end_offset};
      return &it->second;
    }
    // The chain is broken here: retention took what is before, or it was damaged. What is older and
    // still good is kept; the gap is reported when the offsets are laid side by side.
    return newest_below(std::min(number, found.number));
  }

  // --- where each of them ends

  Result<void> add(Found& found) {
    const SegmentVerdict verdict = decide(found.facts);
    switch (verdict) {
      case SegmentVerdict::kUseFooter:
      case SegmentVerdict::kUseSide:
      case SegmentVerdict::kHeaderFromFooter:
        add_listed(found, verdict);
        return {};
      case SegmentVerdict::kScanToNamed:
      case SegmentVerdict::kScanToEnd:
        return add_read(found);
      case SegmentVerdict::kUnborn:
      case SegmentVerdict::kStray:
      case SegmentVerdict::kQuarantine:
        return {};  // not in a chain: report_the_rest()
    }
    return {};
  }

  SegmentInfo info_of(const Found& found, const shm::SegmentTrailer& trailer,
                      SegmentState state) const {
    SegmentInfo info;
    info.number = found.number;
    info.state = state;
    info.log_epoch = trailer.log_epoch;
    info.base_offset = trailer.base_offset;
    info.end_offset = trailer.end_offset;
    info.end_byte = trailer.data_end;
    info.file_bytes = found.file_bytes;
    info.records = trailer.records;
    info.base_timestamp_ms = found.facts.header == SegmentFacts::Header::kGood
                                 ? found.header.base_timestamp_ms
                             : result_.segments.empty() ? shm::kNoTimestamp
                                                        : result_.segments.back().running_max_ms;
    info.running_max_ms = trailer.running_max_ms;
    info.closed_ms = trailer.closed_ms;
    return info;
  }

  void add_listed(const Found& found, SegmentVerdict verdict) {
    const auto state = found.facts.has_side ? SegmentState::kSide : SegmentState::kClosed;
    SegmentInfo info = info_of(found, found.trailer, state);
    if (verdict == SegmentVerdict::kHeaderFromFooter) {
      finding(found, "the header is damaged (" + found.why_bad + "); its footer is used");
    }
    if (found.named && found.named->offset < info.end_offset) {
      info.end_offset = found.named->offset;
      info.end_byte = found.named->byte;
    }
    place(found, info);
  }

  Result<void> add_read(Found& found) {
    // One that ends like a closed segment, and is none, needs a side file.
    if (note_ && !found.named && !found.facts.has_footer && note_->point.segment == found.number) {
      place(found, info_from_note(found));
      return {};
    }
    ListRequest list;
    list.path = path_of(found);
    list.header = found.header;
    list.named = found.named;
    if (!found.named) list.cut_at = cut_at_;
    list.now_ms = wall_now_ms();
    auto listing = list_records(disk_, list);
    if (!listing) return std::unexpected(std::move(listing).error());
    result_.scanned_bytes += listing->scanned_bytes;
    if (found.facts.has_footer && !found.named) {
      const shm::SegmentTrailer& read = listing->footer.trailer;
      const bool same = found.trailer.data_end == read.data_end &&
                        found.trailer.end_offset == read.end_offset && fits(found);
      if (!same && knows_better(found, read)) {
        add_listed(found, SegmentVerdict::kUseFooter);
        return {};
      }
      if (!same) finding(found, "what looks like its footer is none; its records were read");
      // What stands behind the last record is the footer, or its like.
      listing->remarks.resize(listing->footer.damages.size());
    }
    report_damage(found, *listing);
    SegmentInfo info = info_of(found, listing->footer.trailer, SegmentState::kSide);
    CRASH_POINT("storage.recovery.side");
    auto saved =
        disk_.replace_file(side_path_of(found), shm::encode_footer(std::move(listing->footer)));
    if (!saved) {
      if (saved.error().code != ErrorCode::kDiskFull) return saved;
      info.state = SegmentState::kUnlisted;
      finding(found, "there is no room for its side file; it is read again at the next start");
    }
    place(found, info);
    return {};
  }

  SegmentInfo info_from_note(const Found& found) const {
    SegmentInfo info;
    info.number = found.number;
    info.state = SegmentState::kUnlisted;
    info.log_epoch = found.header.log_epoch;
    info.base_offset = found.header.base_offset;
    info.end_offset = note_->point.offset;
    info.end_byte = note_->point.byte;
    info.file_bytes = found.file_bytes;
    info.records = note_->records;
    info.base_timestamp_ms = found.header.base_timestamp_ms;
    info.running_max_ms = note_->point.running_max_ms;
    info.closed_ms = wall_now_ms();
    return info;
  }

  void report_damage(const Found& found, const Listing& listing) {
    const auto& damages = listing.footer.damages;
    for (std::size_t i = 0; i < listing.remarks.size(); ++i) {
      const Offset first = i < damages.size() ? damages[i].first_offset : 0;
      const Offset end = i < damages.size() ? damages[i].end_offset : 0;
      finding(found, listing.remarks[i], first, end);
    }
  }

  void place(const Found& found, const SegmentInfo& info) {
    auto& segments = result_.segments;
    if (!segments.empty() && segments.back().end_offset > info.base_offset) {
      // Only behind a break of the chain: nobody named the older one's end.
      segments.back().end_offset = info.base_offset;
    }
    if (!segments.empty() && segments.back().end_offset < info.base_offset) {
      finding(found, "the offsets before it are missing", segments.back().end_offset,
              info.base_offset);
    }
    result_.newest_epoch = std::max(result_.newest_epoch, info.log_epoch);
    segments.push_back(info);
  }

  void report_the_rest(const std::vector<Found*>& chain) {
    for (auto& [number, found] : files_) {
      if (std::find(chain.begin(), chain.end(), &found) != chain.end()) continue;
      switch (decide(found.facts)) {
        case SegmentVerdict::kUnborn:
          result_.unborn.push_back(number);
          break;
        case SegmentVerdict::kQuarantine:
          finding(found, "neither header nor footer can be read (" + found.why_bad +
                             "); the file is kept and not used");
          break;
        default:
          finding(found,
                  "no later segment names it; its writer died or failed before anything in "
                  "it counted; the file is kept and not used");
      }
    }
  }

  void conclude() {
    auto& end = result_.end;
    if (!result_.segments.empty()) {
      const SegmentInfo& last = result_.segments.back();
      end = {last.end_offset, last.number, last.end_byte, last.running_max_ms};
      result_.start_offset = result_.segments.front().base_offset;
    }
    if (cut_at_ && end.offset < *cut_at_) {
      result_.findings.push_back({end.segment,
                                  request_.folder + ": records that were durable are not there",
                                  end.offset, *cut_at_});
      end.offset = *cut_at_;
    }
  }

  Disk& disk_;
  const RecoverRequest& request_;
  std::optional<NoteValue> note_;
  std::optional<Offset> cut_at_;
  std::map<shm::SegmentNumber, Found> files_;
  RecoveredPartition result_;
};

}  // namespace

Result<RecoveredPartition> recover_partition(Disk& disk, const RecoverRequest& request) {
  return Recovery(disk, request).run();
}

}  // namespace mallbots::broker
