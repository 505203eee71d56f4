// The control half of Disk in plain system calls: what both engines share. Any thread; every call
// blocks. Promises and errors: disk.h.
#pragma once

#include <string>
#include <vector>

#include "broker/io/disk.h"
#include "broker/io/flush_probe.h"

namespace mallbots::broker {

class PosixDisk : public Disk {
 public:
  explicit PosixDisk(bool direct) : direct_(direct) {}

  Result<File> open(const std::string& path, OpenMode mode) override;
  Result<void> make_folder(const std::string& path) override;
  Result<void> sync_folder(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_folder(const std::string& path) override;
  Result<void> truncate(const File& file, std::uint64_t bytes) override;
  Result<void> flush_and_forget(const File& file) override;
  Result<std::vector<std::string>> list(const std::string& folder) override;
  Result<std::uint64_t> size_of(const File& file) override;
  Result<std::size_t> read(const File& file, std::uint64_t offset,
                           std::span<std::byte> into) override;
  Result<std::vector<std::byte>> read_file(const std::string& path, std::uint64_t limit) override;
  Result<void> replace_file(const std::string& path, std::span<const std::byte> content) override;
  bool exists(const std::string& path) override;
  Result<SpaceInfo> space(const std::string& path) override;

 private:
  bool direct_;
};

/// An empty file of the folder's file system, opened as segments are, without a name.
[[nodiscard]] Result<File> make_probe_file(const std::string& folder);

}  // namespace mallbots::broker
