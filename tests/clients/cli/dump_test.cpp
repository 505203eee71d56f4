#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/clients/cli/segment_maker.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

/// Ten records of 80 bytes, the fourth with a flipped bit in its payload.
std::string damaged_segment(const TempDir& dir) {
  SegmentMaker maker;
  for (int i = 0; i < 10; ++i) maker.add("k", "value");
  std::vector<std::byte> bytes = maker.closed();
  bytes[4096 + 3 * 80 + 69] ^= std::byte{4};
  const std::string path = dir / "0000000001.seg";
  write_file(path, bytes);
  return path;
}

TEST(Dump, ShowsEveryRecordAndEndsWithSixOnDamage) {
  const TempDir dir;
  const auto text = run({binary("mallbots"), "dump", damaged_segment(dir)});
  EXPECT_EQ(text.ended.exit_code, 6);
  EXPECT_NE(text.output.find("9 records, next offset 10, 1 damaged"), std::string::npos)
      << text.output;
}

TEST(Dump, JsonHoldsHeaderFooterAndRecords) {
  const TempDir dir;
  const auto json = run({binary("mallbots"), "dump", "--format", "json", damaged_segment(dir)});
  const auto parsed = nlohmann::json::parse(json.output);
  EXPECT_EQ(parsed["records"].size(), 10u);
  EXPECT_EQ(parsed["records"][9]["offset"], 9);
  EXPECT_EQ(parsed["header"]["segment"], 1);
  EXPECT_EQ(parsed["footer"]["records"], 10);
}

TEST(Dump, AFileThatIsNotThereIsNamed) {
  const auto finished = run({binary("mallbots"), "dump", "none/0000000099.seg"});
  EXPECT_EQ(finished.ended.exit_code, 1);
  EXPECT_NE(finished.errors.find("none/0000000099.seg"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::test
