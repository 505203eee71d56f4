// The staff sees the outbox of every service, whichever process it is in, and is told when what it
// sees is old.
#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/services/mall/mall_fixture.h"
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

/// {service: does it answer}
std::map<std::string, bool> outboxes_in(Scene& scene) {
  std::map<std::string, bool> seen;
  const Told told = scene.staff("GET", "operations/outboxes");
  const auto body = nlohmann::json::parse(told.body, nullptr, false);
  if (told.status != 200 || !body.is_object()) return seen;
  for (const auto& row : body.value("outboxes", nlohmann::json::array()))
    seen[row.value("service", "")] = row.value("is_current", false);
  return seen;
}

STORY(Outboxes, OfAllServicesAreSeenAndOnesThatDoNotAnswerAreKnownAsOld) {
  const std::map<std::string, bool> all = {
      {"customers", true}, {"depot", true},    {"kiosk", true},  {"notifications", true},
      {"orders", true},    {"payments", true}, {"search", true}, {"stores", true}};
  ASSERT_TRUE(eventually([&] { return outboxes_in(*this) == all; }, 20))
      << staff("GET", "operations/outboxes").body;
  if (GetParam() == Manner::kTogether) return;
  ASSERT_TRUE(mall().signal("depot", SIGSTOP));
  std::map<std::string, bool> without = all;
  without["depot"] = false;
  EXPECT_TRUE(eventually([&] { return outboxes_in(*this) == without; }, 20));
  ASSERT_TRUE(mall().signal("depot", SIGCONT));
  EXPECT_TRUE(eventually([&] { return outboxes_in(*this) == all; }, 20));
}

}  // namespace
}  // namespace mallbots::test
