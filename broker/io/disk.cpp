#include "broker/io/disk.h"

#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include "broker/io/posix_disk.h"
#include "broker/io/test_hook.h"
#include "broker/io/thread_disk.h"
#include "broker/io/uring_disk.h"

namespace mallbots::broker {

Error file_error(const char* call, const std::string& path, int error) {
  ErrorCode code = ErrorCode::kIo;
  if (error == ENOSPC || error == EDQUOT) code = ErrorCode::kDiskFull;
  if (error == EACCES || error == EPERM) code = ErrorCode::kNotPermitted;
  return {code, std::string(call) + " " + path + ": " + std::generic_category().message(error) +
                    " (errno " + std::to_string(error) + ")"};
}

bool missing_file(const Error& error) noexcept {
  return error.detail.ends_with("(errno " + std::to_string(ENOENT) + ")");
}

AlignedBuffer::AlignedBuffer(std::size_t bytes)
    : bytes_(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{kIoAlign}))),
      size_(bytes) {
  std::memset(bytes_.get(), 0, bytes);
}

void AlignedBuffer::Free::operator()(std::byte* p) const noexcept {
  ::operator delete[](p, std::align_val_t{kIoAlign});
}

namespace {

Result<FlushStyle> flush_style(const DiskOptions& options) {
  if (options.flush == FlushChoice::kDsync) return FlushStyle::kDsync;
  if (options.flush == FlushChoice::kFdatasync || options.probe_folder.empty()) {
    return FlushStyle::kFdatasync;
  }
  // Each engine as it will be used: what is faster by plain calls may be slower through a ring.
  if (options.engine != EngineChoice::kThread) {
    auto style = UringDisk::measure(options.probe_folder);
    if (style || style.error().code != ErrorCode::kUnsupported) return style;
  }
  return measure_flush(options.probe_folder, overwrite_by_calls);
}

Result<std::unique_ptr<Disk>> open_engine(const DiskOptions& options, FlushStyle style) {
  if (options.engine == EngineChoice::kThread) {
    return ThreadDisk::make(options.direct, style, "as configured");
  }
  auto uring = UringDisk::make(options.direct, style);
  if (uring || options.engine == EngineChoice::kUring) return uring;
  return ThreadDisk::make(options.direct, style, uring.error().detail);
}

}  // namespace

Result<std::unique_ptr<Disk>> open_disk(const DiskOptions& options) {
  const auto style = flush_style(options);
  if (!style) return std::unexpected(style.error());
  auto disk = open_engine(options, *style);
  if (!disk) return disk;
  return disk_for_test(std::move(*disk), options.direct);
}

}  // namespace mallbots::broker
