#include "clients/toolkit/lake/archiver.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>

namespace mallbots::toolkit {
namespace {

constexpr std::size_t kRecordsAtOnce = 1024;
/// Each holds a block and a descriptor.
constexpr std::size_t kOpenFiles = 200;
constexpr std::int64_t kRetryMs = 200;
constexpr std::string_view kInternalTopics = "internal-events.";

}  // namespace

Result<std::unique_ptr<Archiver>> Archiver::open(const client::ConnectionOptions& where,
                                                 ArchiverOptions options) {
  auto lock = LakeFolder{options.folder}.lock();
  if (!lock) return std::unexpected(std::move(lock).error());
  std::unique_ptr<Archiver> archiver{new Archiver{where, std::move(options), std::move(*lock)}};
  MALLBOTS_TRY(archiver->connect());
  return archiver;
}

Result<void> Archiver::connect() {
  consumer_.reset();
  connection_.reset();
  auto connection = client::Connection::open(where_);
  if (!connection) return std::unexpected(std::move(connection).error());
  client::ConsumerOptions how;
  how.read = client::ReadLevel::kDefault;  // durable: what a power cut takes back is no event
  how.on_assignment = [this](const auto& gained, const auto& lost) {
    for (const auto& list : {gained, lost})
      for (const client::TopicPartition& one : list) moved_.insert({one.topic, one.partition});
  };
  auto consumer = client::Consumer::open(**connection, how);
  if (!consumer) return std::unexpected(std::move(consumer).error());
  connection_ = std::move(*connection);
  consumer_ = std::move(*consumer);
  return {};
}

void Archiver::run(const std::stop_token& stop) {
  constexpr std::int64_t kLookAtStopMs = 100;
  std::mutex mutex;
  std::condition_variable_any never;
  while (!stop.stop_requested()) {
    const auto read = run_once(Deadline::after_ms(kLookAtStopMs));
    if (!read) note(read.error());
    if (read && is_subscribed_) continue;
    std::unique_lock lock{mutex};
    never.wait_for(lock, stop, std::chrono::milliseconds{kRetryMs}, [] { return false; });
  }
  if (const auto closed = close_files(); !closed) note(closed.error());
}

Result<std::size_t> Archiver::run_once(Deadline deadline) {
  if (consumer_ == nullptr) MALLBOTS_TRY(connect());
  if (boot_now_ns() >= next_look_ns_) MALLBOTS_TRY(look());
  if (!is_subscribed_) return std::size_t{0};
  const auto messages = consumer_->poll(deadline, kRecordsAtOnce);
  for (const Place& place : moved_) shelves_[place].is_placed = false;
  if (!messages) return take_setback(messages.error());
  for (const client::Message& message : *messages) {
    if (auto written = write(message); !written) {
      read_again();  // of all partitions: those behind this message were not written either
      return std::unexpected(std::move(written).error());
    }
  }
  const std::size_t read = messages->size();
  MALLBOTS_TRY(place_all());
  MALLBOTS_TRY(close_due());
  return read;
}

// --- Which topics

Result<void> Archiver::look() {
  client::Admin admin{*connection_};
  const auto listed = admin.list_topics();
  if (!listed) return std::unexpected(listed.error());
  std::map<std::string, std::uint64_t> topics;
  for (const client::TopicSummary& topic : *listed) {
    const auto wanted = is_wanted(admin, topic);
    if (!wanted) return std::unexpected(wanted.error());
    if (*wanted) topics[topic.name] = topic.topic_id;
  }
  next_look_ns_ = boot_now_ns() + options_.look_ms * kMillisecond;
  if (topics == topics_ && (is_subscribed_ || topics.empty())) return {};
  for (auto& [place, shelf] : shelves_) {
    const auto now = topics.find(place.first);
    if (now != topics.end() && now->second == shelf.log) continue;
    MALLBOTS_TRY(close(place, shelf));  // deleted, or made anew
    shelf.is_known = false;
  }
  topics_ = std::move(topics);
  return subscribe();
}

Result<bool> Archiver::is_wanted(client::Admin& admin, const client::TopicSummary& topic) {
  if (const auto known = wanted_.find(topic.topic_id); known != wanted_.end()) return known->second;
  bool wanted = std::ranges::any_of(options_.topics, [&](const std::string& pattern) {
    return fits_pattern(pattern, topic.name);
  });
  if (!wanted && options_.streams) {
    const auto described = admin.describe_topic(topic.name);
    if (!described && described.error().code == ErrorCode::kUnknownTopic) return false;
    if (!described) return std::unexpected(described.error());
    wanted = std::ranges::any_of(described->settings, [](const client::TopicSetting& setting) {
      return setting.key == "type" && setting.value == "events";
    });
  }
  wanted = wanted && !topic.name.starts_with(kInternalTopics);
  wanted_[topic.topic_id] = wanted;
  return wanted;
}

Result<void> Archiver::subscribe() {
  std::vector<std::string> names;
  for (const auto& [name, log] : topics_) names.push_back(name);
  is_subscribed_ = false;
  for (auto& [place, shelf] : shelves_) shelf.is_placed = false;
  MALLBOTS_TRY(names.empty() ? consumer_->unsubscribe()
                             : consumer_->subscribe(names, options_.group));
  is_subscribed_ = !names.empty();
  const std::scoped_lock lock{mutex_};
  status_.topics = names.size();
  return {};
}

Result<std::size_t> Archiver::take_setback(const Error& error) {
  if (error.code == ErrorCode::kEvicted) {  // place() counts it and begins another file
    const client::TopicPartition& partition = consumer_->setback().partition;
    const Place place{partition.topic, partition.partition};
    shelves_[place].is_placed = false;
    moved_.insert(place);
    MALLBOTS_TRY(place_all());
    return std::size_t{0};
  }
  if (client::is_setback(error.code) && error.code != ErrorCode::kViewExpired) {
    const client::Setback& setback = consumer_->setback();
    note(error);
    const std::scoped_lock lock{mutex_};
    status_.lost += setback.end - setback.first;
    return std::size_t{0};
  }
  // What was written from views that expired meanwhile may be others' bytes.
  for (auto& [place, shelf] : shelves_)
    if (shelf.file) abandon(shelf);
  read_again();
  if (error.code == ErrorCode::kViewExpired) return std::size_t{0};
  // Expelled, a topic is gone, the broker is away: begun anew, with what topics there are then.
  consumer_.reset();
  connection_.reset();
  is_subscribed_ = false;
  next_look_ns_ = 0;
  return std::unexpected(error);
}

// --- Where each partition goes on

void Archiver::read_again() {
  for (auto& [place, shelf] : shelves_) {
    shelf.is_placed = false;
    moved_.insert(place);
  }
}

Result<void> Archiver::place_all() {
  if (moved_.empty()) return {};
  for (const client::TopicPartition& mine : consumer_->assignment()) {
    Shelf& shelf = shelves_[{mine.topic, mine.partition}];
    if (!shelf.is_placed) MALLBOTS_TRY(place({mine.topic, mine.partition}, shelf));
  }
  moved_.clear();
  return {};
}

Result<void> Archiver::place(const Place& place, Shelf& shelf) {
  const client::TopicPartition partition{place.first, place.second};
  const auto range = consumer_->range(partition);
  if (!range) return std::unexpected(range.error());
  if (!shelf.is_known) {
    const auto topic = topics_.find(place.first);
    if (topic == topics_.end()) return {};  // not any more
    shelf.log = topic->second;
    const auto files = folder_.files();
    if (!files) return std::unexpected(files.error());
    shelf.next = kNoOffset;
    for (const LakeFile& file : *files)
      if (file.topic == place.first && file.log == shelf.log && file.partition == place.second)
        shelf.next = file.next;  // in order: the last one says it
    if (shelf.next == kNoOffset) shelf.next = range->start;
    shelf.is_known = true;
  }
  if (shelf.next < range->start) {
    MALLBOTS_TRY(close(place, shelf));  // so that the gap shows between two names
    const std::scoped_lock lock{mutex_};
    status_.lost += range->start - shelf.next;
    shelf.next = range->start;
  }
  MALLBOTS_TRY(consumer_->seek(partition, client::Start::offset(shelf.next)));
  shelf.is_placed = true;
  return {};
}

// --- Files

Result<void> Archiver::write(const client::Message& message) {
  const Place place{std::string{message.topic}, message.partition};
  Shelf& shelf = shelves_[place];
  if (!shelf.is_placed) {
    moved_.insert(place);
    return {};
  }
  if (message.offset < shelf.next) return {};
  const std::int64_t day = day_of(message.timestamp_ms);
  if (shelf.file && (shelf.day != day || !shelf.file->takes(message)))
    MALLBOTS_TRY(close(place, shelf));
  if (!shelf.file) MALLBOTS_TRY(begin(shelf, message));
  if (const auto appended = shelf.file->append(message); !appended) {
    abandon(shelf);
    moved_.insert(place);
    return appended;
  }
  shelf.next = message.offset + 1;
  const std::scoped_lock lock{mutex_};
  ++status_.waiting;
  return {};
}

Result<void> Archiver::begin(Shelf& shelf, const client::Message& message) {
  MALLBOTS_TRY(close_oldest());
  std::string path = folder_.writing_path(files_made_++);
  auto file = LakeFileWriter::create(path, message);
  if (!file) return std::unexpected(std::move(file).error());
  shelf.file = std::move(*file);
  shelf.path = std::move(path);
  shelf.topic_id = message.topic_id;
  shelf.day = day_of(message.timestamp_ms);
  shelf.first = shelf.next;
  shelf.begun_ns = boot_now_ns();
  return {};
}

/// A lake's file is whole or not there; on an error its records are read again.
Result<void> Archiver::close(const Place& place, Shelf& shelf) {
  if (!shelf.file) return {};
  const std::uint64_t records = shelf.file->records();
  auto closed = shelf.file->finish();
  if (closed)
    closed = folder_.publish(shelf.path, {.topic = place.first,
                                          .log = shelf.log,
                                          .partition = place.second,
                                          .day = shelf.day,
                                          .first = shelf.first,
                                          .next = shelf.next,
                                          .records = records});
  if (!closed) {
    abandon(shelf);
    shelf.is_known = false;  // it may be there: the folder knows
    moved_.insert(place);
    return closed;
  }
  shelf.file.reset();
  {
    const std::scoped_lock lock{mutex_};
    status_.archived += records;
    status_.waiting -= records;
    ++status_.files;
  }
  client::Message last;
  last.topic = place.first;
  last.partition = place.second;
  last.offset = shelf.next - 1;
  last.topic_id = shelf.topic_id;
  // Whoever has the partition now reads the same again, and finds it in the folder.
  if (consumer_ == nullptr) return {};
  const auto committed = consumer_->commit(last);
  if (!committed && shelf.is_placed) note(committed.error());
  return {};
}

void Archiver::abandon(Shelf& shelf) {
  const std::uint64_t records = shelf.file->records();
  shelf.file.reset();
  ::unlink(shelf.path.c_str());
  shelf.next = shelf.first;
  shelf.is_placed = false;
  const std::scoped_lock lock{mutex_};
  status_.waiting -= records;
}

Result<void> Archiver::close_due() {
  const BootNanos now = boot_now_ns();
  for (auto& [place, shelf] : shelves_)
    if (shelf.file && (now - shelf.begun_ns >= options_.roll_ms * kMillisecond ||
                       shelf.file->bytes() >= options_.roll_bytes))
      MALLBOTS_TRY(close(place, shelf));
  return {};
}

Result<void> Archiver::close_oldest() {
  std::size_t open = 0;
  auto oldest = shelves_.end();
  for (auto at = shelves_.begin(); at != shelves_.end(); ++at) {
    if (!at->second.file) continue;
    ++open;
    if (oldest == shelves_.end() || at->second.begun_ns < oldest->second.begun_ns) oldest = at;
  }
  return open < kOpenFiles ? Result<void>{} : close(oldest->first, oldest->second);
}

Result<void> Archiver::close_files() {
  for (auto& [place, shelf] : shelves_) MALLBOTS_TRY(close(place, shelf));
  return {};
}

// --- To watch

void Archiver::note(const Error& error) {
  const std::scoped_lock lock{mutex_};
  status_.last_error = error.sentence();
}

ArchiverStatus Archiver::status() const {
  const std::scoped_lock lock{mutex_};
  return status_;
}

}  // namespace mallbots::toolkit
