// openapi.json against the code: each route is in it, and each of its calls is a route.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "services/gateways/kiosk/kiosk.h"
#include "services/gateways/kiosk/pages.h"
#include "services/runtime/text.h"

namespace mallbots::kiosk {
namespace {

using nlohmann::json;

json document() {
  std::ifstream file("services/gateways/kiosk/openapi.json");
  return json::parse(file);
}

/// "get /kiosk/v1/stores" of everything that is no page.
std::set<std::string> routes() {
  Kiosk kiosk{KioskParts{}};  // nobody is asked here
  gateways::Router router = kiosk.routes();
  add_pages(router);
  std::set<std::string> found;
  for (const gateways::Route& route : router.routes()) {
    if (!route.pattern.starts_with("/kiosk/")) continue;
    std::string method(gateways::name_of(route.method));
    for (char& letter : method) letter = static_cast<char>(std::tolower(letter));
    found.insert(method + " " + route.pattern);
  }
  return found;
}

TEST(OpenApi, HasEveryRouteAndNoOther) {
  std::set<std::string> documented;
  const json paths = document()["paths"];
  for (const auto& [path, methods] : paths.items()) {
    for (const auto& [method, call] : methods.items()) documented.insert(method + " " + path);
  }
  EXPECT_EQ(documented, routes());
}

TEST(OpenApi, ReasonIsAsLongAsTheRulesAllow) {
  const json reason = document()["components"]["schemas"]["Cancel"]["properties"]["reason"];
  EXPECT_EQ(reason["maxLength"], kMaxReasonBytes);
}

}  // namespace
}  // namespace mallbots::kiosk
