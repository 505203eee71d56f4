// What the broker counts for Prometheus, gathered when somebody asks. Control thread.
#pragma once

#include "broker/control/control_plane.h"
#include "broker/control/group_driver.h"
#include "broker/control/queue_driver.h"
#include "broker/control/rings.h"
#include "broker/control/sessions.h"
#include "broker/log/topics.h"
#include "broker/metrics_http/snapshot.h"
#include "broker/schedule/schedule.h"
#include "broker/streams/event_streams.h"

namespace mallbots::broker {

struct MetricsSources {
  Topics& topics;
  GroupDriver& groups;
  const Schedule& schedule;
  QueueDriver& queues;
  const Sessions& sessions;
  const Rings& rings;
  const EventStreams& streams;
  const ControlPlane& control;
  std::uint32_t incarnation = 0;
  BootNanos uptime_ns = 0;
  std::uint64_t loop_turns = 0;
};

[[nodiscard]] MetricsSnapshot collect_metrics(const MetricsSources& sources);

}  // namespace mallbots::broker
