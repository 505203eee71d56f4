#include "shm/base/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "shm/base/result.h"

namespace mallbots {
namespace {

TEST(Error, EveryRowSaysWhatHappenedAndWhatToDo) {
  std::set<std::string_view> names;
  std::uint16_t code = 0;
  for (const ErrorEntry& entry : error_catalogue()) {
    EXPECT_EQ(static_cast<std::uint16_t>(entry.code), ++code);
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_FALSE(entry.what.empty());
    EXPECT_FALSE(entry.remedy.empty());
    EXPECT_NE(entry.exit_code, ExitCode::kDone);
    EXPECT_EQ(&error_entry(entry.code), &entry);
  }
}

TEST(Error, CodeFromOutsideTheCatalogueIsABadMessage) {
  EXPECT_EQ(error_entry(ErrorCode::kNone).name, "BadMessage");
  EXPECT_EQ(error_entry(static_cast<ErrorCode>(9'999)).name, "BadMessage");
}

TEST(Error, SentenceNamesInputReasonAndRemedy) {
  const Error error{ErrorCode::kUnknownTopic, "`retail`"};
  EXPECT_TRUE(error.sentence().starts_with("there is no topic of that name: `retail`; "));
  EXPECT_TRUE((Error{ErrorCode::kTopicGone, {}}).sentence().find(":") == std::string::npos);
}

Result<int> half(int number) {
  if (number % 2 != 0) return fail(ErrorCode::kBadArgument, "odd");
  return number / 2;
}
Result<int> quarter(int number) {
  MALLBOTS_TRY(half(number));
  return half(number / 2);
}

TEST(Result, TryHandsTheFirstErrorOn) {
  EXPECT_EQ(quarter(8), 2);
  EXPECT_EQ(quarter(3).error().detail, "odd");
  EXPECT_EQ(quarter(6).error().code, ErrorCode::kBadArgument);
}

}  // namespace
}  // namespace mallbots
