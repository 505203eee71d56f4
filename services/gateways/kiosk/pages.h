// What the kiosk gives without asking anybody: health, version, its OpenAPI document, its page.
//
// Who calls: service.cpp, before the server starts.
#pragma once

#include "services/gateways/http/router.h"

namespace mallbots::kiosk {

void add_pages(gateways::Router& router);

}  // namespace mallbots::kiosk
