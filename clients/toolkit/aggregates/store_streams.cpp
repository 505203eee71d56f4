#include "clients/toolkit/aggregates/store_streams.h"

namespace mallbots::toolkit {

Result<std::unique_ptr<StoreStreams>> StoreStreams::open(client::Connection& connection,
                                                         const std::string& topic) {
  auto store = client::EventStore::open(connection, topic);
  if (!store) return std::unexpected(std::move(store).error());
  return std::unique_ptr<StoreStreams>{new StoreStreams{std::move(*store)}};
}

Result<std::vector<StoredEvent>> StoreStreams::read(const std::string& stream,
                                                    std::uint64_t after) {
  const std::scoped_lock lock{mutex_};
  auto events = store_->read(stream, {.from = after + 1});
  if (!events && events.error().code == ErrorCode::kUnknownStream)
    return std::vector<StoredEvent>{};  // nothing has happened yet
  if (!events) return std::unexpected(std::move(events).error());
  std::vector<StoredEvent> all;
  for (client::StreamEvent& event : *events)
    all.push_back({event.version, std::move(event.message)});
  return all;
}

Result<std::uint64_t> StoreStreams::append(const std::string& stream, std::uint64_t seen,
                                           std::span<const NewEvent> events) {
  std::vector<std::unique_ptr<DraftRecord>> records;
  std::vector<client::Event> own;
  for (const NewEvent& event : events) {
    const client::Record& record =
        records.emplace_back(std::make_unique<DraftRecord>(event.draft))->record();
    own.push_back({.payload = record.payload,
                   .headers = record.headers,
                   .trace_context = record.trace_context,
                   .is_internal = event.is_internal});
  }
  const std::scoped_lock lock{mutex_};
  const auto receipt = store_->append(stream, client::Expected::at(seen), own);
  if (!receipt) return std::unexpected(receipt.error());
  return receipt->version;
}

Result<std::optional<StoredSnapshot>> StoreStreams::snapshot(const std::string& stream) {
  const std::scoped_lock lock{mutex_};
  const auto saved = store_->load_snapshot(stream);
  if (!saved) return std::unexpected(saved.error());
  if (!*saved) return std::nullopt;
  return StoredSnapshot{(*saved)->version, std::string{(*saved)->message->text()}};
}

Result<void> StoreStreams::save_snapshot(const std::string& stream,
                                         const StoredSnapshot& snapshot) {
  const std::scoped_lock lock{mutex_};
  const auto saved =
      store_->save_snapshot(stream, snapshot.version, client::as_bytes(snapshot.payload));
  if (!saved) return std::unexpected(saved.error());
  return {};
}

}  // namespace mallbots::toolkit
