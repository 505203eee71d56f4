// Metrics of handlers in a registry of prometheus-cpp, in a library of its own (toolkit_metrics):
// the toolkit does not need it. Labels of all: topic, handler. Names follow
// prometheus.io/docs/practices/naming.
//
//   messages_processed_total               every try, whatever came of it
//   messages_processing_failed_total       tries that failed, exceptions included; label type
//   messages_processing_duration_seconds   quantiles 0.5, 0.9, 0.99 of a try
//   messages_publish_to_consume_seconds    from the log's stamp to the first try, a histogram
//   messages_retried_total                 tries after the first
//   messages_dead_lettered_total           messages that were given up
//   messages_in_flight                     tries that go on now
//
// Who calls: any thread. No errors of its own.
#pragma once

#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

[[nodiscard]] Middleware metrics(std::shared_ptr<prometheus::Registry> registry);

/// All of the registry in the text format, for whoever serves /metrics.
[[nodiscard]] std::string metrics_text(const prometheus::Registry& registry);

}  // namespace mallbots::toolkit
