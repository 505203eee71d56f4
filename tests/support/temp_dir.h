// TempDir: a folder of one test, mode 0700, removed with all it holds when the test ends (also when
// it fails). Any thread. Aborts the test program if the folder cannot be made.
#pragma once

#include <filesystem>
#include <string>

namespace mallbots::test {

class TempDir {
 public:
  /// Made in $TMPDIR or /tmp; short, since socket paths end at 107 bytes.
  TempDir();
  /// Made in `parent`: a test that needs a certain file system.
  explicit TempDir(const std::filesystem::path& parent);
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  /// Somebody wants to look at it: it stays.
  void keep() noexcept { is_kept_ = true; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
  bool is_kept_ = false;
};

}  // namespace mallbots::test
