#include "tests/support/lying_disk.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "broker/io/test_hook.h"
#include "shm/base/check.h"

namespace mallbots::test {

using broker::IoKind;
using broker::IoRequest;

/// A write whose sender was told that it is done, and may have taken its memory away.
class LyingDisk::Late final : public broker::IoHandler {
 public:
  explicit Late(const IoRequest& request)
      : file_(shm::UniqueFd{::dup(request.file->fd())}, request.file->path(),
              request.file->direct()) {
    std::size_t bytes = 0;
    for (const iovec& piece : request.pieces) bytes += piece.iov_len;
    copy_ = broker::AlignedBuffer{bytes};
    std::size_t at = 0;
    for (const iovec& piece : request.pieces) {
      std::memcpy(copy_.data() + at, piece.iov_base, piece.iov_len);
      at += piece.iov_len;
    }
    piece_ = {copy_.data(), bytes};
  }
  [[nodiscard]] IoRequest request_like(const IoRequest& request) noexcept {
    return {request.kind, &file_, request.offset, {&piece_, 1}, this, 0};
  }
  [[nodiscard]] bool done() const noexcept { return done_; }
  void io_done(std::uint64_t /*tag*/, int /*error*/) override { done_ = true; }

 private:
  broker::File file_;
  broker::AlignedBuffer copy_;
  iovec piece_{};
  bool done_ = false;
};

LyingDisk::LyingDisk(std::unique_ptr<broker::Disk> inner, Lie lie, bool direct,
                     std::string hangs_since)
    : PosixDisk(direct),
      lie_(lie),
      hangs_since_(std::move(hangs_since)),
      inner_(std::move(inner)) {}

LyingDisk::~LyingDisk() = default;

void LyingDisk::submit(const IoRequest& request) {
  IoRequest passed = request;
  if (lie_ == Lie::kDropFlush) {
    if (request.kind == IoKind::kFlush) return tell_at_once(request);
    if (request.kind == IoKind::kWriteFlush) passed.kind = IoKind::kWrite;
    return inner_->submit(passed);
  }
  if (lie_ == Lie::kNeverDone) {
    if (::access(hangs_since_.c_str(), F_OK) != 0) return inner_->submit(request);
    ++never_done_;
    return;
  }
  if (request.kind != IoKind::kWriteFlush) return inner_->submit(request);
  late_.push_back(std::make_unique<Late>(request));
  inner_->submit(late_.back()->request_like(request));
  tell_at_once(request);
}

void LyingDisk::tell_at_once(const IoRequest& request) {
  told_.push_back({request.handler, request.tag});
  const std::uint64_t one = 1;
  CHECK(::write(inner_->completion_fd(), &one, sizeof(one)) == sizeof(one));
}

std::size_t LyingDisk::reap() {
  const std::size_t done = inner_->reap();
  while (!late_.empty() && late_.front()->done()) late_.pop_front();
  const auto told = std::exchange(told_, {});
  for (const Told& one : told) one.handler->io_done(one.tag, 0);
  return done + told.size();
}

}  // namespace mallbots::test

namespace mallbots::broker {

std::unique_ptr<Disk> disk_for_test(std::unique_ptr<Disk> disk, bool direct) {
  using test::LyingDisk;
  const char* told = std::getenv("MALLBOTS_DISK_LIE");
  if (told == nullptr) return disk;
  const std::string_view lie = told;
  constexpr std::string_view kHangs = "never-done=";
  if (lie.starts_with(kHangs))
    return std::make_unique<LyingDisk>(std::move(disk), LyingDisk::Lie::kNeverDone, direct,
                                       std::string{lie.substr(kHangs.size())});
  CHECK(lie == "drop-flush" || lie == "publish-early");
  return std::make_unique<LyingDisk>(
      std::move(disk),
      lie == "drop-flush" ? LyingDisk::Lie::kDropFlush : LyingDisk::Lie::kPublishEarly, direct, "");
}

}  // namespace mallbots::broker
