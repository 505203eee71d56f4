// PrivateFile: a small file that nobody but its user reads (accounts, credentials), replaced whole.
//
// Who calls: gateways and `mall`, any thread, any process; change() of several is done one after
// the other (flock on PATH.lock). A completed change survives a power cut; whoever dies during one
// leaves the old content or the new.
//
// Errors: WrongOwner (it is another user's or open to others), TooLarge (kMaxBytes), Io.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "shm/base/result.h"

namespace mallbots {

class PrivateFile {
 public:
  static constexpr std::size_t kMaxBytes = 16 * 1024 * 1024;

  explicit PrivateFile(std::string path) : path_(std::move(path)) {}

  /// Empty if there is no such file.
  [[nodiscard]] Result<std::string> read() const;
  /// What `next` makes of the content, or nothing if that is an error.
  [[nodiscard]] Result<void> change(
      const std::function<Result<std::string>(const std::string& content)>& next) const;
  /// Another one after each change; 0: there is no file.
  [[nodiscard]] std::uint64_t version() const noexcept;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  [[nodiscard]] Result<void> replace(const std::string& content) const;
  [[nodiscard]] Result<void> make_later(int fd) const;
  std::string path_;
};

}  // namespace mallbots
