// The rows of the budget table: the product's work over the real daemon and client library, beside
// what the machine can do (bench/limits). Each row says who runs where and what persists.
//
//   rtt.*          closed loop round trips through two topics, pinned, spinning or sleeping
//   end_to_end.*   1,000 records a second into a sleeping reader, from the intended time on
//   throughput.*   one producer and one consumer; several producers; straight to disk
//   sequenced.*    handed in to the broker, one at a time; end_to_end.sequenced_sleeping
//   durable.*      appends with acks=durable: one at a time, 64 processes, 64 in flight
//   groups.*       consuming with commits
//   events.*       appends to streams with an expected version, and reads of a stream
//   queue.*        messages of a queue, acknowledged one by one
//   toolkit.*      a router's handler, an outbox's relay and a view beside the bare client
//   failover.*     kill -9 of a group's member
//   restart.*      kill -9 of the broker
//   kiosk.*        orders through the whole mall, from the kiosk's submit to approved
//   cold_start.*   a daemon that finds 10 GiB on the disk and nothing in memory
//   robots.*       a thousand simulated robots connected to a running mall
//   viewers.*      a hundred pages at the admin gateway's socket, one of them stuck
//
// Add the limits first (bench/limits/limits.h): the rows name them.
#pragma once

#include "bench/harness/row.h"

namespace mallbots::bench {

void add_round_trip_rows(Registry& registry);
void add_end_to_end_rows(Registry& registry);
void add_throughput_rows(Registry& registry);
void add_shared_partition_rows(Registry& registry);
void add_disk_throughput_rows(Registry& registry);
void add_sequenced_rows(Registry& registry);
void add_durable_rows(Registry& registry);
void add_group_rows(Registry& registry);
void add_toolkit_rows(Registry& registry);
void add_toolkit_service_rows(Registry& registry);
void add_event_rows(Registry& registry);
void add_queue_rows(Registry& registry);
void add_failover_rows(Registry& registry);
void add_restart_rows(Registry& registry);
void add_cold_start_rows(Registry& registry);
void add_robot_rows(Registry& registry);
void add_viewer_rows(Registry& registry);
void add_kiosk_rows(Registry& registry);

inline void add_scenarios(Registry& registry) {
  add_round_trip_rows(registry);
  add_end_to_end_rows(registry);
  add_throughput_rows(registry);
  add_shared_partition_rows(registry);
  add_disk_throughput_rows(registry);
  add_sequenced_rows(registry);
  add_durable_rows(registry);
  add_group_rows(registry);
  add_toolkit_rows(registry);
  add_toolkit_service_rows(registry);
  add_event_rows(registry);
  add_queue_rows(registry);
  add_failover_rows(registry);
  add_restart_rows(registry);
  add_cold_start_rows(registry);
  add_robot_rows(registry);
  add_viewer_rows(registry);
  add_kiosk_rows(registry);
}

}  // namespace mallbots::bench
