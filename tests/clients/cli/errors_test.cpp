#include "clients/cli/errors.h"

#include <gtest/gtest.h>

#include "shm/base/error.h"
#include "tests/support/text_file.h"

namespace mallbots::client::cli {
namespace {

TEST(ErrorsPage, DocsErrorsIsWhatTheCommandPrints) {
  EXPECT_EQ(test::text_of("docs/ERRORS.md"), errors_markdown())
      << "write it anew: mallbots errors --markdown > docs/ERRORS.md";
}

TEST(ErrorsPage, HasARowForEveryErrorWithReasonAndRemedy) {
  const std::string page = errors_markdown();
  for (const ErrorEntry& entry : error_catalogue()) {
    EXPECT_NE(page.find("| " + std::string{entry.name} + " | "), std::string::npos) << entry.name;
    EXPECT_FALSE(entry.what.empty()) << entry.name;
    EXPECT_FALSE(entry.remedy.empty()) << entry.name;
  }
}

}  // namespace
}  // namespace mallbots::client::cli
