#include "services/gateways/kiosk/pages.h"

#include <fmt/format.h>

#include <span>

#include "shm/base/check.h"

namespace mallbots::gateways {

// cmake/MallbotsEmbed.cmake
std::span<const Asset> kiosk_documents();
std::span<const Asset> kiosk_page();

}  // namespace mallbots::gateways

namespace mallbots::kiosk {

using gateways::Asset;
using gateways::json_response;
using gateways::Request;

void add_pages(gateways::Router& router) {
  router.get("/kiosk/v1/health",
             [](const Request&) { return json_response(200, R"({"status":"serving"})"); });
  router.get("/kiosk/v1/version", [](const Request&) {
    return json_response(200,
                         fmt::format(R"({{"name":"kiosk","version":"{}"}})", MALLBOTS_VERSION));
  });
  const auto documents = gateways::kiosk_documents();
  CHECK(documents.size() == 1);
  router.get("/kiosk/v1/openapi.json", [document = documents.front()](const Request& request) {
    return asset_response(request, document);
  });
  router.assets("/", gateways::kiosk_page());
  router.assets("/page/", gateways::shared_page());
}

}  // namespace mallbots::kiosk
