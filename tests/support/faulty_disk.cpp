#include "tests/support/faulty_disk.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "shm/base/check.h"

namespace mallbots::test {

using broker::File;
using broker::IoKind;
using broker::IoRequest;

namespace {

constexpr std::size_t kSector = 512;

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

void lay(std::vector<std::byte>& file, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  std::memcpy(file.data() + offset, bytes.data(), bytes.size());
}

std::vector<std::byte> contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto* raw = reinterpret_cast<const std::byte*>(text.data());
  return {raw, raw + text.size()};
}

}  // namespace

/// A request on its way through.
class FaultyDisk::Passing final : public broker::IoHandler {
 public:
  Passing(FaultyDisk& disk, const IoRequest& request) : disk_(disk), request_(request) {
    pieces_.assign(request.pieces.begin(), request.pieces.end());
    for (const iovec& piece : pieces_) {
      const auto* raw = static_cast<const std::byte*>(piece.iov_base);
      bytes_.insert(bytes_.end(), raw, raw + piece.iov_len);
    }
  }
  /// The sender may be gone, and its memory, before this request is done.
  void own_everything() {
    const File& theirs = *request_.file;
    file_ = File{shm::UniqueFd{::dup(theirs.fd())}, theirs.path(), theirs.direct()};
    request_.file = &file_;
    if (bytes_.empty()) return;
    copy_ = broker::AlignedBuffer{bytes_.size()};
    std::memcpy(copy_.data(), bytes_.data(), bytes_.size());
    pieces_ = {{copy_.data(), copy_.size()}};
  }
  void io_done(std::uint64_t /*tag*/, int error) override {
    disk_.complete(
        *this, effect == Fault::kErrorAfter || effect == Fault::kTornError ? fault_error : error);
  }

  FaultyDisk& disk_;
  IoRequest request_;
  std::vector<iovec> pieces_;
  std::vector<std::byte> bytes_;
  bool has_effect = false;
  Fault::Effect effect = Fault::kError;
  int fault_error = 0;
  bool told = false;
  bool done = false;
  File file_;
  broker::AlignedBuffer copy_;
  bool flushes = false;
  int inode = 0;
  std::size_t event = kNever;
  std::size_t submitted_at = 0;
};

FaultyDisk::FaultyDisk(broker::Disk& inner) : inner_(inner) {}

FaultyDisk::~FaultyDisk() {
  while (passing_.size() > early_.size() && inner_.in_flight() > 0) {
    inner_.kick();
    inner_.reap();
  }
}

const Fault* FaultyDisk::fault_for(Fault::Sort sort, std::uint64_t number) const {
  for (const Fault& fault : faults_) {
    if (fault.sort == sort && number >= fault.first && number <= fault.last) return &fault;
  }
  return nullptr;
}

void FaultyDisk::submit(const IoRequest& request) {
  const std::lock_guard lock(mutex_);
  auto passing = std::make_unique<Passing>(*this, request);
  ++in_flight_;
  const Fault* fault = nullptr;
  if (request.kind == IoKind::kSyncFolder) {
    fault = fault_for(Fault::kFolderSyncs, ++folder_syncs_);
  } else {
    passing->inode = inode_of(request.file->path());
    if (!created_here_[passing->inode]) ++foreign_writes_;
    if (request.kind != IoKind::kFlush) fault = fault_for(Fault::kWrites, ++writes_);
    if (request.kind != IoKind::kWrite) {
      if (failed_[passing->inode]) ++flushes_after_failure_;
      if (const Fault* other = fault_for(Fault::kFlushes, ++flushes_)) fault = other;
    }
  }
  if (fault != nullptr) {
    passing->has_effect = true;
    passing->effect = fault->effect;
    passing->fault_error = fault->error;
  }
  perform(std::move(passing));
}

void FaultyDisk::perform(std::unique_ptr<Passing> passing) {
  Passing& one = *passing;
  const IoKind kind = one.request_.kind;
  const bool outlives = one.effect == Fault::kHold || one.effect == Fault::kPublishEarly;
  if (one.has_effect && outlives) one.own_everything();
  if (one.has_effect && one.effect == Fault::kHold) {
    held_.push_back(std::move(passing));
    return;
  }
  const bool fails = one.has_effect && one.effect == Fault::kError;
  one.submitted_at = events_.size();
  const bool writes = kind == IoKind::kWrite || kind == IoKind::kWriteFlush;
  if (writes && !fails) {
    Event event;
    event.kind = Event::kWrite;
    event.inode = one.inode;
    event.offset = one.request_.offset;
    event.bytes = one.bytes_;
    one.event = add_event(std::move(event));
  }
  one.flushes = kind != IoKind::kWrite && !(one.has_effect && one.effect == Fault::kDropFlush);
  passing_.push_back(std::move(passing));
  if (fails) {
    early_.emplace_back(&one, one.fault_error);
    return;
  }
  IoRequest inner = one.request_;
  inner.pieces = one.pieces_;
  inner.handler = &one;
  if (one.has_effect && one.effect == Fault::kTornError && !one.pieces_.empty()) {
    // The front half, on a sector border that O_DIRECT accepts.
    iovec& first = one.pieces_.front();
    first.iov_len = std::max<std::size_t>(broker::kIoAlign,
                                          first.iov_len / 2 / broker::kIoAlign * broker::kIoAlign);
    inner.pieces = std::span(one.pieces_).first(1);
  }
  if (one.has_effect && one.effect == Fault::kPublishEarly) early_.emplace_back(&one, 0);
  inner_.submit(inner);
}

void FaultyDisk::release() {
  while (!held_.empty()) {
    auto passing = std::move(held_.front());
    held_.pop_front();
    passing->has_effect = false;
    perform(std::move(passing));
  }
  inner_.kick();
}

void FaultyDisk::complete(Passing& passing, int error) {
  std::unique_lock lock(mutex_);
  if (error == 0 && passing.event != kNever) events_[passing.event].done_at = events_.size();
  if (error == 0 && passing.flushes) {
    // Its own write is part of what this flush covers.
    const std::size_t until =
        std::max(passing.submitted_at, passing.event == kNever ? 0 : passing.event + 1);
    add_event(Event{});
    if (passing.request_.kind == IoKind::kSyncFolder) {
      folder_flushed(passing.request_.file->path(), until);
    } else {
      if (passing.event != kNever) events_[passing.event].done_at = passing.event;
      file_flushed(passing.inode, until);
    }
  }
  if (error != 0) failed_[passing.inode] = true;
  passing.done = true;
  const bool early = passing.has_effect && passing.effect == Fault::kPublishEarly;
  if (early && !passing.told) return;  // reap() tells
  const IoRequest request = passing.request_;
  std::erase_if(passing_, [&passing](const auto& one) { return one.get() == &passing; });
  if (early) return;
  --in_flight_;
  lock.unlock();
  request.handler->io_done(request.tag, error);
}

std::size_t FaultyDisk::reap() {
  std::size_t told = 0;
  std::deque<std::pair<Passing*, int>> early;
  early.swap(early_);
  for (const auto& [passing, error] : early) {
    if (passing->has_effect && passing->effect == Fault::kPublishEarly) {
      // Told now; what it promises happens later, if at all.
      passing->told = true;
      --in_flight_;
      const IoRequest request = passing->request_;
      if (passing->done) {
        std::erase_if(passing_, [p = passing](const auto& one) { return one.get() == p; });
      }
      request.handler->io_done(request.tag, 0);
    } else {
      complete(*passing, error);
    }
    ++told;
  }
  return told + inner_.reap();
}

// --- control operations

Result<void> FaultyDisk::control(const char* call, const std::string& path) const {
  if (control_error_ == 0) return {};
  return std::unexpected(broker::file_error(call, path, control_error_));
}

Result<void> FaultyDisk::folder_sync(const std::string& path) const {
  if (folder_error_ == 0) return {};
  return std::unexpected(broker::file_error("fsync", path, folder_error_));
}

std::size_t FaultyDisk::add_event(Event event) {
  events_.push_back(std::move(event));
  return events_.size() - 1;
}

int FaultyDisk::inode_of(const std::string& path) {
  const auto [it, is_new] = names_.try_emplace(path, next_inode_);
  if (is_new) ++next_inode_;
  return it->second;
}

void FaultyDisk::file_flushed(int inode, std::size_t submitted_at) {
  for (std::size_t i = 0; i < submitted_at && i < events_.size(); ++i) {
    Event& event = events_[i];
    const bool data = event.kind == Event::kWrite || event.kind == Event::kTruncate;
    if (data && event.inode == inode && event.done_at <= submitted_at && event.safe_at == kNever) {
      event.safe_at = events_.size();
    }
  }
}

void FaultyDisk::folder_flushed(const std::string& folder, std::size_t submitted_at) {
  // A journal commits names in order: everything before the last one of this folder goes with it.
  std::size_t last = 0;
  for (std::size_t i = 0; i < submitted_at && i < events_.size(); ++i) {
    const Event& event = events_[i];
    if (!event.path.empty() && (folder_of(event.path) == folder || folder_of(event.to) == folder)) {
      last = i + 1;
    }
  }
  for (std::size_t i = 0; i < last; ++i) {
    if (!events_[i].path.empty() && events_[i].safe_at == kNever) {
      events_[i].safe_at = events_.size();
    }
  }
}

Result<File> FaultyDisk::open(const std::string& path, broker::OpenMode mode) {
  const std::lock_guard lock(mutex_);
  if (mode == broker::OpenMode::kCreateWrite) MALLBOTS_TRY(control("open", path));
  auto file = inner_.open(path, mode);
  if (file && mode == broker::OpenMode::kCreateWrite) {
    names_.erase(path);
    Event event;
    event.kind = Event::kCreate;
    event.path = path;
    event.inode = inode_of(path);
    created_here_[event.inode] = true;
    add_event(std::move(event));
  }
  return file;
}

Result<void> FaultyDisk::make_folder(const std::string& path) { return inner_.make_folder(path); }

Result<void> FaultyDisk::sync_folder(const std::string& path) {
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(control("fsync", path));
  MALLBOTS_TRY(folder_sync(path));
  MALLBOTS_TRY(inner_.sync_folder(path));
  add_event(Event{});
  folder_flushed(path, events_.size());
  return {};
}

Result<void> FaultyDisk::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(control("rename", from));
  MALLBOTS_TRY(inner_.rename(from, to));
  Event event;
  event.kind = Event::kRename;
  event.path = from;
  event.to = to;
  event.inode = names_[to] = inode_of(from);
  names_.erase(from);
  add_event(std::move(event));
  return {};
}

Result<void> FaultyDisk::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(control("unlink", path));
  if (!inner_.exists(path)) return {};
  MALLBOTS_TRY(inner_.remove(path));
  Event event;
  event.kind = Event::kRemove;
  event.path = path;
  names_.erase(path);
  add_event(std::move(event));
  return {};
}

Result<void> FaultyDisk::remove_folder(const std::string& path) {
  return inner_.remove_folder(path);
}

Result<void> FaultyDisk::truncate(const File& file, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(control("ftruncate", file.path()));
  MALLBOTS_TRY(inner_.truncate(file, bytes));
  Event event;
  event.kind = Event::kTruncate;
  event.inode = inode_of(file.path());
  event.offset = bytes;
  event.done_at = events_.size();
  add_event(std::move(event));
  return {};
}

Result<void> FaultyDisk::flush_and_forget(const File& file) {
  return inner_.flush_and_forget(file);
}
Result<std::vector<std::string>> FaultyDisk::list(const std::string& folder) {
  return inner_.list(folder);
}
Result<std::uint64_t> FaultyDisk::size_of(const File& file) { return inner_.size_of(file); }
Result<std::size_t> FaultyDisk::read(const File& file, std::uint64_t offset,
                                     std::span<std::byte> into) {
  return inner_.read(file, offset, into);
}
Result<std::vector<std::byte>> FaultyDisk::read_file(const std::string& path, std::uint64_t limit) {
  return inner_.read_file(path, limit);
}
bool FaultyDisk::exists(const std::string& path) { return inner_.exists(path); }
Result<broker::SpaceInfo> FaultyDisk::space(const std::string& path) { return inner_.space(path); }

Result<void> FaultyDisk::replace_file(const std::string& path, std::span<const std::byte> content) {
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(control("replace", path));
  MALLBOTS_TRY(inner_.replace_file(path, content));
  const std::string temporary = path + ".tmp";
  names_.erase(temporary);
  const int inode = inode_of(temporary);
  const std::size_t at = events_.size();
  Event event;
  event.kind = Event::kCreate;
  event.inode = inode;
  event.path = temporary;
  add_event(event);
  event = Event{};
  event.kind = Event::kWrite;
  event.inode = inode;
  event.bytes.assign(content.begin(), content.end());
  event.done_at = at + 1;
  add_event(event);
  add_event(Event{});
  file_flushed(inode, at + 2);
  event = Event{};
  event.kind = Event::kRename;
  event.inode = names_[path] = inode;
  event.path = temporary;
  event.to = path;
  names_.erase(temporary);
  add_event(event);
  MALLBOTS_TRY(folder_sync(folder_of(path)));
  add_event(Event{});
  folder_flushed(folder_of(path), events_.size());
  return {};
}

// --- power cut

void FaultyDisk::record(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  root_ = folder;
  events_.clear();
  before_.clear();
  folders_.clear();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) folders_.push_back(entry.path());
    if (entry.is_regular_file()) before_[entry.path()] = contents(entry.path());
  }
}

void FaultyDisk::cut(std::size_t moment, std::mt19937_64& dice, const std::string& into) const {
  const std::lock_guard lock(mutex_);
  std::map<int, std::vector<std::byte>> files;
  std::map<std::string, int> names;
  int next_old = -1;
  std::map<std::string, int> old_inodes;
  for (const auto& [path, bytes] : before_) {
    files[next_old] = bytes;
    names[path] = next_old--;
  }
  // Names that no sync covers survive up to some point, in order.
  std::vector<std::size_t> loose;
  for (std::size_t i = 0; i < moment; ++i) {
    if (!events_[i].path.empty() && events_[i].safe_at > moment) loose.push_back(i);
  }
  const std::size_t kept = loose.empty() ? 0 : dice() % (loose.size() + 1);
  for (std::size_t i = 0; i < moment; ++i) {
    const Event& event = events_[i];
    const bool safe = event.safe_at <= moment;
    if (!event.path.empty() && !safe && (kept == 0 || i > loose[kept - 1])) continue;
    switch (event.kind) {
      case Event::kCreate:
        names[event.path] = event.inode;
        break;
      case Event::kRename:
        names[event.to] = names.contains(event.path) ? names[event.path] : event.inode;
        names.erase(event.path);
        break;
      case Event::kRemove:
        names.erase(event.path);
        break;
      case Event::kTruncate:
        if (safe || dice() % 2 == 0) files[event.inode].resize(event.offset);
        break;
      case Event::kWrite: {
        if (safe) {
          lay(files[event.inode], event.offset, event.bytes);
          break;
        }
        const auto chance = dice() % 4;  // all, none, or any sector
        for (std::size_t at = 0; at < event.bytes.size(); at += kSector) {
          const std::size_t n = std::min(kSector, event.bytes.size() - at);
          const bool stays = chance == 0 || (chance >= 2 && dice() % 2 == 0);
          if (stays)
            lay(files[event.inode], event.offset + at, std::span(event.bytes).subspan(at, n));
        }
        break;
      }
      case Event::kMark:
        break;
    }
  }
  const auto moved = [this, &into](const std::string& path) {
    return into + path.substr(root_.size());
  };
  for (const std::string& folder : folders_) std::filesystem::create_directories(moved(folder));
  for (const auto& [path, inode] : names) {
    if (!path.starts_with(root_)) continue;
    std::filesystem::create_directories(folder_of(moved(path)));
    std::ofstream out(moved(path), std::ios::binary);
    const auto& bytes = files[inode];
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }
}

}  // namespace mallbots::test
