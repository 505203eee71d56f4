// A folder to recover a partition in, and its files as bytes.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "broker/storage/recovery.h"
#include "tests/broker/storage/store_fixture.h"

namespace mallbots::test {

inline std::vector<char> load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void save(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class Recovery : public testing::Test {
 protected:
  TempDir dir{memory_folder()};
  std::unique_ptr<broker::Disk> disk = plain_disk(broker::EngineChoice::kThread);

  broker::RecoveredPartition recover(const std::string& folder, bool clean = false) {
    auto recovered =
        broker::recover_partition(*disk, {.folder = folder, .identity = kIdentity, .clean = clean});
    EXPECT_TRUE(recovered) << recovered.error().sentence();
    return recovered ? *recovered : broker::RecoveredPartition{};
  }
};

}  // namespace mallbots::test
