#include "broker/storage/catalogue.h"

#include <algorithm>
#include <set>

#include "broker/storage/codec.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

constexpr std::uint64_t kCatalogueMagic = 0x3130'5441'434D'4D05;  // "\5MMCAT01"
constexpr std::uint32_t kCatalogueVersion = 1;
constexpr std::uint64_t kMaxCatalogueBytes = 64ULL << 20;

TopicEntry read_topic(ByteReader& in) {
  TopicEntry topic;
  topic.id = TopicId{in.get<std::uint64_t>()};
  topic.name = in.get_text();
  topic.state = TopicState{in.get<std::uint8_t>()};
  topic.created_ms = in.get<UnixMillis>();
  const auto partitions = in.get_count(sizeof(std::uint64_t));
  for (std::uint32_t i = 0; i < partitions && in.ok(); ++i) {
    topic.partitions.push_back(PartitionId{in.get<std::uint64_t>()});
  }
  const auto settings = in.get_count(2 * sizeof(std::uint32_t));
  for (std::uint32_t i = 0; i < settings && in.ok(); ++i) {
    std::string name = in.get_text();
    topic.settings.emplace_back(std::move(name), in.get_text());
  }
  return topic;
}

}  // namespace

std::vector<std::byte> encode_catalogue(const Catalogue& catalogue) {
  ByteWriter out;
  out.put(static_cast<std::uint32_t>(catalogue.topics.size()));
  for (const TopicEntry& topic : catalogue.topics) {
    out.put(topic.id);
    out.put_text(topic.name);
    out.put(topic.state);
    out.put(topic.created_ms);
    out.put(static_cast<std::uint32_t>(topic.partitions.size()));
    for (const PartitionId partition : topic.partitions) out.put(partition);
    out.put(static_cast<std::uint32_t>(topic.settings.size()));
    for (const auto& [name, value] : topic.settings) {
      out.put_text(name);
      out.put_text(value);
    }
  }
  return seal(kCatalogueMagic, kCatalogueVersion, out.bytes());
}

Result<Catalogue> decode_catalogue(std::span<const std::byte> bytes) {
  auto payload = unseal(kCatalogueMagic, kCatalogueVersion, bytes);
  if (!payload) return std::unexpected(std::move(payload).error());
  ByteReader in(*payload);
  Catalogue catalogue;
  const auto topics = in.get_count(1);
  for (std::uint32_t i = 0; i < topics && in.ok(); ++i) catalogue.topics.push_back(read_topic(in));
  if (!in.ok() || !in.at_end()) {
    return fail(ErrorCode::kCorrupt, "its lengths contradict each other");
  }
  return catalogue;
}

Result<Catalogue> load_catalogue(Disk& disk, const DataDirectory& data) {
  const std::string path = data.catalogue_path();
  if (!disk.exists(path)) {
    return fail(ErrorCode::kCorrupt, path + " is missing; a broker writes it before anything else");
  }
  auto bytes = disk.read_file(path, kMaxCatalogueBytes);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  auto catalogue = decode_catalogue(*bytes);
  if (!catalogue) {
    return fail(catalogue.error().code, path + ": " + catalogue.error().detail);
  }
  return catalogue;
}

Result<void> save_catalogue(Disk& disk, const DataDirectory& data, const Catalogue& catalogue) {
  CRASH_POINT("storage.catalogue.save");
  return disk.replace_file(data.catalogue_path(), encode_catalogue(catalogue));
}

Result<std::vector<std::string>> unknown_topic_folders(Disk& disk, const DataDirectory& data,
                                                       const Catalogue& catalogue) {
  std::set<std::string> known;
  for (const TopicEntry& topic : catalogue.topics) known.insert(data.topic_folder(topic.id));
  auto names = disk.list(data.path + "/topics");
  if (!names) return std::unexpected(std::move(names).error());
  std::vector<std::string> unknown;
  for (const std::string& name : *names) {
    const std::string folder = data.path + "/topics/" + name;
    if (!known.contains(folder)) unknown.push_back(folder);
  }
  return unknown;
}

}  // namespace mallbots::broker
