#include "clients/cli/segment_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace mallbots::client::cli {
namespace {

using shm::kBlockBytes;
using shm::WalkStep;

constexpr std::uint64_t kWindowBytes = 4ull << 20;

std::unexpected<Error> io_error(const std::string& path) {
  return fail(ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
}

/// Bytes [from, from + size) or as many as the file has. A vector of 64 bits keeps them aligned.
Result<std::vector<std::byte>> read_bytes(const SegmentFile& file, std::uint64_t from,
                                          std::uint64_t size) {
  std::vector<std::byte> bytes(size);
  std::uint64_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(file.fd.get(), bytes.data() + done, size - done, static_cast<off_t>(from + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(file.path);
    if (got == 0) break;
    done += static_cast<std::uint64_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

Result<SegmentFile> open_file(const std::string& path) {
  SegmentFile file;
  file.path = path;
  file.fd = shm::UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file.fd) return io_error(path);
  struct stat status{};
  if (fstat(file.fd.get(), &status) != 0) return io_error(path);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::kIo, fmt::format("{} is no regular file", path));
  file.file_bytes = static_cast<std::uint64_t>(status.st_size);
  return file;
}

Result<bool> is_all_zeros(const SegmentFile& file) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  for (std::uint64_t at = 0; at < file.file_bytes; at += kPiece) {
    const auto bytes = read_bytes(file, at, kPiece);
    if (!bytes) return std::unexpected(bytes.error());
    if (std::ranges::any_of(*bytes, [](std::byte b) { return b != std::byte{0}; })) return false;
  }
  return true;
}

/// The footer at the end of `file`, if there is one. A trailer that is none is no fault: an open
/// segment has none.
Result<void> read_footer(const SegmentFile& file, SegmentFile& owner) {
  if (file.file_bytes < kBlockBytes) return {};
  auto tail =
      read_bytes(file, file.file_bytes - sizeof(shm::SegmentTrailer), sizeof(shm::SegmentTrailer));
  if (!tail) return std::unexpected(tail.error());
  const auto trailer = shm::parse_trailer(*tail, file.file_bytes);
  if (!trailer) {
    std::uint64_t magic = 0;
    if (tail->size() < sizeof(shm::SegmentTrailer)) return {};
    std::memcpy(&magic, tail->data(), sizeof magic);
    if (magic == shm::kTrailerMagic) owner.footer_fault = trailer.error().detail;
    std::memcpy(tail->data(), &shm::kTrailerMagic, sizeof magic);
    if (magic != shm::kTrailerMagic && shm::parse_trailer(*tail, file.file_bytes))
      owner.footer_fault = "the trailer's magic number is damaged";
    return {};
  }
  if (trailer->partition_id != owner.header.partition_id ||
      trailer->number != owner.header.number) {
    owner.footer_fault = "it belongs to another segment";
    return {};
  }
  const auto bytes =
      read_bytes(file, file.file_bytes - trailer->footer_bytes, trailer->footer_bytes);
  if (!bytes) return std::unexpected(bytes.error());
  auto footer = shm::parse_footer(*bytes);
  if (!footer) {
    owner.footer_fault = footer.error().detail;
    return {};
  }
  owner.footer = std::move(*footer);
  owner.closed = true;
  owner.end_byte = owner.footer->trailer.data_end;
  return {};
}

/// What the header of the segment after this one says about where this one ends.
std::optional<std::uint64_t> end_by_successor(const SegmentFile& file) {
  const std::filesystem::path path{file.path};
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{path.parent_path(), ignored}) {
    if (entry.path().extension() != path.extension() || entry.path() == path) continue;
    auto other = open_file(entry.path().string());
    if (!other) continue;
    const auto block = read_bytes(*other, 0, kBlockBytes);
    if (!block) continue;
    const auto header = shm::parse_segment_header(*block);
    if (header && header->partition_id == file.header.partition_id &&
        header->predecessor == file.header.number)
      return header->predecessor_end;
  }
  return std::nullopt;
}

/// Holds what the records say against what the footer says while they pass by.
class FooterCheck {
 public:
  FooterCheck(const SegmentFile& file, SegmentFindings& findings)
      : footer_(file.footer ? &*file.footer : nullptr),
        findings_(findings),
        running_max_ms_(file.header.base_timestamp_ms) {}

  void see(const WalkStep& step) {
    if (footer_ == nullptr) return;
    while (next_index_ < footer_->index.size() && footer_->index[next_index_].byte < step.byte)
      miss(footer_->index[next_index_++]);
    if (next_index_ < footer_->index.size() && footer_->index[next_index_].byte == step.byte) {
      const shm::IndexEntry& entry = footer_->index[next_index_++];
      if (entry.offset != step.first_offset || entry.running_max_ms != running_max_ms_)
        findings_.footer_faults.push_back(
            fmt::format("the index entry at byte {} says offset {}, the record there has {}",
                        entry.byte, entry.offset, step.first_offset));
    }
    running_max_ms_ = std::max(running_max_ms_, step.view.header->timestamp_ms);
  }

  void finish() {
    if (footer_ == nullptr || !findings_.damages.empty()) return;
    while (next_index_ < footer_->index.size()) miss(footer_->index[next_index_++]);
    const shm::SegmentTrailer& trailer = footer_->trailer;
    compare("end offset", trailer.end_offset, findings_.end_offset);
    compare("number of records", trailer.records, findings_.records);
    compare("end of the data", trailer.data_end, findings_.end_byte);
  }

 private:
  void miss(const shm::IndexEntry& entry) {
    // Behind damage the index is the better witness.
    if (findings_.damages.empty())
      findings_.footer_faults.push_back(
          fmt::format("no record begins at byte {}, where the index has one", entry.byte));
  }
  void compare(std::string_view what, std::uint64_t footer, std::uint64_t records) {
    if (footer != records)
      findings_.footer_faults.push_back(
          fmt::format("the footer's {} is {}, the records say {}", what, footer, records));
  }

  const shm::SegmentFooter* footer_;
  SegmentFindings& findings_;
  std::size_t next_index_ = 0;
  UnixMillis running_max_ms_;
};

/// Notes the first byte of `bytes`, which begin at `byte` of the file, that is not zero.
void expect_zeros(std::span<const std::byte> bytes, std::uint64_t byte, SegmentFindings& findings) {
  const auto dirty = std::ranges::find_if(bytes, [](std::byte b) { return b != std::byte{0}; });
  if (dirty != bytes.end() && !findings.dirty_fill)
    findings.dirty_fill = byte + static_cast<std::uint64_t>(dirty - bytes.begin());
}

/// What a good record has behind its content: zeros up to 16 bytes; a pad and what stands in for
/// damaged records have no content.
void check_fill(const WalkStep& step, std::span<const std::byte> from_record,
                SegmentFindings& findings) {
  const shm::RecordType type = step.view.header->type;
  const bool empty = type == shm::RecordType::kPad || type == shm::RecordType::kDamaged;
  const std::uint64_t content = empty ? shm::kRecordHeaderBytes : step.view.header->length;
  expect_zeros(from_record.first(step.end_byte - step.byte).subspan(content), step.byte + content,
               findings);
}

/// Between the last record and the footer: at most a pad, else zeros.
Result<void> check_tail(const SegmentFile& file, std::uint64_t seed, SegmentFindings& findings) {
  const shm::SegmentTrailer& trailer = file.footer->trailer;
  const std::uint64_t end = file.file_bytes - trailer.footer_bytes;
  if (trailer.data_end >= end) return {};
  const auto bytes = read_bytes(file, trailer.data_end, end - trailer.data_end);
  if (!bytes) return std::unexpected(bytes.error());
  const shm::CheckedRecord pad = shm::check_record(*bytes, seed, shm::BodyCheck::kSkip);
  const bool is_pad = pad.good() && pad.header.type == shm::RecordType::kPad;
  const std::size_t content = is_pad ? shm::kRecordHeaderBytes : 0;
  expect_zeros(std::span{*bytes}.subspan(content), trailer.data_end + content, findings);
  return {};
}

Result<void> check_header_fill(const SegmentFile& file, SegmentFindings& findings) {
  const auto block = read_bytes(file, 0, kBlockBytes);
  if (!block) return std::unexpected(block.error());
  if (block->size() > sizeof(shm::SegmentHeader))
    expect_zeros(std::span{*block}.subspan(sizeof(shm::SegmentHeader)), sizeof(shm::SegmentHeader),
                 findings);
  return {};
}

/// An unfinished segment may miss only what its last writes held (FORMAT.md, write_limit_bytes).
void forgive_torn_tail(const SegmentFile& file, SegmentFindings& findings) {
  if (file.end_byte) return;
  const auto torn = std::find_if(
      findings.damages.begin(), findings.damages.end(), [&](const DamageFound& damage) {
        return damage.byte + file.header.write_limit_bytes >= findings.end_byte;
      });
  if (torn == findings.damages.end()) return;
  findings.torn_at = torn->byte;
  findings.damages.erase(torn, findings.damages.end());
}

}  // namespace

std::string side_path(const std::string& segment_path) {
  return std::filesystem::path{segment_path}.replace_extension(".side").string();
}

Result<SegmentFile> open_segment(const std::string& path) {
  auto file = open_file(path);
  if (!file) return file;
  const auto block = read_bytes(*file, 0, kBlockBytes);
  if (!block) return std::unexpected(block.error());
  // As a start sees it: made, perhaps without a byte, and never used. Zeros before records are
  // damage.
  if (shm::is_unborn(*block)) {
    const auto zeros = is_all_zeros(*file);
    if (!zeros) return std::unexpected(zeros.error());
    file->unborn = *zeros;
    if (*zeros) return file;
  }
  const auto header = shm::parse_segment_header(*block);
  if (!header) return fail(header.error().code, fmt::format("{}: {}", path, header.error().detail));
  file->header = *header;
  MALLBOTS_TRY(read_footer(*file, *file));
  file->own_footer = file->closed;
  // What a recovery has found counts more than what stands at the end of the file.
  if (const auto side = open_file(side_path(path))) {
    file->closed = false;
    MALLBOTS_TRY(read_footer(*side, *file));
    if (file->closed) file->own_footer = false;
    file->closed = file->closed || file->own_footer;
  }
  if (!file->end_byte) file->end_byte = end_by_successor(*file);
  return file;
}

Result<SegmentFindings> scan_segment(const SegmentFile& file, shm::BodyCheck body,
                                     const std::function<void(const WalkStep&)>& visit) {
  SegmentFindings findings;
  findings.end_offset = file.header.base_offset;
  findings.end_byte = kBlockBytes;
  if (file.unborn) return findings;
  if (!file.footer_fault.empty()) findings.footer_faults.push_back(file.footer_fault);
  const std::uint64_t seed =
      shm::record_seed(PartitionId{file.header.partition_id}, file.header.log_epoch);
  MALLBOTS_TRY(check_header_fill(file, findings));
  if (file.own_footer) MALLBOTS_TRY(check_tail(file, seed, findings));
  shm::RecordWalker walker{
      {.seed = seed, .expected = file.header.base_offset, .byte = kBlockBytes, .body = body}};
  FooterCheck footer{file, findings};
  std::uint64_t end = std::min(file.end_byte.value_or(file.file_bytes), file.file_bytes);
  std::vector<std::byte> window;
  std::uint64_t window_from = kBlockBytes;
  for (std::uint64_t need = kWindowBytes; walker.byte() < end;) {
    const bool is_last = window_from + window.size() >= end;
    const auto rest = std::span{window}.subspan(
        std::min<std::uint64_t>(walker.byte() - window_from, window.size()));
    WalkStep step{.kind = WalkStep::kNeedMore};
    if (!window.empty()) step = walker.next(rest, is_last);
    if (step.kind == WalkStep::kNeedMore || (step.kind == WalkStep::kEnd && !is_last)) {
      need = std::max({need, kWindowBytes, step.need_bytes});
      window_from = walker.byte();
      const std::uint64_t wanted = std::min(need, end - window_from);
      auto bytes = read_bytes(file, window_from, wanted);
      if (!bytes) return std::unexpected(bytes.error());
      if (bytes->size() < wanted) end = window_from + bytes->size();  // the file became shorter
      window = std::move(*bytes);
      continue;
    }
    if (step.kind == WalkStep::kEnd) break;
    if (step.kind == WalkStep::kRecord || step.kind == WalkStep::kPad)
      check_fill(step, rest, findings);
    if (step.kind == WalkStep::kUnwritten) {
      // Zeros where something else says that there were records.
      if (file.end_byte)
        findings.damages.push_back(
            {step.byte, end, step.first_offset, step.first_offset, shm::RecordFault::kUnwritten});
      break;
    }
    if (step.kind == WalkStep::kDamage) {
      findings.damages.push_back(
          {step.byte, step.end_byte, step.first_offset, step.end_offset, step.fault});
    } else if (step.kind == WalkStep::kRecord) {
      footer.see(step);
      if (step.view.header->type != shm::RecordType::kDamaged) ++findings.records;
      findings.end_byte = step.end_byte;
      findings.end_offset = step.end_offset;
    }
    if (visit && step.kind != WalkStep::kPad) visit(step);
  }
  if (walker.expected() > findings.end_offset) findings.end_offset = walker.expected();
  forgive_torn_tail(file, findings);
  footer.finish();
  return findings;
}

}  // namespace mallbots::client::cli
