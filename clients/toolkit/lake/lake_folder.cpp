#include "clients/toolkit/lake/lake_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "clients/toolkit/lake/lake_file.h"
#include "shm/base/crash_point.h"

namespace mallbots::toolkit {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTopic = "topic=";
constexpr std::string_view kLog = "log=";
constexpr std::string_view kDate = "date=";
constexpr std::string_view kEnding = ".avro";

std::unexpected<Error> io_error(const std::string& path, const std::string& reason) {
  return fail(ErrorCode::kIo, "lake " + path + ": " + reason);
}

template <class Number>
std::optional<Number> number_of(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string padded(std::uint64_t number, std::size_t width, int base) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  std::string text{digits.data(), end};
  return std::string(width > text.size() ? width - text.size() : 0, '0') + text;
}

std::string date_text(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return padded(static_cast<std::uint64_t>(static_cast<int>(date.year())), 4, 10) + "-" +
         padded(static_cast<unsigned>(date.month()), 2, 10) + "-" +
         padded(static_cast<unsigned>(date.day()), 2, 10);
}

std::optional<std::int64_t> day_of_text(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = number_of<int>(text.substr(0, 4));
  const auto month = number_of<unsigned>(text.substr(5, 2));
  const auto day = number_of<unsigned>(text.substr(8, 2));
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{*month},
                                         std::chrono::day{*day}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count();
}

/// PARTITION-FIRST-NEXT-RECORDS.avro
bool read_name(std::string_view name, LakeFile& file) {
  if (!name.ends_with(kEnding)) return false;
  name.remove_suffix(kEnding.size());
  std::array<std::uint64_t, 4> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto dash = name.find('-');
    if ((dash == std::string_view::npos) != (i + 1 == numbers.size())) return false;
    const auto number = number_of<std::uint64_t>(name.substr(0, dash));
    if (!number) return false;
    numbers[i] = *number;
    name = dash == std::string_view::npos ? std::string_view{} : name.substr(dash + 1);
  }
  file.partition = static_cast<PartitionIndex>(numbers[0]);
  file.first = numbers[1];
  file.next = numbers[2];
  file.records = numbers[3];
  return numbers[0] <= UINT32_MAX && file.first < file.next;
}

/// `visit` gets the rest of the names in `folder` that begin so. A folder that is not there, or
/// goes away meanwhile, is empty.
template <class Visit>
Result<void> each_name(const fs::path& folder, std::string_view beginning, const Visit& visit) {
  std::error_code error;
  for (fs::directory_iterator at{folder, error}, end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(beginning)) visit(name.substr(beginning.size()), at->path());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return io_error(folder.string(), error.message());
  return {};
}

Result<void> flush_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error(folder.string(), std::strerror(errno));
  const int flushed = ::fsync(fd);
  const int reason = errno;
  ::close(fd);
  if (flushed != 0) return io_error(folder.string(), std::strerror(reason));
  return {};
}

}  // namespace

std::int64_t day_of(UnixMillis time_ms) noexcept {
  return time_ms / kDayMs - (time_ms % kDayMs < 0 ? 1 : 0);
}

LakeLock::~LakeLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<LakeLock> LakeFolder::lock() const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return io_error(folder_, error.message());
  const std::string path = folder_ + "/.lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return io_error(path, std::strerror(errno));
  LakeLock lock{fd};
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::kBusy, "lake " + folder_ + ": another archiver writes into it");
  fs::remove_all(folder_ + "/.writing", error);
  if (!error) fs::create_directory(folder_ + "/.writing", error);
  if (error) return io_error(folder_ + "/.writing", error.message());
  return lock;
}

Result<std::vector<LakeFile>> LakeFolder::files() const {
  std::error_code error;
  if (!fs::is_directory(folder_, error)) return io_error(folder_, "there is no such folder");
  std::vector<LakeFile> found;
  std::optional<Error> failed;
  const auto keep = [&](Result<void> done) {
    if (!done && !failed) failed = std::move(done).error();
  };
  LakeFile file;
  const auto add = [&](std::string_view name, const fs::path& path) {
    if (!read_name(name, file)) return;
    file.path = path.string();
    found.push_back(file);
  };
  const auto in_date = [&](std::string_view name, const fs::path& path) {
    const auto day = day_of_text(name);
    if (!day) return;
    file.day = *day;
    keep(each_name(path, "", add));
  };
  const auto in_log = [&](std::string_view name, const fs::path& path) {
    const auto log = number_of<std::uint64_t>(name, 16);
    if (!log) return;
    file.log = *log;
    keep(each_name(path, kDate, in_date));
  };
  keep(each_name(folder_, kTopic, [&](std::string_view name, const fs::path& path) {
    file.topic = name;
    keep(each_name(path, kLog, in_log));
  }));
  if (failed) return std::unexpected(*failed);
  std::ranges::sort(found, {}, [](const LakeFile& one) {
    return std::tie(one.topic, one.log, one.partition, one.first);
  });
  return found;
}

std::string LakeFolder::writing_path(std::uint64_t number) const {
  return folder_ + "/.writing/" + std::to_string(number) + std::string{kEnding};
}

Result<void> LakeFolder::publish(const std::string& from, const LakeFile& file) const {
  const fs::path topic = fs::path{folder_} / (std::string{kTopic} + file.topic);
  const fs::path log = topic / (std::string{kLog} + padded(file.log, 16, 16));
  const fs::path date = log / (std::string{kDate} + date_text(file.day));
  std::error_code error;
  fs::create_directories(date, error);
  if (error) return io_error(date.string(), error.message());
  // Also of folders that are there: who made them may have died, or failed, before this.
  for (const fs::path& parent : {log, topic, fs::path{folder_}}) MALLBOTS_TRY(flush_folder(parent));
  const fs::path to = date / (std::to_string(file.partition) + "-" + std::to_string(file.first) +
                              "-" + std::to_string(file.next) + "-" + std::to_string(file.records) +
                              std::string{kEnding});
  CRASH_POINT("lake.rename");
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error(to.string(), std::strerror(errno));
  CRASH_POINT("lake.renamed");
  return flush_folder(date);
}

bool fits_pattern(std::string_view pattern, std::string_view name) noexcept {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  pattern.remove_prefix(star + 1);
  for (name.remove_prefix(star);; name.remove_prefix(1)) {
    if (fits_pattern(pattern, name)) return true;
    if (name.empty()) return false;
  }
}

// --- Reading a partition

LakeStream::LakeStream(std::vector<LakeFile> files) : files_(std::move(files)) {}
LakeStream::LakeStream(LakeStream&&) noexcept = default;
LakeStream& LakeStream::operator=(LakeStream&&) noexcept = default;
LakeStream::~LakeStream() = default;

void LakeStream::seek(Offset next) {
  if (next == next_) return;
  next_ = next;
  reader_.reset();
  const auto file = std::ranges::upper_bound(files_, next, {}, &LakeFile::next);
  at_ = static_cast<std::size_t>(file - files_.begin());
}

Result<const client::Message*> LakeStream::next() {
  while (at_ < files_.size()) {
    const LakeFile& file = files_[at_];
    if (reader_ == nullptr) {
      auto opened = LakeFileReader::open(file.path);
      if (!opened) return std::unexpected(std::move(opened).error());
      reader_ = std::move(*opened);
    }
    const auto message = reader_->next();
    if (!message) {
      reader_.reset();  // what was given is behind next_ and not given again
      return message;
    }
    if (*message != nullptr && reader_->records() <= file.records) {
      if ((*message)->offset < next_) continue;
      next_ = (*message)->offset + 1;
      return message;
    }
    const std::uint64_t records = reader_->records();
    reader_.reset();
    if (records != file.records)
      return fail(ErrorCode::kCorrupt, "lake file " + file.path + ": it holds " +
                                           std::to_string(records) + " records, not what it says");
    next_ = std::max(next_, file.next);
    ++at_;
  }
  return nullptr;
}

}  // namespace mallbots::toolkit
