#include "broker/metrics.h"

#include "broker/version.h"

namespace mallbots::broker {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

Metric single(std::string name, std::string help, MetricKind kind, double value) {
  return {std::move(name), std::move(help), kind, {{{}, value}}};
}

Metric family(std::string name, std::string help, MetricKind kind) {
  return {std::move(name), std::move(help), kind, {}};
}

template <class Number>
double number(Number value) {
  return static_cast<double>(value);
}

void add_instance(MetricsSnapshot& all, const MetricsSources& from) {
  all.push_back({"mallbots_build_info",
                 "Version of the broker",
                 MetricKind::kGauge,
                 {{{{"version", kVersion}}, 1}}});
  all.push_back(single("mallbots_broker_incarnation", "Brokers of this instance since its memory",
                       MetricKind::kCounter, from.incarnation));
  all.push_back(single("mallbots_broker_uptime_seconds", "Time since this broker started",
                       MetricKind::kGauge, number(from.uptime_ns) / kSecond));
  all.push_back(single("mallbots_broker_loop_turns_total", "Turns of the broker's loop",
                       MetricKind::kCounter, number(from.loop_turns)));
  all.push_back(single("mallbots_sessions", "Sessions of clients", MetricKind::kGauge,
                       number(from.sessions.count())));
  all.push_back(single("mallbots_control_messages_total", "Control messages received",
                       MetricKind::kCounter, number(from.control.messages())));
  all.push_back(single("mallbots_control_refused_total", "Connections closed for what they sent",
                       MetricKind::kCounter, number(from.control.refused_connections())));
  all.push_back(single("mallbots_memory_bytes", "Shared memory in use", MetricKind::kGauge,
                       number(from.topics.memory_bytes())));
  all.push_back(single("mallbots_streams", "Event streams known", MetricKind::kGauge,
                       number(from.streams.streams())));
  all.push_back(single("mallbots_stream_index_bytes", "Memory of the index of streams",
                       MetricKind::kGauge, number(from.streams.memory_bytes())));
  all.push_back(single("mallbots_orphan_memory_bytes", "Memory kept only for stopped clients",
                       MetricKind::kGauge, number(from.topics.orphan_bytes())));
  all.push_back(single("mallbots_disk_bytes", "Segment files", MetricKind::kGauge,
                       number(from.topics.disk_bytes())));
  all.push_back(single("mallbots_damaged_ranges", "Ranges of offsets known to be damaged",
                       MetricKind::kGauge, number(from.topics.damaged_ranges())));
  all.push_back(single("mallbots_readonly_partitions", "Partitions that refuse appends",
                       MetricKind::kGauge, number(from.topics.readonly_partitions())));
  all.push_back(single("mallbots_quarantined_partitions",
                       "Partitions not served, as their memory contradicts itself",
                       MetricKind::kGauge, number(from.topics.quarantined_partitions())));
}

void add_schedule(MetricsSnapshot& all, const Schedule& from) {
  all.push_back(single("mallbots_delayed_pending", "Delayed records not yet delivered",
                       MetricKind::kGauge, number(from.pending())));
  all.push_back(single("mallbots_delayed_overdue_seconds",
                       "How long ago the oldest delayed record not yet delivered was due",
                       MetricKind::kGauge, number(from.overdue_ms(wall_now_ms())) / 1000));
  const ScheduleCounters& counters = from.counters();
  all.push_back(single("mallbots_delayed_delivered_total", "Delayed records delivered",
                       MetricKind::kCounter, number(counters.delivered)));
  all.push_back(single("mallbots_delayed_cancelled_total", "Delayed records cancelled",
                       MetricKind::kCounter, number(counters.cancelled)));
  all.push_back(single("mallbots_delayed_undeliverable_total",
                       "Delayed records that could not be delivered; the log says why",
                       MetricKind::kCounter, number(counters.undeliverable)));
}

void add_partitions(MetricsSnapshot& all, const MetricsSources& from) {
  Metric end =
      family("mallbots_partition_end_offset", "Offset of the next record", MetricKind::kCounter);
  Metric durable = family("mallbots_partition_durable_offset",
                          "First offset that a power cut could take back", MetricKind::kCounter);
  Metric start =
      family("mallbots_partition_start_offset", "First offset kept", MetricKind::kCounter);
  Metric written = family("mallbots_partition_written_bytes_total", "Bytes written to segments",
                          MetricKind::kCounter);
  Metric rounds =
      family("mallbots_partition_flushes_total", "Writes with their flush", MetricKind::kCounter);
  Metric failures = family("mallbots_partition_write_failures_total", "Writes or flushes refused",
                           MetricKind::kCounter);
  for (const Topic* topic : from.topics.all()) {
    for (PartitionIndex i = 0; i < topic->partitions(); ++i) {
      const Partition& partition = topic->partition(i);
      const Labels labels{{"topic", topic->name()}, {"partition", std::to_string(i)}};
      end.samples.push_back({labels, number(partition.end_offset())});
      durable.samples.push_back({labels, number(partition.durable_offset())});
      start.samples.push_back({labels, number(partition.start_offset())});
      if (const PartitionStore* store = partition.store()) {
        written.samples.push_back({labels, number(store->counters().written_bytes)});
        rounds.samples.push_back({labels, number(store->counters().rounds)});
        failures.samples.push_back({labels, number(store->counters().failures)});
      }
    }
  }
  for (Metric* metric : {&end, &durable, &start, &written, &rounds, &failures})
    if (!metric->samples.empty()) all.push_back(std::move(*metric));
}

void add_groups(MetricsSnapshot& all, const MetricsSources& from) {
  Metric members = family("mallbots_group_members", "Living members", MetricKind::kGauge);
  Metric lag = family("mallbots_group_lag_records", "Records not yet read", MetricKind::kGauge);
  Metric age = family("mallbots_group_lag_seconds", "Age of the oldest record not yet read",
                      MetricKind::kGauge);
  for (const std::string& name : from.groups.names()) {
    const auto view = from.groups.describe(name);
    if (!view) continue;
    members.samples.push_back({{{"group", name}}, number(view->members)});
    for (const GroupPartitionView& row : view->partitions) {
      const Labels labels{
          {"group", name}, {"topic", row.topic_name}, {"partition", std::to_string(row.partition)}};
      const Lag behind = from.groups.behind(row).lag;
      lag.samples.push_back({labels, number(behind.records)});
      age.samples.push_back({labels, number(behind.time_ms) / 1000});
    }
  }
  for (Metric* metric : {&members, &lag, &age})
    if (!metric->samples.empty()) all.push_back(std::move(*metric));
}

void add_ingest(MetricsSnapshot& all, const MetricsSources& from) {
  const SequencerCounters& counters = from.rings.counters();
  all.push_back(single("mallbots_ingest_rings", "Ingest rings of producers", MetricKind::kGauge,
                       number(from.rings.count())));
  all.push_back(single("mallbots_ingest_depth", "Entries handed in and not yet answered",
                       MetricKind::kGauge, number(from.rings.depth())));
  all.push_back(single("mallbots_ingest_entries_total", "Entries handed in and answered",
                       MetricKind::kCounter, number(counters.entries.load())));
  all.push_back(single("mallbots_ingest_records_total", "Records appended by the sequencer",
                       MetricKind::kCounter, number(counters.records.load())));
  all.push_back(single("mallbots_ingest_parks_total", "How often the sequencer went to sleep",
                       MetricKind::kCounter, number(counters.parks.load())));
  Metric refused = family("mallbots_ingest_refused_total", "Entries refused, by their error",
                          MetricKind::kCounter);
  for (std::size_t code = 1; code < counters.refused.size(); ++code) {
    const std::uint64_t count = counters.refused[code].load();
    if (count == 0) continue;
    const ErrorEntry& entry = error_entry(static_cast<ErrorCode>(code));
    refused.samples.push_back({{{"reason", std::string{entry.name}}}, number(count)});
  }
  if (!refused.samples.empty()) all.push_back(std::move(refused));
}

void add_queues(MetricsSnapshot& all, const MetricsSources& from) {
  Metric left = family("mallbots_queue_left_records", "Messages not done", MetricKind::kGauge);
  Metric held = family("mallbots_queue_in_flight", "Messages held by members", MetricKind::kGauge);
  Metric waiting =
      family("mallbots_queue_waiting", "Messages that wait for their time", MetricKind::kGauge);
  Metric age = family("mallbots_queue_oldest_seconds", "Age of the oldest message not done",
                      MetricKind::kGauge);
  Metric granted = family("mallbots_queue_granted_total", "Grants", MetricKind::kCounter);
  Metric again = family("mallbots_queue_redelivered_total", "Grants of an attempt behind the first",
                        MetricKind::kCounter);
  Metric expired =
      family("mallbots_queue_expired_total", "Locks that ended with time", MetricKind::kCounter);
  Metric dead =
      family("mallbots_queue_dead_letters_total", "Messages given up on", MetricKind::kCounter);
  for (const std::string& name : from.queues.names()) {
    const auto view = from.queues.describe(name);
    if (!view) continue;
    for (const QueueView& row : view->queues) {
      const Labels labels{{"group", name},
                          {"topic", row.topic_name},
                          {"partition", std::to_string(row.identity.partition)}};
      left.samples.push_back({labels, number(row.left)});
      held.samples.push_back({labels, number(row.in_flight)});
      waiting.samples.push_back({labels, number(row.waiting)});
      age.samples.push_back({labels, number(from.queues.age_ms(row)) / 1000});
      granted.samples.push_back({labels, number(row.counts.granted)});
      again.samples.push_back({labels, number(row.counts.redelivered)});
      expired.samples.push_back({labels, number(row.counts.expired)});
      dead.samples.push_back({labels, number(row.counts.dead_letters)});
    }
  }
  for (Metric* metric : {&left, &held, &waiting, &age, &granted, &again, &expired, &dead})
    if (!metric->samples.empty()) all.push_back(std::move(*metric));
}

}  // namespace

MetricsSnapshot collect_metrics(const MetricsSources& sources) {
  MetricsSnapshot all;
  add_instance(all, sources);
  add_schedule(all, sources.schedule);
  add_partitions(all, sources);
  add_groups(all, sources);
  add_ingest(all, sources);
  add_queues(all, sources);
  return all;
}

}  // namespace mallbots::broker
