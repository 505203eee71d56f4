#include "clients/toolkit/dead_letter_box.h"

#include <algorithm>
#include <charconv>

#include "clients/admin.h"
#include "clients/toolkit/dead_letter.h"
#include "clients/toolkit/message.h"

namespace mallbots::toolkit {
namespace {

constexpr std::string_view kDone = "dlq.done";
constexpr std::string_view kLettersTopic = "dlq.letters";
constexpr std::int64_t kPollMs = 100;
constexpr std::int64_t kUsualMs = 30'000;

template <class Number>
bool take_number(std::string_view& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, char letter) {
  if (!text.starts_with(letter)) return false;
  text.remove_prefix(1);
  return true;
}

std::string_view word_of(LetterState state) {
  return state == LetterState::kReplayed ? "replayed" : "purged";
}

bool is(const std::optional<std::string>& wanted, std::string_view actual) {
  return !wanted || *wanted == actual;
}

}  // namespace

std::string LetterId::text() const {
  return std::to_string(partition) + ":" + std::to_string(offset);
}

std::optional<LetterId> parse_letter_id(std::string_view text) {
  LetterId id;
  if (take_number(text, id.partition) && take(text, ':') && take_number(text, id.offset) &&
      text.empty())
    return id;
  return std::nullopt;
}

bool LetterFilter::is_empty() const noexcept {
  return ids.empty() && !reason && !key && !type && !handler && !since_ms && !until_ms;
}

bool LetterFilter::matches(const Letter& letter) const {
  const auto names = [&](const std::string& id) {
    return id == letter.id.text() || (!id.empty() && id == letter.header(kMessageId));
  };
  return (ids.empty() || std::ranges::any_of(ids, names)) &&
         is(reason, letter.header(kDeadReason)) && is(key, letter.message->key_text()) &&
         is(type, letter.header(kDeadType)) && is(handler, letter.header(kDeadHandler)) &&
         (!since_ms || letter.message->timestamp_ms >= *since_ms) &&
         (!until_ms || letter.message->timestamp_ms < *until_ms);
}

Result<std::unique_ptr<DeadLetterBox>> DeadLetterBox::open(client::Connection& connection,
                                                           const std::string& topic,
                                                           const std::string& group) {
  std::unique_ptr<DeadLetterBox> box{new DeadLetterBox(connection)};
  box->letters_ = dead_letter_topic(topic, group);
  box->marks_ = box->letters_ + ".done";
  const auto described = client::Admin{connection}.describe_topic(box->letters_);
  if (!described && described.error().code == ErrorCode::kUnknownTopic) {
    // No letter was ever written; but a topic or group that is not there is a mistake of the
    // caller.
    client::Admin admin{connection};
    if (const auto source = admin.describe_topic(topic); !source)
      return std::unexpected(source.error());
    const auto reader = admin.describe_group(group);
    if (!reader && reader.error().code == ErrorCode::kUnknownGroup)
      return std::unexpected(reader.error());
    return box;
  }
  if (!described) return std::unexpected(described.error());
  box->letters_id_ = described->topic_id;
  MALLBOTS_TRY(box->read_marks());
  return box;
}

// --- Marks

LetterState DeadLetterBox::state_of(const LetterId& id) const {
  auto found = done_.upper_bound(id);
  if (found == done_.begin()) return LetterState::kLeft;
  --found;
  const bool inside = found->first.partition == id.partition && id.offset <= found->second.last;
  return inside ? found->second.state : LetterState::kLeft;
}

/// Bytes of a log are data: what is no range ends the mark.
void DeadLetterBox::add_mark(std::string_view ranges, LetterState state) {
  do {
    LetterId first;
    if (!take_number(ranges, first.partition) || !take(ranges, ':') ||
        !take_number(ranges, first.offset))
      return;
    Offset last = first.offset;
    if (take(ranges, '-') && (!take_number(ranges, last) || last < first.offset)) return;
    auto before = done_.upper_bound(first);
    if (before != done_.begin()) {
      --before;
      if (before->first.partition == first.partition && before->second.state == state &&
          before->second.last + 1 == first.offset) {
        before->second.last = last;
        continue;
      }
    }
    done_.insert_or_assign(first, Range{last, state});
  } while (take(ranges, ' '));
}

Result<void> DeadLetterBox::read_marks() {
  auto consumer = client::Consumer::open(connection_);
  if (!consumer) return std::unexpected(std::move(consumer).error());
  const auto assigned = (*consumer)->assign(marks_, {}, client::Start::oldest());
  if (!assigned && assigned.error().code == ErrorCode::kUnknownTopic) return {};
  if (!assigned) return assigned;
  has_marks_ = true;
  const auto range = (*consumer)->range({marks_, 0});
  if (!range) return std::unexpected(range.error());
  MALLBOTS_TRY(read_mark_records(**consumer, range->end));
  marks_end_ = range->end;
  ends_ = std::move(*consumer);
  return {};
}

Result<void> DeadLetterBox::read_mark_records(client::Consumer& consumer, Offset end) {
  for (;;) {
    const auto position = consumer.position({marks_, 0});
    if (!position || position->offset >= end) return {};
    const auto records = consumer.poll(Deadline::after_ms(kPollMs));
    if (!records && !client::is_setback(records.error().code))
      return std::unexpected(records.error());
    // A mark that cannot be read would bring its letters back: they would be replayed once more.
    if (!records && records.error().code == ErrorCode::kDamaged)
      return std::unexpected(records.error());
    if (!records) continue;
    for (const client::Message& record : *records) {
      if (record.header(kLettersTopic) != std::to_string(letters_id_)) continue;
      add_mark(record.text(), record.header(kDone) == word_of(LetterState::kReplayed)
                                  ? LetterState::kReplayed
                                  : LetterState::kPurged);
    }
  }
}

Result<void> DeadLetterBox::open_marks() {
  if (!has_marks_) {
    const auto made = client::Admin{connection_}.create_topic(marks_, 1, {{"class", "small"}});
    if (!made && made.error().code != ErrorCode::kTopicExists) return std::unexpected(made.error());
    MALLBOTS_TRY(read_marks());
  }
  auto producer = client::Producer::open(connection_, marks_);
  if (!producer) return std::unexpected(std::move(producer).error());
  marker_ = std::move(*producer);
  return {};
}

Result<void> DeadLetterBox::check_no_other_mark() {
  const auto range = ends_->range({marks_, 0});
  if (!range) return std::unexpected(range.error());
  if (range->end == marks_end_) return {};
  return fail(ErrorCode::kConflict, "another replay or purge of " + letters_ +
                                        " is at work; what is marked as done is done");
}

Result<void> DeadLetterBox::write_mark(std::span<const LetterId> ids, LetterState state) {
  std::string ranges;
  for (std::size_t i = 0; i < ids.size();) {
    std::size_t next = i + 1;
    while (next < ids.size() && ids[next].partition == ids[i].partition &&
           ids[next].offset == ids[next - 1].offset + 1)
      ++next;
    if (!ranges.empty()) ranges += ' ';
    ranges += ids[i].text();
    if (next - i > 1) ranges += "-" + std::to_string(ids[next - 1].offset);
    i = next;
  }
  const std::string topic_id = std::to_string(letters_id_);
  const client::Header headers[] = {{kDone, word_of(state)}, {kLettersTopic, topic_id}};
  const auto receipt = marker_->append({.payload = client::as_bytes(ranges), .headers = headers},
                                       {.deadline = Deadline::after_ms(kUsualMs),
                                        .partition = 0,
                                        .acks = client::Acks::kDurable,
                                        .expected_offset = marks_end_});
  if (!receipt && receipt.error().code == ErrorCode::kConflict) return check_no_other_mark();
  if (!receipt) return std::unexpected(receipt.error());
  marks_end_ = receipt->offset + 1;
  add_mark(ranges, state);
  return {};
}

// --- Letters

/// Letters by the poll, until `visit` says false or the end that the topic has now.
Result<void> DeadLetterBox::read(const std::function<Result<bool>(std::vector<Letter>&)>& visit) {
  if (letters_id_ == 0) return {};
  auto opened = client::Consumer::open(connection_, {.read = client::ReadLevel::kDurable});
  if (!opened) return std::unexpected(std::move(opened).error());
  client::Consumer& consumer = **opened;
  MALLBOTS_TRY(consumer.assign(letters_, {}, client::Start::oldest()));
  std::map<PartitionIndex, Offset> stops;
  for (const client::TopicPartition& partition : consumer.assignment()) {
    const auto range = consumer.range(partition);
    if (!range) return std::unexpected(range.error());
    stops[partition.partition] = range->durable;
  }
  std::vector<Letter> letters;
  for (;;) {
    for (auto stop = stops.begin(); stop != stops.end();) {
      const client::TopicPartition partition{letters_, stop->first};
      const auto position = consumer.position(partition);
      const bool there = !position || position->offset >= stop->second;
      if (there) MALLBOTS_TRY(consumer.pause(partition));
      stop = there ? stops.erase(stop) : std::next(stop);
    }
    if (stops.empty()) return {};
    const auto messages = consumer.poll(Deadline::after_ms(kPollMs));
    if (!messages) {
      if (!client::is_setback(messages.error().code)) return std::unexpected(messages.error());
      if (messages.error().code == ErrorCode::kDamaged) unreadable_ = messages.error();
      continue;
    }
    letters.clear();
    for (const client::Message& message : *messages) {
      const LetterId id{message.partition, message.offset};
      const auto stop = stops.find(id.partition);
      if (stop == stops.end() || id.offset >= stop->second) continue;
      letters.push_back({id, state_of(id), &message});
    }
    const auto go_on = visit(letters);
    if (!go_on) return std::unexpected(go_on.error());
    if (!*go_on) return {};
  }
}

Result<void> DeadLetterBox::each(const std::function<bool(const Letter&)>& visit) {
  return read([&](std::vector<Letter>& letters) -> Result<bool> {
    return std::ranges::all_of(letters, visit);
  });
}

Result<void> DeadLetterBox::check_ids(const LetterFilter& filter) {
  std::vector<std::string> missing = filter.ids;
  std::map<std::string, LetterState> done;
  const auto looked = each([&](const Letter& letter) {
    std::erase_if(missing, [&](const std::string& id) {
      if (!LetterFilter{.ids = {id}}.matches(letter)) return false;
      if (letter.state == LetterState::kLeft) return true;
      done[id] = letter.state;
      return false;
    });
    return !missing.empty();
  });
  if (!looked) return looked;
  if (missing.empty()) return {};
  const auto was = done.find(missing.front());
  return fail(ErrorCode::kUnknownLetter,
              "'" + missing.front() + "' in " + letters_ +
                  (was == done.end() ? std::string{}
                                     : " was " + std::string{word_of(was->second)} + " before"));
}

Result<client::Producer*> DeadLetterBox::producer_for(const std::string& topic) {
  auto& producer = producers_[topic];
  if (!producer) {
    auto opened = client::Producer::open(connection_, topic);
    if (!opened) return std::unexpected(std::move(opened).error());
    producer = std::move(*opened);
  }
  return producer.get();
}

Result<client::Receipt> DeadLetterBox::publish_one(const Letter& letter, Deadline deadline) {
  const std::string topic{letter.header(kDeadTopic)};
  if (topic.empty()) return fail(ErrorCode::kBadTopicName, "it has no header dlq.topic");
  const auto producer = producer_for(topic);
  if (!producer) return std::unexpected(producer.error());
  const client::Message& message = *letter.message;
  std::vector<client::Header> headers;
  for (const client::Header header : message.headers())
    if (!header.name.starts_with(kDeadLetterPrefix)) headers.push_back(header);
  PartitionIndex partition = client::kAnyPartition;
  std::string_view from = letter.header(kDeadPartition);
  if (!message.key.empty())
    partition = (*producer)->partition_of(message.key);
  else if (!take_number(from, partition) || partition >= (*producer)->partitions())
    partition = client::kAnyPartition;
  return (*producer)->append({.payload = message.payload,
                              .key = message.key,
                              .headers = headers,
                              .trace_context = message.trace_context(),
                              .is_tombstone = message.is_tombstone},
                             {.deadline = deadline, .partition = partition});
}

/// In their order, until one fails.
DeadLetterBox::Published DeadLetterBox::publish(std::span<const Letter> letters) {
  const Deadline deadline = Deadline::after_ms(kUsualMs);
  Published published;
  std::vector<client::Receipt> receipts;
  const auto failed = [](const Letter& letter, const Error& error) {
    return Error{error.code, "letter " + letter.id.text() + ": " + error.detail};
  };
  for (const Letter& letter : letters) {
    const auto receipt = publish_one(letter, deadline);
    if (!receipt) {
      published.error = failed(letter, receipt.error());
      break;
    }
    receipts.push_back(*receipt);
  }
  for (; published.letters < receipts.size(); ++published.letters) {
    const Letter& letter = letters[published.letters];
    client::Producer& producer = *producers_.at(std::string{letter.header(kDeadTopic)});
    if (producer.is_memory_only()) continue;
    const auto durable = producer.wait_durable(receipts[published.letters], deadline);
    if (!durable) {
      published.error = failed(letter, durable.error());
      break;
    }
  }
  return published;
}

Result<DeadLetterBox::Outcome> DeadLetterBox::finish(const LetterFilter& filter, LetterState state,
                                                     const GoOn& go_on) {
  if (!filter.ids.empty()) MALLBOTS_TRY(check_ids(filter));
  if (letters_id_ == 0) return Outcome{};
  MALLBOTS_TRY(open_marks());
  Outcome outcome;
  const auto read_all = read([&](std::vector<Letter>& letters) -> Result<bool> {
    std::erase_if(letters, [&](const Letter& letter) {
      return letter.state != LetterState::kLeft || !filter.matches(letter);
    });
    for (std::size_t at = 0; at < letters.size(); at += kLettersPerMark) {
      outcome.stopped = !go_on(outcome.done);
      if (outcome.stopped) return false;
      const auto some =
          std::span(letters).subspan(at, std::min(kLettersPerMark, letters.size() - at));
      MALLBOTS_TRY(check_no_other_mark());
      Published published{.letters = some.size(), .error = {}};
      if (state == LetterState::kReplayed) published = publish(some);
      std::vector<LetterId> ids;
      for (const Letter& letter : some.first(published.letters)) ids.push_back(letter.id);
      if (!ids.empty()) MALLBOTS_TRY(write_mark(ids, state));
      if (published.error) return std::unexpected(*published.error);
      outcome.done += ids.size();
    }
    return true;
  });
  if (!read_all) return std::unexpected(read_all.error());
  return outcome;
}

Result<DeadLetterBox::Outcome> DeadLetterBox::replay(const LetterFilter& filter,
                                                     const GoOn& go_on) {
  return finish(filter, LetterState::kReplayed, go_on);
}
Result<DeadLetterBox::Outcome> DeadLetterBox::purge(const LetterFilter& filter, const GoOn& go_on) {
  return finish(filter, LetterState::kPurged, go_on);
}

}  // namespace mallbots::toolkit
