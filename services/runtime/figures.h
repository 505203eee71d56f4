// Figures: sagas and views among the metrics of a process (service_metrics.h), read every 2 s if
// somebody is served with them (setting metrics.port).
//
// Who calls: services, before Host::start(). What is watched lives until the host has stopped.
#pragma once

#include <string>

#include "clients/toolkit/saga/saga_runner.h"
#include "clients/toolkit/views/view_runner.h"
#include "services/runtime/host.h"

namespace mallbots {

void add_figures(Host& host, toolkit::SagaRunner& runner);
void add_figures(Host& host, const std::string& view, toolkit::ViewRunner& runner);

}  // namespace mallbots
