#include "services/runtime/service_log.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots {
namespace {

TEST(ServiceLog, MasksTokensAndNumbersWhereverTheyStand) {
  EXPECT_EQ(redacted("card tok_abc-12 of +442079460000, please"),
            "card tok_*** of +44********00, please");
  EXPECT_EQ(redacted("tok_"), "tok_***");
}

TEST(ServiceLog, LeavesEverythingElseAlone) {
  for (const char* text : {"", "+", "o1+12", "019a5c1f-7abc-7def-8123-456789012345", "1699+34 x=5"})
    EXPECT_EQ(redacted(text), text);
}

TEST(ServiceLog, WritesLinesWithTimeProcessAndValues) {
  const test::TempDir folder;
  const std::string path = folder / "depot.log";
  const auto log = service_log("depot", path);
  ASSERT_TRUE(log);
  (*log)({toolkit::Severity::kWarning, "call failed", {{"number", "+442079460000"}}});
  const std::string text = test::text_of(path);
  EXPECT_NE(text.find("Z depot "), std::string::npos) << text;
  EXPECT_NE(text.find("number=+44********00"), std::string::npos) << text;
}

TEST(ServiceLog, AFileThatCannotBeWrittenIsAnError) {
  const auto refused = service_log("depot", "/proc/none/depot.log");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace mallbots
