#include "broker/storage/spare_pool.h"

#include <algorithm>

#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

constexpr std::size_t kZeroPieceBytes = 1 << 20;

const AlignedBuffer& zero_block() {
  static const AlignedBuffer zeros{kZeroPieceBytes};
  return zeros;
}

}  // namespace

std::vector<iovec> zero_pieces(std::uint64_t bytes) {
  std::vector<iovec> pieces;
  while (bytes > 0) {
    const std::uint64_t n = std::min<std::uint64_t>(bytes, kZeroPieceBytes);
    pieces.push_back({const_cast<std::byte*>(zero_block().data()), n});
    bytes -= n;
  }
  return pieces;
}

SparePool::SparePool(Disk& disk, SparePoolOptions options)
    : disk_(disk), options_(std::move(options)), retry_after_ns_(options_.retry_first_ns) {}

Result<std::unique_ptr<SparePool>> SparePool::open(Disk& disk, SparePoolOptions options) {
  std::unique_ptr<SparePool> pool{new SparePool(disk, std::move(options))};
  const std::string& folder = pool->options_.folder;
  MALLBOTS_TRY(disk.make_folder(folder));
  auto names = disk.list(folder);
  if (!names) return std::unexpected(std::move(names).error());
  for (const std::string& name : *names) {
    CRASH_POINT("storage.spare.remove");
    MALLBOTS_TRY(disk.remove(folder + "/" + name));
  }
  return pool;
}

Result<SparePool::Taken> SparePool::take(const std::string& path) {
  if (ready_.empty()) {
    CRASH_POINT("storage.spare.create");
    auto file = disk_.open(path, OpenMode::kCreateWrite);
    if (!file) return std::unexpected(std::move(file).error());
    return Taken{std::move(*file), 0};
  }
  Spare spare = std::move(ready_.back());
  ready_.pop_back();
  CRASH_POINT("storage.spare.rename");
  MALLBOTS_TRY(disk_.rename(spare.path, path));
  spare.file.renamed(path);
  return Taken{std::move(spare.file), options_.zero_bytes};
}

void SparePool::refill() {
  if (disk_.in_flight() != 0 || ready_.size() >= options_.files) return;
  if (boot_now_ns() < retry_at_) return;
  const std::string path = options_.folder + "/spare-" + std::to_string(next_name_++);
  CRASH_POINT("storage.spare.make");
  auto file = disk_.open(path, OpenMode::kCreateWrite);
  if (!file) return rest();
  in_making_ = Spare{std::move(*file), path};
  making_ = true;
  const auto pieces = zero_pieces(options_.zero_bytes);
  disk_.submit({IoKind::kWriteFlush, &in_making_.file, 0, pieces, this, 0});
}

void SparePool::io_done(std::uint64_t /*tag*/, int error) {
  making_ = false;
  Spare spare = std::move(in_making_);
  if (error == 0) {
    ready_.push_back(std::move(spare));
    retry_after_ns_ = options_.retry_first_ns;
    return;
  }
  CRASH_POINT("storage.spare.discard");
  (void)disk_.remove(spare.path);  // of no worth; the next start removes it otherwise
  rest();
}

void SparePool::rest() {
  retry_at_ = boot_now_ns() + retry_after_ns_;
  retry_after_ns_ = std::min(2 * retry_after_ns_, options_.retry_last_ns);
}

}  // namespace mallbots::broker
