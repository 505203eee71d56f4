#include "broker/streams/checkpoint_writer.h"

#include <algorithm>

#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

/// Blocks of one write.
constexpr std::size_t kBlocksAtOnce = 4;
constexpr const char* kUnfinished = ".new";

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

CheckpointWriter::CheckpointWriter(Disk& disk, const StreamTable& table, std::string path,
                                   PartitionId partition)
    : disk_(disk), table_(table), path_(std::move(path)) {
  frame_.partition = partition;
}

Result<void> CheckpointWriter::begin(LogEpoch epoch) {
  CHECK(state_ == State::kIdle && !busy_);
  MALLBOTS_TRY(disk_.remove(path_ + kUnfinished));
  auto file = disk_.open(path_ + kUnfinished, OpenMode::kCreateWrite);
  if (!file) return std::unexpected(std::move(file).error());
  file_ = std::move(*file);
  if (buffer_.size() == 0) buffer_ = AlignedBuffer{kBlocksAtOnce * kCheckpointBlockBytes};
  frame_.log_epoch = epoch;
  frame_.from = table_.end();
  block_ = 0;
  next_ = 0;
  more_ = true;
  state_ = State::kWriting;
  return {};
}

bool CheckpointWriter::duty(Offset durable) {
  if (busy_ || state_ == State::kIdle) return false;
  if (state_ == State::kWriting) {
    write_next();
  } else if (state_ == State::kWaiting && durable >= end_) {
    state_ = State::kFlushing;
    CRASH_POINT("streams.checkpoint.flush");
    disk_.submit({.kind = IoKind::kFlush, .file = &file_, .handler = this});
    busy_ = true;
  }
  return busy_;
}

void CheckpointWriter::write_next() {
  const std::uint32_t first = block_;
  bool last = false;
  for (std::size_t i = 0; i < kBlocksAtOnce && !last; ++i) {
    CheckpointBlock block{buffer_.span().subspan(i * kCheckpointBlockBytes, kCheckpointBlockBytes)};
    if (more_) {
      end_ = table_.fill(block, next_, more_);
      block.seal(frame_, block_++);
    } else {
      block.seal_last(frame_, block_++, end_, next_);
      last = true;
    }
  }
  const iovec piece{buffer_.data(), (block_ - first) * kCheckpointBlockBytes};
  if (last) state_ = State::kWaiting;
  CRASH_POINT("streams.checkpoint.write");
  disk_.submit({.kind = IoKind::kWrite,
                .file = &file_,
                .offset = std::uint64_t{first} * kCheckpointBlockBytes,
                .pieces = std::span{&piece, 1},
                .handler = this});
  busy_ = true;
}

void CheckpointWriter::io_done(std::uint64_t /*tag*/, int error) {
  busy_ = false;
  if (error != 0) return give_up(file_error("write", path_ + kUnfinished, error));
  if (state_ == State::kFlushing) return put_in_place();
  if (state_ == State::kNaming) {
    done_ = frame_.from;
    state_ = State::kIdle;
  }
}

void CheckpointWriter::put_in_place() {
  file_ = File{};
  CRASH_POINT("streams.checkpoint.rename");
  if (auto renamed = disk_.rename(path_ + kUnfinished, path_); !renamed)
    return give_up(std::move(renamed).error());
  auto folder = disk_.open(folder_of(path_), OpenMode::kFolder);
  if (!folder) return give_up(std::move(folder).error());
  folder_ = std::move(*folder);
  state_ = State::kNaming;
  CRASH_POINT("streams.checkpoint.sync-folder");
  disk_.submit({.kind = IoKind::kSyncFolder, .file = &folder_, .handler = this});
  busy_ = true;
}

void CheckpointWriter::give_up(Error error) {
  failure_ = std::move(error);
  file_ = File{};
  state_ = State::kIdle;
}

// Loading
// -----------------------------------------------------------------------------------------

Result<std::optional<LoadedCheckpoint>> load_checkpoint(Disk& disk, const std::string& path,
                                                        PartitionId partition) {
  if (!disk.exists(path)) return std::nullopt;
  auto file = disk.open(path, OpenMode::kReadOnly);
  if (!file) return std::unexpected(std::move(file).error());
  LoadedCheckpoint loaded{.index = std::make_unique<StreamIndex>()};
  AlignedBuffer buffer{kBlocksAtOnce * kCheckpointBlockBytes};
  const auto in_file = [&path](Error error) {
    return fail(error.code, path + ": " + error.detail);
  };
  for (std::uint32_t number = 0;;) {
    const auto got = disk.read(*file, std::uint64_t{number} * kCheckpointBlockBytes, buffer.span());
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return in_file({ErrorCode::kCorrupt, "it has no last block"});
    for (std::size_t at = 0; at < *got; at += kCheckpointBlockBytes, ++number) {
      const auto block = std::span<const std::byte>{buffer.span()}.subspan(
          at, std::min(kCheckpointBlockBytes, *got - at));
      const auto head = check_block(block, partition, number);
      if (!head) return in_file(head.error());
      if ((head->flags & kLastCheckpointBlock) != 0) {
        if (head->streams != loaded.index->streams() || head->end_offset < head->from_offset)
          return in_file({ErrorCode::kCorrupt, "its last block contradicts the others"});
        loaded.from = head->from_offset;
        loaded.end = head->end_offset;
        loaded.log_epoch = head->log_epoch;
        return loaded;
      }
      if (auto taken = take_streams(block, *loaded.index); !taken) return in_file(taken.error());
    }
  }
}

}  // namespace mallbots::broker
