#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <system_error>

#include "shm/base/check.h"

namespace mallbots::test {
namespace fs = std::filesystem;

TempDir::TempDir() : TempDir(fs::temp_directory_path()) {}

TempDir::TempDir(const fs::path& parent) {
  std::string pattern = parent / "mbXXXXXX";  // mkdtemp(3) fills it in and makes the mode 0700
  CHECK(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempDir::~TempDir() {
  if (is_kept_) return;
  std::error_code ignored;  // a test that took its own rights away has failed already
  fs::remove_all(path_, ignored);
}

}  // namespace mallbots::test
