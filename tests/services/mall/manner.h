// Manner: how a running mall is spread over processes. Tests of a running mall run both ways.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace mallbots::test {

enum class Manner : bool { kTogether, kSeparate };

[[nodiscard]] inline std::string shown(const testing::TestParamInfo<Manner>& of) {
  return of.param == Manner::kTogether ? "Together" : "Separate";
}

}  // namespace mallbots::test

#define MALLBOTS_BOTH_WAYS(Suite)            \
  INSTANTIATE_TEST_SUITE_P(Processes, Suite, \
                           testing::Values(Manner::kTogether, Manner::kSeparate), shown)
