// LakeFolder: the names in a lake, and how a file comes into it.
//
//   DIR/topic=NAME/log=ID/date=YYYY-MM-DD/PARTITION-FIRST-NEXT-RECORDS.avro
//   DIR/.writing/...   files that are being written, by the one archiver that holds DIR/.lock
//
// ID is the topic's id in 16 hexadecimal digits: a topic that was made anew has another one, and
// its offsets begin again. A file holds the records of [FIRST, NEXT) of one UTC day; offsets that
// are missing in it are of events that are not public, or were lost before they were archived.
//
// Who calls: any thread; readers take no lock and see whole files only. Errors: Io; Busy (lock:
// another archiver has it).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/consumer.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

inline constexpr std::int64_t kDayMs = 86'400'000;

/// Days since 1970-01-01, UTC.
[[nodiscard]] std::int64_t day_of(UnixMillis time_ms) noexcept;

struct LakeFile {
  std::string topic;
  std::uint64_t log = 0;  ///< id of the topic
  PartitionIndex partition = 0;
  std::int64_t day = 0;
  Offset first = 0;
  Offset next = 0;
  std::uint64_t records = 0;
  std::string path{};  ///< where it is
};

/// The only archiver of a lake, until it is destroyed or its process ends.
class LakeLock {
 public:
  explicit LakeLock(int fd) noexcept : fd_(fd) {}
  LakeLock(LakeLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  LakeLock& operator=(LakeLock&&) = delete;
  ~LakeLock();

 private:
  int fd_;
};

class LakeFolder {
 public:
  explicit LakeFolder(std::string folder) : folder_(std::move(folder)) {}

  /// Makes the folder if it is not there, and throws away what was being written.
  [[nodiscard]] Result<LakeLock> lock() const;
  /// All closed files, by topic, log, partition and offset. Names that are none are passed over.
  [[nodiscard]] Result<std::vector<LakeFile>> files() const;
  /// Where an archiver writes before publish().
  [[nodiscard]] std::string writing_path(std::uint64_t number) const;
  /// The finished file at `from` becomes `file`, whole or not at all; returned without error, it
  /// survives a power cut.
  [[nodiscard]] Result<void> publish(const std::string& from, const LakeFile& file) const;

 private:
  std::string folder_;
};

/// True if a pattern, in which `*` stands for any text, fits.
[[nodiscard]] bool fits_pattern(std::string_view pattern, std::string_view name) noexcept;

class LakeFileReader;

/// The records of one partition of one log, in order; files are opened one at a time.
class LakeStream {
 public:
  /// Files of one partition, in order.
  explicit LakeStream(std::vector<LakeFile> files);
  LakeStream(LakeStream&&) noexcept;
  LakeStream& operator=(LakeStream&&) noexcept;
  ~LakeStream();

  /// Goes on at this offset, or the next one that is there.
  void seek(Offset next);
  /// The next record, valid until the next call; null at the end. Corrupt: that file; it is asked
  /// again at the next call.
  [[nodiscard]] Result<const client::Message*> next();
  /// Where the last file ends.
  [[nodiscard]] Offset end() const noexcept { return files_.empty() ? 0 : files_.back().next; }

 private:
  std::vector<LakeFile> files_;
  std::size_t at_ = 0;
  Offset next_ = 0;
  std::unique_ptr<LakeFileReader> reader_;
};

}  // namespace mallbots::toolkit
