#include "broker/io/uring_disk.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "broker/io/flush_plan.h"
#include "broker/io/write_pieces.h"
#include "shm/base/check.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

constexpr unsigned kEntries = 512;
/// Bit 0 of user_data: the completion is that of a linked flush.
constexpr std::uint64_t kFlushBit = 1;

}  // namespace

/// One request on its way: a write, a flush, or a write with a linked flush.
struct UringDisk::Operation {
  IoRequest request;
  FlushPlan plan;
  WritePieces pieces;
  int outstanding = 0;  ///< completions still to come
  int error = 0;
  bool again = false;      ///< a short write: the rest and the flush go out once more
  bool cancelled = false;  ///< the flush did not run
  bool torn = false;       ///< the flush was handed in without its link to the write
};

UringDisk::UringDisk(bool direct, FlushStyle style) : PosixDisk(direct), style_(style) {}

Result<std::unique_ptr<Disk>> UringDisk::make(bool direct, FlushStyle style) {
  std::unique_ptr<UringDisk> disk{new UringDisk(direct, style)};
  if (const int error = disk->set_up(); error != 0) {
    return fail(ErrorCode::kUnsupported,
                std::string("io_uring is refused: ") + std::strerror(error));
  }
  return std::unique_ptr<Disk>{std::move(disk)};
}

int UringDisk::set_up() {
  const struct {
    unsigned flags;
    const char* name;
  } tries[] = {
      // TASKRUN_FLAG: the ring says when there is something to enter the kernel for.
      {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
           IORING_SETUP_TASKRUN_FLAG,
       "deferred task work"},
      {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, "cooperative task work"},
      {0, "plain"},
  };
  int result = -EINVAL;
  for (const auto& attempt : tries) {
    result = io_uring_queue_init(kEntries, &ring_, attempt.flags);
    if (result == 0) {
      flags_ = attempt.name;
      break;
    }
    if (result != -EINVAL) break;
  }
  if (result != 0) return -result;
  ring_made_ = true;
  event_ = shm::UniqueFd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event_) return errno;
  return -io_uring_register_eventfd(&ring_, event_.get());
}

UringDisk::~UringDisk() {
  if (!ring_made_) return;
  io_uring_submit(&ring_);
  while (in_flight_ > 0) {
    io_uring_cqe* entry = nullptr;
    if (io_uring_wait_cqe(&ring_, &entry) != 0) continue;
    auto* operation = reinterpret_cast<Operation*>(entry->user_data & ~kFlushBit);
    io_uring_cqe_seen(&ring_, entry);
    if (--operation->outstanding == 0) retire(*operation);
  }
  io_uring_queue_exit(&ring_);
}

std::string UringDisk::engine() const {
  return "io_uring (" + flags_ + ", " +
         (style_ == FlushStyle::kDsync ? "O_DSYNC writes" : "write + fdatasync") + ")";
}

/// Room for `needed` linked entries in one submission.
io_uring_sqe* UringDisk::next_entry(unsigned needed) {
  while (io_uring_sq_space_left(&ring_) < needed) hand_in();
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  CHECK(entry != nullptr);
  return entry;
}

/// One system call; the kernel may take a part only, or nothing.
void UringDisk::hand_in() {
  const int n = io_uring_submit(&ring_);
  CHECK(n >= 0 || n == -EAGAIN || n == -EBUSY || n == -EINTR);
  if (n < 0) io_uring_get_events(&ring_);  // room in the completion queue, then once more
  if (io_uring_sq_ready(&ring_) == 0) return;
  // A link ends with the submission: a flush that stayed behind will not wait for its write.
  const std::uint64_t name = ring_.sq.sqes[*ring_.sq.khead & ring_.sq.ring_mask].user_data;
  if ((name & kFlushBit) != 0) reinterpret_cast<Operation*>(name & ~kFlushBit)->torn = true;
}

void UringDisk::start(Operation& operation) {
  const IoRequest& request = operation.request;
  const int fd = request.file->fd();
  const bool writes = request.kind == IoKind::kWrite || request.kind == IoKind::kWriteFlush;
  const bool flushes = operation.plan.flushes();
  const auto name = reinterpret_cast<std::uint64_t>(&operation);
  operation.outstanding = (writes ? 1 : 0) + (flushes ? 1 : 0);
  operation.again = operation.cancelled = operation.torn = false;
  io_uring_sqe* entry = next_entry(static_cast<unsigned>(operation.outstanding));
  if (writes) {
    const auto pieces = operation.pieces.rest();
    CRASH_POINT("io.uring.write");
    io_uring_prep_writev2(entry, fd, pieces.data(), static_cast<unsigned>(pieces.size()),
                          operation.pieces.offset(), operation.plan.dsync() ? RWF_DSYNC : 0);
    entry->user_data = name;
    if (flushes) {
      // The flush runs only if the whole write did; otherwise it completes with ECANCELED.
      entry->flags |= IOSQE_IO_LINK;
      entry = io_uring_get_sqe(&ring_);
      CHECK(entry != nullptr);
    }
  }
  if (flushes) {
    CRASH_POINT("io.uring.flush");
    io_uring_prep_fsync(entry, fd, request.kind == IoKind::kSyncFolder ? 0 : IORING_FSYNC_DATASYNC);
    entry->user_data = name | kFlushBit;
  }
  unsubmitted_ = true;
}

void UringDisk::submit(const IoRequest& request) {
  CHECK(request.file != nullptr && request.handler != nullptr);
  std::unique_ptr<Operation> operation;
  if (free_.empty()) {
    operation = std::make_unique<Operation>();
  } else {
    operation = std::move(free_.back());
    free_.pop_back();
  }
  operation->request = request;
  operation->plan = FlushPlan{request, style_};
  operation->error = 0;
  operation->pieces.assign(request.pieces, request.offset);
  ++in_flight_;
  start(*operation.release());  // the kernel holds it until its last completion: retire()
}

void UringDisk::kick() {
  if (!unsubmitted_) return;
  unsubmitted_ = false;
  while (io_uring_sq_ready(&ring_) > 0) hand_in();
}

bool UringDisk::step(Operation& operation, bool is_flush, int result) {
  --operation.outstanding;
  if (is_flush) {
    operation.cancelled = result == -ECANCELED;
    if (result < 0 && !operation.cancelled && operation.error == 0) operation.error = -result;
  } else if (result == -EINTR || result == -EAGAIN) {
    operation.again = true;
  } else if (result < 0) {
    operation.error = -result;
  } else if (!operation.pieces.advance(static_cast<std::size_t>(result))) {
    // A short write says nothing about why; the rest will. Nothing written at all: no room.
    if (result == 0) operation.error = ENOSPC;
    operation.again = true;
  }
  if (operation.outstanding > 0) return false;
  if (operation.error == 0 && !operation.again) {
    // No short or failed write cancelled it: the kernel had no worker to run it.
    if (operation.cancelled) operation.error = ECANCELED;
    // It may have run before its write was done.
    if (operation.torn && operation.request.kind == IoKind::kWriteFlush) {
      operation.request.kind = IoKind::kFlush;
      operation.again = true;
    }
  }
  if (operation.error == 0 && operation.again) {
    start(operation);
    return false;
  }
  return true;
}

void UringDisk::retire(Operation& operation) {
  --in_flight_;
  free_.emplace_back(&operation);
}

void UringDisk::empty_event() {
  std::uint64_t count = 0;
  (void)!::read(event_.get(), &count, sizeof(count));
}

std::size_t UringDisk::reap() {
  // Emptied behind the work, because the work announces itself a second time when it is worked off;
  // and before another look, so that what completes after that look announces itself anew.
  std::size_t done = work_off();
  empty_event();
  done += work_off();
  kick();
  return done;
}

std::size_t UringDisk::work_off() {
  std::size_t done = 0;
  io_uring_cqe* entry = nullptr;
  // Enters the kernel only if the ring says that it must.
  while (io_uring_peek_cqe(&ring_, &entry) == 0) {
    auto* operation = reinterpret_cast<Operation*>(entry->user_data & ~kFlushBit);
    const bool is_flush = (entry->user_data & kFlushBit) != 0;
    const int result = entry->res;
    io_uring_cqe_seen(&ring_, entry);
    if (!step(*operation, is_flush, result)) continue;
    const IoRequest request = operation->request;
    const int error = operation->error;
    if (error == 0) operation->plan.done(*request.file);
    retire(*operation);
    ++done;
    request.handler->io_done(request.tag, error);
  }
  return done;
}

/// What submit() and reap() would do with one request, and a wait in between.
int UringDisk::overwrite(int fd, AlignedBuffer& block, std::uint64_t at, FlushStyle style) {
  const bool dsync = style == FlushStyle::kDsync;
  unsigned outstanding = dsync ? 1 : 2;
  io_uring_sqe* entry = next_entry(outstanding);
  // no crash point: a file that nobody else knows
  io_uring_prep_write(entry, fd, block.data(), static_cast<unsigned>(block.size()), at);
  entry->rw_flags = dsync ? RWF_DSYNC : 0;
  if (!dsync) {
    entry->flags |= IOSQE_IO_LINK;
    // no crash point: a file that nobody else knows
    io_uring_prep_fsync(io_uring_get_sqe(&ring_), fd, IORING_FSYNC_DATASYNC);
  }
  unsubmitted_ = true;
  kick();
  int error = 0;
  while (outstanding > 0) {
    pollfd announced{event_.get(), POLLIN, 0};
    (void)::poll(&announced, 1, -1);
    empty_event();
    io_uring_cqe* completion = nullptr;
    while (io_uring_peek_cqe(&ring_, &completion) == 0) {
      if (completion->res < 0) error = -completion->res;
      io_uring_cqe_seen(&ring_, completion);
      --outstanding;
    }
  }
  return error;
}

Result<FlushStyle> UringDisk::measure(const std::string& folder) {
  UringDisk disk{true, FlushStyle::kDsync};
  if (const int error = disk.set_up(); error != 0) {
    return fail(ErrorCode::kUnsupported,
                std::string("io_uring is refused: ") + std::strerror(error));
  }
  return measure_flush(folder,
                       [&disk](int fd, AlignedBuffer& block, std::uint64_t at, FlushStyle style) {
                         return disk.overwrite(fd, block, at, style);
                       });
}

}  // namespace mallbots::broker
