#include "broker/io/thread_disk.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <system_error>

#include "shm/base/check.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

Result<std::unique_ptr<Disk>> ThreadDisk::make(bool direct, FlushStyle style,
                                               const std::string& why) {
  std::unique_ptr<ThreadDisk> disk{new ThreadDisk(direct, style, why)};
  disk->event_ = shm::UniqueFd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!disk->event_) return std::unexpected(file_error("eventfd", "of the flush thread", errno));
  try {
    disk->thread_ = std::thread([raw = disk.get()] { raw->work(); });
  } catch (const std::system_error& error) {
    return std::unexpected(file_error("start", "flush thread", error.code().value()));
  }
  return std::unique_ptr<Disk>{std::move(disk)};
}

ThreadDisk::~ThreadDisk() {
  if (!thread_.joinable()) return;
  kick();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

std::string ThreadDisk::engine() const {
  return std::string("flush thread (") +
         (style_ == FlushStyle::kDsync ? "O_DSYNC writes" : "pwrite + fdatasync") + "; " + why_ +
         ")";
}

void ThreadDisk::submit(const IoRequest& request) {
  CHECK(request.file != nullptr && request.handler != nullptr);
  Job& job = collected_.emplace_back(Job{request, FlushPlan{request, style_}, {}});
  job.pieces.assign(request.pieces, request.offset);
  ++in_flight_;
}

void ThreadDisk::kick() {
  if (collected_.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    std::move(collected_.begin(), collected_.end(), std::back_inserter(jobs_));
  }
  collected_.clear();
  wake_.notify_one();
}

std::size_t ThreadDisk::reap() {
  std::uint64_t count = 0;
  // Emptied before the look, so that what completes after the look announces itself anew.
  (void)!::read(event_.get(), &count, sizeof(count));
  std::vector<Job> done;
  {
    const std::lock_guard lock(mutex_);
    done.swap(done_);
  }
  in_flight_ -= done.size();
  for (const Job& one : done) {
    if (one.error == 0) one.plan.done(*one.request.file);
    one.request.handler->io_done(one.request.tag, one.error);
  }
  kick();
  return done.size();
}

void ThreadDisk::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.error = perform(job);
    lock.lock();
    done_.push_back(std::move(job));
    const std::uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof(one));
  }
}

int ThreadDisk::perform(Job& job) {
  const int fd = job.request.file->fd();
  const IoKind kind = job.request.kind;
  bool whole = kind == IoKind::kFlush || kind == IoKind::kSyncFolder;
  while (!whole) {
    const auto pieces = job.pieces.rest();
    CRASH_POINT("io.thread.write");
    const ssize_t n =
        ::pwritev2(fd, pieces.data(), static_cast<int>(pieces.size()),
                   static_cast<off_t>(job.pieces.offset()), job.plan.dsync() ? RWF_DSYNC : 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    whole = job.pieces.advance(static_cast<std::size_t>(n));
    if (n == 0 && !whole) return ENOSPC;
  }
  if (!job.plan.flushes()) return 0;
  CRASH_POINT("io.thread.flush");
  const int result = kind == IoKind::kSyncFolder ? ::fsync(fd) : ::fdatasync(fd);
  return result == 0 ? 0 : errno;
}

}  // namespace mallbots::broker
