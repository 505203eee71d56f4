#include "shm/base/check.h"

#include <gtest/gtest.h>

namespace mallbots {
namespace {

TEST(Check, PassesInSilenceAndEvaluatesOnce) {
  int evaluated = 0;
  CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, StopsAndNamesPlaceAndExpression) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "check_test.cpp:[0-9]+: CHECK\\(1 \\+ 1 == 3\\) failed");
}

TEST(Check, DebugCheckIsNotEvaluatedInARelease) {
  int evaluated = 0;
  DCHECK(++evaluated >= 0);
#ifdef NDEBUG
  EXPECT_EQ(evaluated, 0);
#else
  EXPECT_EQ(evaluated, 1);
#endif
}

}  // namespace
}  // namespace mallbots
