#include "clients/toolkit/testkit/chaos_switch.h"

#include <algorithm>
#include <cstdlib>

#include "clients/toolkit/middleware/chaos.h"
#include "shm/base/check.h"

namespace mallbots::toolkit {

std::vector<Middleware> with_chaos_switch(std::vector<Middleware> middlewares) {
  const char* const text = std::getenv("MALLBOTS_CHAOS");
  if (text == nullptr) return middlewares;
  const auto chosen = chaos_from(text);
  CHECK(chosen.has_value());
  middlewares.push_back(chaos(*chosen));
  std::ranges::stable_sort(middlewares, {}, &Middleware::layer);
  return middlewares;
}

}  // namespace mallbots::toolkit
