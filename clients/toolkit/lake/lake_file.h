// LakeFileWriter and LakeFileReader: one file of the lake, an Avro object container file
// (avro.apache.org/docs/1.11.1/spec.html) with snappy blocks. README.md has the record's fields.
//
// Who calls: one thread per object. libavro keeps one error text per process: failures of two
// threads at the same moment may mix their words.
//
// Promise of finish(): the file survives a power cut, once its folder does. Errors: Io (folder,
// disk full); Corrupt (what is read is no such file, or was damaged); TooLarge (append of a record
// that takes() refuses).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "clients/message.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

class LakeFileWriter {
 public:
  /// A new file; its blocks have the usual size, or that of `first` if it is larger.
  [[nodiscard]] static Result<std::unique_ptr<LakeFileWriter>> create(const std::string& path,
                                                                      const client::Message& first);
  LakeFileWriter(const LakeFileWriter&) = delete;
  LakeFileWriter& operator=(const LakeFileWriter&) = delete;
  ~LakeFileWriter();

  /// False: larger than this file's blocks; another file takes it.
  [[nodiscard]] bool takes(const client::Message& message) const noexcept;
  [[nodiscard]] Result<void> append(const client::Message& message);
  /// Nothing may be appended after it.
  [[nodiscard]] Result<void> finish();

  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
  /// Of the records, before they were compressed.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  struct Avro;
  LakeFileWriter(std::string path, std::size_t block_bytes);
  [[nodiscard]] Result<void> open();

  std::string path_;
  std::size_t block_bytes_;
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::unique_ptr<Avro> avro_;
};

class LakeFileReader {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LakeFileReader>> open(const std::string& path);
  LakeFileReader(const LakeFileReader&) = delete;
  LakeFileReader& operator=(const LakeFileReader&) = delete;
  ~LakeFileReader();

  /// The next record, valid until the next call; null at the end.
  [[nodiscard]] Result<const client::Message*> next();
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }

 private:
  struct Avro;
  explicit LakeFileReader(std::string path);

  std::string path_;
  std::uint64_t records_ = 0;
  client::Message message_;
  std::unique_ptr<Avro> avro_;
};

}  // namespace mallbots::toolkit
