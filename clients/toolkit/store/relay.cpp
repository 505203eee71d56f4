#include "clients/toolkit/store/relay.h"

#include <algorithm>

#include "clients/toolkit/message.h"
#include "clients/toolkit/store/internal/header_block.h"
#include "shm/base/clock.h"
#include "shm/base/crash_point.h"

namespace mallbots::toolkit {
namespace {

constexpr std::int64_t kStoreRetryMs = 500;

/// What cannot become possible by waiting.
bool is_final(ErrorCode code) {
  return code == ErrorCode::kTooLarge || code == ErrorCode::kBadTopicName ||
         code == ErrorCode::kCorrupt;
}

enum Column : std::size_t { kId, kKey, kPayload, kHeaders, kTrace, kTombstone, kPublishAt, kAdded };

std::string message_id(const Row& row) {
  const auto headers = unpack_headers(row.text(kHeaders));
  if (headers)
    for (const client::Header& header : *headers)
      if (header.name == kMessageId) return std::string{header.value};
  return {};
}

/// One try of one message; nothing if it belongs to no trace.
std::optional<Span> span_of(const std::string& topic, const Row& row) {
  const auto parent = TraceContext::parse(row.text(kTrace));
  if (!parent) return std::nullopt;
  const UnixMillis now = wall_now_ms();
  return Span{.context = parent->child(),
              .parent_id = parent->span_id,
              .name = topic + " relay",
              .kind = SpanKind::kProducer,
              .start_ns = wall_now_ns(),
              .attributes = {{"topic", topic},
                             {"handler", "relay"},
                             {"message.id", message_id(row)},
                             {"outbox.waited_ms", std::to_string(now - row.integer(kAdded))}}};
}

}  // namespace

/// Rows of one topic and one moment, in the order of commits.
struct Relay::Batch {
  std::string topic;
  Rows rows;
  std::optional<UnixMillis> publish_at;

  [[nodiscard]] std::int64_t first() const { return rows.front().integer(kId); }
  [[nodiscard]] std::int64_t last() const { return rows.back().integer(kId); }
};

void Relay::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::uint64_t seen = 0;
    {
      const std::scoped_lock lock{outbox_->mutex_};
      seen = outbox_->rings_;  // before the look, so that no commit falls between
    }
    const auto passed = run_once();
    if (!passed) note(passed.error());
    if (passed && *passed > 0) continue;
    auto patience = patience_ms();
    if (!passed) patience = std::min(patience.value_or(kStoreRetryMs), kStoreRetryMs);
    if (!outbox_->wait(seen, stop, patience)) return;
  }
}

Result<std::size_t> Relay::run_once() {
  const auto topics = waiting_topics();
  if (!topics) return std::unexpected(topics.error());
  // What waited was set aside, or taken out by hand: nobody waits for its time to come.
  std::erase_if(put_off_, [&](const auto& one) {
    return std::ranges::find(*topics, one.first) == topics->end();
  });
  std::size_t done = 0;
  for (const std::string& topic : *topics) {
    const auto found = put_off_.find(topic);
    if (found != put_off_.end() && found->second.until_ns > boot_now_ns()) continue;
    const auto relayed = relay_topic(topic);
    if (!relayed) return std::unexpected(relayed.error());
    done += *relayed;
  }
  return done;
}

/// One look at the index per topic, however many messages wait. A row without a topic is a row,
/// too: the bus says what is wrong with it, and it is set aside.
Result<std::vector<std::string>> Relay::waiting_topics() const {
  std::vector<std::string> topics;
  std::string last;
  for (std::string beyond = ">= ?";; beyond = "> ?") {
    const auto next = database_->read(
        "select topic from outbox where published_ms is null and refused is null and topic " +
            beyond + " order by topic limit 1",
        {last});
    if (!next) return std::unexpected(next.error());
    if (next->empty()) return topics;
    last = topics.emplace_back(next->front().text(0));
  }
}

Result<Relay::Batch> Relay::next_batch(const std::string& topic) const {
  auto rows = database_->read(
      "select id, key, payload, headers, trace, tombstone, publish_at_ms, added_ms from outbox"
      " where published_ms is null and refused is null and topic = ? order by id limit ?",
      {topic, options_.batch});
  if (!rows) return std::unexpected(std::move(rows).error());
  Batch batch{.topic = topic, .rows = std::move(*rows)};
  if (batch.rows.empty()) return batch;
  const auto moment = [](const Row& row) -> std::optional<UnixMillis> {
    if (row.is_null(kPublishAt)) return std::nullopt;
    return row.integer(kPublishAt);
  };
  batch.publish_at = moment(batch.rows.front());
  std::size_t bytes = 0;
  const auto end = std::ranges::find_if(batch.rows, [&](const Row& row) {
    bytes += row.text(kPayload).size() + row.text(kKey).size() + row.text(kHeaders).size();
    const bool is_first = &row == &batch.rows.front();
    return moment(row) != batch.publish_at || (bytes > options_.batch_bytes && !is_first);
  });
  batch.rows.erase(end, batch.rows.end());
  return batch;
}

Result<std::size_t> Relay::relay_topic(const std::string& topic) {
  auto batch = next_batch(topic);
  if (!batch) return std::unexpected(std::move(batch).error());
  if (batch->rows.empty()) return std::size_t{0};
  CRASH_POINT("relay.publish");
  auto sent = publish(*batch);
  // Together they may be more than the bus takes at once: alone, each shows what it is.
  if (!sent && is_final(sent.error().code) && batch->rows.size() > 1) {
    batch->rows.erase(batch->rows.begin() + 1, batch->rows.end());
    sent = publish(*batch);
  }
  CRASH_POINT("relay.mark");
  if (!sent && is_final(sent.error().code)) {
    MALLBOTS_TRY(set_aside(*batch, sent.error()));
    return batch->rows.size();
  }
  if (!sent) {
    put_off(topic, sent.error());
    return std::size_t{0};
  }
  put_off_.erase(topic);
  MALLBOTS_TRY(mark(*batch));
  const std::scoped_lock lock{mutex_};
  published_ += batch->rows.size();
  return batch->rows.size();
}

Result<void> Relay::publish(const Batch& batch) {
  if (options_.spans == nullptr) return publish_records(batch);
  std::vector<Span> spans;
  for (const Row& row : batch.rows)
    if (auto span = span_of(batch.topic, row)) spans.push_back(std::move(*span));
  const BootNanos begun = boot_now_ns();
  auto published = publish_records(batch);
  for (Span& span : spans) {
    span.duration_ns = boot_now_ns() - begun;
    span.failed = !published;
    if (!published) span.problem = published.error().sentence();
    options_.spans->record(std::move(span));
  }
  return published;
}

Result<void> Relay::publish_records(const Batch& batch) {
  std::vector<std::vector<client::Header>> headers;
  for (const Row& row : batch.rows) {
    auto unpacked = unpack_headers(row.text(kHeaders));
    if (!unpacked) return std::unexpected(std::move(unpacked).error());
    headers.push_back(std::move(*unpacked));
  }
  std::vector<client::Record> records;
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const Row& row = batch.rows[i];
    records.push_back({.payload = row.bytes(kPayload),
                       .key = row.bytes(kKey),
                       .headers = headers[i],
                       .trace_context = row.text(kTrace),
                       .is_tombstone = row.integer(kTombstone) != 0});
  }
  return bus_->publish(batch.topic, records,
                       {.acks = client::Acks::kDurable, .publish_at = batch.publish_at});
}

/// The rows between are all of the batch: whoever commits later has higher ids.
Result<void> Relay::mark(const Batch& batch) {
  return database_->transact(
      [&](Transaction& transaction) -> Result<void> {
        const UnixMillis now = wall_now_ms();
        const auto marked =
            options_.keep_published_ms == 0
                ? transaction.run(
                      "delete from outbox where published_ms is null and refused is null"
                      " and topic = ? and id between ? and ?",
                      {batch.topic, batch.first(), batch.last()})
                : transaction.run(
                      "update outbox set published_ms = ? where published_ms is null and"
                      " refused is null and topic = ? and id between ? and ?",
                      {now, batch.topic, batch.first(), batch.last()});
        if (!marked) return std::unexpected(marked.error());
        const auto forgotten = transaction.run("delete from outbox where published_ms < ?",
                                               {now - options_.keep_published_ms});
        if (!forgotten) return std::unexpected(forgotten.error());
        return {};
      },
      Durability::kProcess);
}

Result<void> Relay::set_aside(const Batch& batch, const Error& reason) {
  note(reason);
  return database_->transact([&](Transaction& transaction) -> Result<void> {
    const auto set = transaction.run("update outbox set refused = ? where id = ?",
                                     {reason.sentence(), batch.first()});
    if (!set) return std::unexpected(set.error());
    return {};
  });
}

void Relay::put_off(const std::string& topic, const Error& error) {
  note(error);
  PutOff& entry = put_off_[topic];
  ++entry.failures;
  entry.until_ns = boot_now_ns() + options_.retry.delay_ms(entry.failures) * kMillisecond;
}

std::optional<std::int64_t> Relay::patience_ms() const {
  std::optional<std::int64_t> first;
  for (const auto& [topic, entry] : put_off_) {
    const std::int64_t left = (entry.until_ns - boot_now_ns()) / kMillisecond + 1;
    first = std::min(first.value_or(left), std::max<std::int64_t>(left, 1));
  }
  return first;
}

void Relay::note(const Error& error) {
  const std::scoped_lock lock{mutex_};
  ++failures_;
  last_error_ = error.sentence();
}

std::uint64_t Relay::published() const {
  const std::scoped_lock lock{mutex_};
  return published_;
}
std::uint64_t Relay::failures() const {
  const std::scoped_lock lock{mutex_};
  return failures_;
}
std::string Relay::last_error() const {
  const std::scoped_lock lock{mutex_};
  return last_error_;
}

}  // namespace mallbots::toolkit
