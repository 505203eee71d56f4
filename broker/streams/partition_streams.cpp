#include "broker/streams/partition_streams.h"

#include <algorithm>

#include "broker/log/log_reader.h"

namespace mallbots::broker {
namespace {

constexpr BootNanos kRetry = 10 * kSecond;
/// At a clean stop fewer records are not worth a file.
constexpr std::uint64_t kWorthALastOne = 1024;

}  // namespace

PartitionStreams::PartitionStreams(const Parts& parts)
    : parts_(parts),
      table_(std::make_shared<StreamTable>()),
      admission_(std::make_shared<StreamAdmission>(table_)),
      writer_(parts.disk, *table_, parts.folder + "/streams", parts.partition.id()) {}

Result<std::unique_ptr<PartitionStreams>> PartitionStreams::start(const Parts& parts) {
  std::unique_ptr<PartitionStreams> streams{new PartitionStreams{parts}};
  Offset from = 0;
  auto index = streams->load(from);
  StreamsStart& how = streams->how_started_;
  how.from_checkpoint = index != nullptr;
  if (!index) index = std::make_unique<StreamIndex>();
  how.from = std::max(from, parts.partition.start_offset());
  MALLBOTS_TRY(streams->read_log(*index, how.from));
  streams->table_->begin(std::move(index), parts.partition.end_offset());
  if (how.from_checkpoint) streams->writer_.note_loaded(from);
  streams->bound_retention();
  return streams;
}

/// The checkpoint's index, and from where on the log is to be read; null: from the beginning.
std::unique_ptr<StreamIndex> PartitionStreams::load(Offset& from) {
  auto loaded = load_checkpoint(parts_.disk, parts_.folder + "/streams", parts_.partition.id());
  if (!loaded) {
    how_started_.finding = loaded.error().sentence();
    return nullptr;
  }
  if (!*loaded) return nullptr;
  LoadedCheckpoint& checkpoint = **loaded;
  const bool is_void =
      parts_.epochs.truncated_to(parts_.partition.id(), {checkpoint.log_epoch, checkpoint.end})
          .has_value();
  if (is_void || checkpoint.end > parts_.partition.end_offset()) {
    how_started_.finding = parts_.folder + "/streams: it knows records up to offset " +
                           std::to_string(checkpoint.end) + " of epoch " +
                           std::to_string(checkpoint.log_epoch) + ", the log has them not";
    return nullptr;
  }
  from = checkpoint.from;
  return std::move(checkpoint.index);
}

Result<void> PartitionStreams::read_log(StreamIndex& index, Offset from) {
  LogReader reader{parts_.disk, parts_.partition, ReadUpTo::kCommitted};
  reader.seek(from);
  std::uint64_t lost = 0;
  for (;;) {
    const auto batch = reader.read();
    if (!batch) return std::unexpected(batch.error());
    for (const LostRange& range : (*batch)->lost) lost += range.end - range.first;
    for (const shm::RecordView& view : (*batch)->records) {
      const StreamRecord record = stream_record(*view.header, view.attributes);
      if (record.kind == StreamRecord::kNothing) continue;
      const StreamKey key =
          stream_key({reinterpret_cast<const char*>(view.key.data()), view.key.size()});
      StreamState state = index.state_of(key);
      if (apply(state, record)) index.put(key, state);
      ++how_started_.records;
    }
    if ((*batch)->at_end) break;
  }
  if (lost != 0)
    how_started_.finding += (how_started_.finding.empty() ? "" : "; ") + std::to_string(lost) +
                            " offsets of the log are lost: their events are missing in streams";
  return {};
}

/// The version of a stream must be somewhere: in the log, or in a checkpoint.
void PartitionStreams::bound_retention() { parts_.partition.keep_from(writer_.done().value_or(0)); }

bool PartitionStreams::is_due(std::uint64_t records) const {
  return table_->end() - writer_.done().value_or(0) >= records;
}

std::optional<Error> PartitionStreams::duty(BootNanos now) {
  const bool retention_waits = parts_.partition.retention_due() > writer_.done().value_or(0);
  if (writer_.idle() && now >= not_before_ &&
      (retention_waits || is_due(std::max<std::uint64_t>(kCheckpointRecords, table_->streams())))) {
    if (auto begun = writer_.begin(parts_.partition.log_epoch()); !begun) {
      not_before_ = now + kRetry;
      return std::move(begun).error();
    }
  }
  writer_.duty(parts_.partition.durable_offset());
  bound_retention();
  auto failure = writer_.take_failure();
  if (failure) not_before_ = now + kRetry;
  return failure;
}

bool PartitionStreams::drain(BootNanos now) {
  if (writer_.idle() && !last_done_) {
    last_done_ = true;
    // What fails now costs the next start time, no more.
    if (is_due(kWorthALastOne)) static_cast<void>(writer_.begin(parts_.partition.log_epoch()));
  }
  static_cast<void>(duty(now));
  return writer_.idle();
}

}  // namespace mallbots::broker
