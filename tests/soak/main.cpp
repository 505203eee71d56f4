// soak: SOAK_SECONDS (600) of it with SEED (the time, if not given), and SABOTAGE=drop|double|swap
// to see it fail. Exit code: 0 nothing found, 1 something.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/soak/soak.h"

int main(int count, char** words) {
  using namespace mallbots;
  if (count > 1) {
    std::puts(
        "usage: soak   (no arguments; SOAK_SECONDS=600, SEED=number, SABOTAGE=drop|double|swap)");
    return std::string_view{words[1]} == "--help" ? 0 : 2;
  }
  const auto given = [](const char* name) -> std::string {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  test::SoakOptions options;
  if (!given("SOAK_SECONDS").empty()) options.seconds = std::stod(given("SOAK_SECONDS"));
  options.seed = given("SEED").empty() ? static_cast<unsigned>(wall_now_ms())
                                       : static_cast<unsigned>(std::stoul(given("SEED")));
  options.sabotage = given("SABOTAGE");
  std::printf("soak: %.0f s, SEED=%u\n", options.seconds, options.seed);
  std::fflush(stdout);
  const test::SoakOutcome outcome = test::run_soak(options);
  std::fputs(outcome.report().c_str(), stdout);
  std::printf("soak: %s, SEED=%u\n", outcome.good() ? "no finding" : "FAILED", options.seed);
  return outcome.good() ? 0 : 1;
}
