#include "broker/log/producer_names.h"

#include <algorithm>

#include "broker/log/random_id.h"
#include "broker/storage/codec.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

constexpr std::uint64_t kNamesMagic = 0x3130'4E52'504D'4D08;  // "\10MMPRN01"
constexpr std::uint32_t kNamesVersion = 1;
constexpr std::uint64_t kMaxFileBytes = 1ULL << 30;
constexpr std::size_t kMaxNameBytes = 200;
constexpr std::uint64_t kBytesPerTurn = 8ULL << 20;
constexpr BootNanos kPauseAfterFailure = kSecond;
constexpr BootNanos kSavePause = kSecond;

Result<void> check_name(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= kMaxNameBytes;
  const bool clean = std::ranges::none_of(name, [](char letter) {
    return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F;
  });
  if (fits && clean) return {};
  return fail(ErrorCode::kBadArgument,
              "a producer's name has 1 to 200 bytes and no control characters");
}

}  // namespace

ProducerNames::ProducerNames(Disk& disk, std::string path, BootNanos keep_ns)
    : disk_(disk), path_(std::move(path)), keep_ns_(keep_ns) {}

// --- The file

Result<void> ProducerNames::load() {
  if (!disk_.exists(path_)) return {};
  auto bytes = disk_.read_file(path_, kMaxFileBytes);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  const auto payload = unseal(kNamesMagic, kNamesVersion, *bytes);
  if (!payload) return fail(payload.error().code, path_ + ": " + payload.error().detail);
  const BootNanos now = boot_now_ns();
  ByteReader in(*payload);
  const auto topics = in.get_count(sizeof(std::uint64_t));
  for (std::uint32_t t = 0; t < topics && in.ok(); ++t) {
    TopicNames& topic = topics_[TopicId{in.get<std::uint64_t>()}];
    const auto names = in.get_count(sizeof(std::uint32_t));
    for (std::uint32_t i = 0; i < names && in.ok(); ++i) {
      const std::string name = in.get_text();
      const auto id = in.get<std::uint64_t>();
      topic.names[name] = {{id, in.get<std::uint32_t>()}, now};
      topic.by_id[id] = name;
    }
    const auto partitions = in.get_count(sizeof(Offset));
    for (std::uint32_t i = 0; i < partitions && in.ok(); ++i) {
      Checkpoint& saved = topic.saved.emplace_back();
      saved.offset = in.get<Offset>();
      const auto sequences = in.get_count(2 * sizeof(std::uint64_t));
      for (std::uint32_t k = 0; k < sequences && in.ok(); ++k) {
        const auto id = in.get<std::uint64_t>();
        saved.last[id] = in.get<std::uint64_t>();
      }
    }
  }
  if (in.ok() && in.at_end()) return {};
  return fail(ErrorCode::kCorrupt, path_ + ": its lengths contradict each other");
}

std::vector<std::byte> ProducerNames::encoded() const {
  ByteWriter out;
  out.put(static_cast<std::uint32_t>(topics_.size()));
  for (const auto& [id, topic] : topics_) {
    out.put(id);
    out.put(static_cast<std::uint32_t>(topic.names.size()));
    for (const auto& [name, entry] : topic.names) {
      out.put_text(name);
      out.put(entry.holder.producer_id);
      out.put(entry.holder.epoch);
    }
    out.put(static_cast<std::uint32_t>(topic.partitions.size()));
    for (const Follower& follower : topic.partitions) {
      out.put(follower.reader.next_offset());
      out.put(static_cast<std::uint32_t>(follower.last.size()));
      for (const auto& [producer, sequence] : follower.last) {
        out.put(producer);
        out.put(sequence);
      }
    }
  }
  return seal(kNamesMagic, kNamesVersion, out.bytes());
}

Result<void> ProducerNames::save() {
  CRASH_POINT("producer_names.save");
  MALLBOTS_TRY(disk_.replace_file(path_, encoded()));
  // A sequence must be somewhere: in the log, or in the file.
  for (const auto& [id, topic] : topics_)
    for (const Follower& follower : topic.partitions)
      follower.partition->keep_from(topic.names.empty() ? kNoOffset
                                                        : follower.reader.next_offset());
  unsaved_bytes_ = 0;
  unsaved_since_ = 0;
  return {};
}

// --- Sequences

/// True if there is nothing more for now; what was read before quarantine stands.
Result<bool> ProducerNames::read_on(TopicNames& topic, Follower& follower, std::uint64_t bytes) {
  if (follower.partition->quarantine()) return true;
  std::uint64_t seen = 0;
  std::uint64_t known = 0;  // the last id that was looked up, and is one
  while (seen < bytes) {
    const auto batch = follower.reader.read();
    if (!batch) return std::unexpected(batch.error());
    for (const LostRange& range : (*batch)->lost) follower.lost += range.end - range.first;
    for (const shm::RecordView& view : (*batch)->records) {
      const shm::RecordHeader& header = *view.header;
      seen += header.length;
      if (header.producer_id != known && !topic.by_id.contains(header.producer_id)) continue;
      known = header.producer_id;
      std::uint64_t& last = follower.last[known];
      last = std::max(last, header.sequence);
    }
    if ((*batch)->records.empty()) seen += 1;
    if ((*batch)->at_end) break;
  }
  unsaved_bytes_ += seen;
  if (seen > 0 && unsaved_since_ == 0) unsaved_since_ = boot_now_ns();
  return follower.reader.next_offset() >= follower.partition->durable_offset();
}

Result<void> ProducerNames::follow(TopicId id, const Partitions& partitions,
                                   const std::function<void(const std::string&)>& say) {
  const auto found = topics_.find(id);
  if (found == topics_.end()) return {};
  TopicNames& topic = found->second;
  topic.saved.resize(partitions.size());
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    Checkpoint& saved = topic.saved[i];
    Follower& follower = topic.partitions.emplace_back(disk_, *partitions[i]);
    if (saved.offset <= partitions[i]->durable_offset()) {
      follower.reader.seek(saved.offset);
      follower.last = std::move(saved.last);
    } else {
      say("partition " + std::to_string(i) + ": " + path_ +
          " has producers' sequences up to offset " + std::to_string(saved.offset) +
          ", which is not in the log; the whole partition is read");
    }
    partitions[i]->keep_from(follower.reader.next_offset());
    const auto read = read_on(topic, follower, ~std::uint64_t{0});
    if (!read) return std::unexpected(read.error());
    if (follower.lost != 0)
      say("partition " + std::to_string(i) + ": " + std::to_string(follower.lost) +
          " offsets of the log are lost: producers' sequences that only they had are forgotten");
  }
  topic.saved.clear();
  return {};
}

void ProducerNames::forget_unfollowed() {
  std::erase_if(topics_, [](const auto& one) { return one.second.partitions.empty(); });
}

Result<std::uint64_t> ProducerNames::last_sequence(TopicId id, PartitionIndex partition,
                                                   std::uint64_t producer_id) {
  TopicNames& topic = topics_.at(id);
  Follower& follower = topic.partitions.at(partition);
  const auto read = read_on(topic, follower, ~std::uint64_t{0});
  if (!read) return std::unexpected(read.error());
  const auto durable = follower.last.find(producer_id);
  std::uint64_t last = durable == follower.last.end() ? 0 : durable->second;
  LogReader reader{disk_, *follower.partition, ReadUpTo::kCommitted};
  reader.seek(follower.reader.next_offset());
  // Others go on appending: only what is there now can be of this producer.
  const Offset end = follower.partition->end_offset();
  for (;;) {
    const auto batch = reader.read();
    if (!batch) return std::unexpected(batch.error());
    for (const shm::RecordView& view : (*batch)->records)
      if (view.header->producer_id == producer_id) last = std::max(last, view.header->sequence);
    if ((*batch)->at_end || reader.next_offset() >= end) return last;
  }
}

// --- Names

std::size_t ProducerNames::count() const {
  std::size_t names = 0;
  for (const auto& [id, topic] : topics_) names += topic.names.size();
  return names;
}

void ProducerNames::erase(TopicNames& topic, std::uint64_t producer_id) {
  topic.names.erase(topic.by_id.at(producer_id));
  topic.by_id.erase(producer_id);
  for (Follower& follower : topic.partitions) follower.last.erase(producer_id);
}

void ProducerNames::forget_unused(const std::function<bool(std::uint64_t)>& is_seated) {
  const BootNanos now = boot_now_ns();
  for (auto& [id, topic] : topics_) {
    std::vector<std::uint64_t> unused;
    for (const auto& [name, entry] : topic.names)
      if (now - entry.used_ns > keep_ns_ && !is_seated(entry.holder.producer_id))
        unused.push_back(entry.holder.producer_id);
    for (const std::uint64_t producer : unused) erase(topic, producer);
  }
}

Result<ProducerNames::Holder> ProducerNames::take(
    TopicId id, const Partitions& partitions, const std::string& name,
    const std::function<bool(std::uint64_t)>& is_seated) {
  MALLBOTS_TRY(check_name(name));
  TopicNames& topic = topics_[id];
  // An id that is new to the log is in no record so far.
  if (topic.partitions.empty())
    for (Partition* partition : partitions)
      topic.partitions.emplace_back(disk_, *partition).reader.seek(partition->durable_offset());
  const auto known = topic.names.find(name);
  if (known == topic.names.end()) {
    forget_unused(is_seated);
    if (count() >= kMaxNames)
      return fail(ErrorCode::kLimitReached, "65536 names of producers are in use");
  }
  Name before = known == topic.names.end() ? Name{{random_id(), 0}, 0} : known->second;
  Name& entry = topic.names[name] = before;
  if (++entry.holder.epoch == 0) ++entry.holder.epoch;
  entry.used_ns = boot_now_ns();
  topic.by_id[entry.holder.producer_id] = name;
  const Holder taken = entry.holder;
  if (auto saved = save(); !saved) {
    if (before.holder.epoch == 0)
      erase(topic, taken.producer_id);
    else
      entry = before;
    return std::unexpected(std::move(saved).error());
  }
  return taken;
}

bool ProducerNames::is_current(TopicId id, const Holder& holder) const {
  const auto topic = topics_.find(id);
  if (topic == topics_.end()) return false;
  const auto name = topic->second.by_id.find(holder.producer_id);
  return name != topic->second.by_id.end() &&
         topic->second.names.at(name->second).holder.epoch == holder.epoch;
}

void ProducerNames::touch(std::uint64_t producer_id) {
  for (auto& [id, topic] : topics_)
    if (const auto name = topic.by_id.find(producer_id); name != topic.by_id.end())
      topic.names.at(name->second).used_ns = boot_now_ns();
}

// --- Duties

Result<void> ProducerNames::duty(BootNanos now, BootNanos& next_look) {
  if (topics_.empty()) return {};
  if (now < not_before_) {
    next_look = std::min(next_look, not_before_);
    return {};
  }
  const auto failed = [&](const Error& error) -> Result<void> {
    not_before_ = now + kPauseAfterFailure;
    next_look = std::min(next_look, not_before_);
    return std::unexpected(error);
  };
  std::optional<Error> unread;
  for (auto& [id, topic] : topics_) {
    for (Follower& follower : topic.partitions) {
      if (follower.reader.next_offset() >= follower.partition->durable_offset()) continue;
      // What is in memory is read before its slots are used again; the ring bounds it.
      const bool is_hot =
          follower.reader.next_offset() >= follower.partition->ring().oldest_offset();
      const auto all = read_on(topic, follower, is_hot ? ~std::uint64_t{0} : kBytesPerTurn);
      if (!all) {  // the others go on, and are saved
        unread = all.error();
        continue;
      }
      if (!*all) next_look = now;
    }
  }
  // A save blocks for two flushes: once a second at most, however much comes in.
  const BootNanos due = unsaved_since_ + (unsaved_bytes_ >= kSaveBytes ? kSavePause : kSaveAfter);
  if (unsaved_since_ != 0 && now >= due) {
    if (const auto saved = save(); !saved) return failed(saved.error());
  } else if (unsaved_since_ != 0) {
    next_look = std::min(next_look, due);
  }
  return unread ? failed(*unread) : Result<void>{};
}

Result<void> ProducerNames::finish() {
  for (auto& [id, topic] : topics_)
    for (Follower& follower : topic.partitions) {
      const auto read = read_on(topic, follower, ~std::uint64_t{0});
      if (!read) return std::unexpected(read.error());
    }
  return unsaved_since_ == 0 ? Result<void>{} : save();
}

}  // namespace mallbots::broker
