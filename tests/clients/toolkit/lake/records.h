// Records for lakes: made by hand, or as a broker gives them; and what a lake holds as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/producer.h"
#include "clients/toolkit/lake/lake_file.h"
#include "clients/toolkit/lake/lake_query.h"

namespace mallbots::test {

struct Logged {
  std::string topic = "events.orders";
  PartitionIndex partition = 0;
  Offset offset = 0;
  UnixMillis time_ms = 0;
  std::string key{};
  std::string name{};
  std::string payload{};
};

inline client::OwnedMessage logged(const Logged& what) {
  const std::string id = "m" + std::to_string(what.offset);
  const std::vector<client::Header> all{
      {"msg.id", id}, {"msg.name", what.name}, {"msg.version", "3"}};
  client::Message where;
  where.topic = what.topic;
  where.partition = what.partition;
  where.offset = what.offset;
  where.timestamp_ms = what.time_ms;
  return client::as_message(
             {.payload = client::as_bytes(what.payload),
              .key = client::as_bytes(what.key),
              .headers = all,
              .trace_context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
             where)
      .value();
}

/// Files them as one file of their partition and day, as an archiver would.
inline Result<void> file_away(const std::string& folder, std::uint64_t log, Offset next,
                              const std::vector<Logged>& records) {
  const toolkit::LakeFolder lake{folder};
  MALLBOTS_TRY(lake.lock());
  const std::string path = lake.writing_path(0);
  auto file = toolkit::LakeFileWriter::create(path, logged(records.front()).view());
  if (!file) return std::unexpected(std::move(file).error());
  for (const Logged& record : records) MALLBOTS_TRY((*file)->append(logged(record).view()));
  MALLBOTS_TRY((*file)->finish());
  return lake.publish(path, {.topic = records.front().topic,
                             .log = log,
                             .partition = records.front().partition,
                             .day = toolkit::day_of(records.front().time_ms),
                             .first = records.front().offset,
                             .next = next,
                             .records = records.size()});
}

/// TOPIC/PARTITION/OFFSET=PAYLOAD of everything that fits, or what went wrong.
inline std::vector<std::string> lake_texts(const std::string& folder,
                                           const toolkit::LakeFilter& filter = {}) {
  std::vector<std::string> texts;
  auto cursor = toolkit::LakeCursor::open(folder, filter);
  if (!cursor) return {cursor.error().sentence()};
  for (;;) {
    const auto message = cursor->next();
    if (!message) texts.push_back(message.error().sentence());
    if (!message || *message == nullptr) return texts;
    texts.push_back(std::string{(*message)->topic} + "/" + std::to_string((*message)->partition) +
                    "/" + std::to_string((*message)->offset) + "=" +
                    std::string{(*message)->text()});
  }
}

}  // namespace mallbots::test
