// The control protocol: what goes over the instance's Unix SOCK_SEQPACKET socket. LAYOUT.md,
// "Control protocol". One packet = one 16-byte header and one body, little-endian, no padding.
//
// Each message lists its fields once, in `fields`; encoder and decoder both walk that list, so they
// cannot drift apart. Every length is checked while decoding; a packet that does not decode whole,
// or has bytes left over, is refused and its session closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shm/base/error.h"
#include "shm/base/ids.h"

namespace mallbots::shm {

inline constexpr std::uint32_t kControlVersion = 1;
inline constexpr std::size_t kMaxMessageBytes = 65'536;
inline constexpr std::size_t kMaxMessageFds = 4;
inline constexpr std::size_t kMaxNameBytes = 200;
inline constexpr std::uint32_t kNoSession = 0xFFFF'FFFF;

enum class MessageType : std::uint16_t {
  kHello = 1,
  kOpenTopic,
  kGetSlot,
  kOpenProducer,
  kTakeLease,
  kOpenReader,
  kCloseCell,
  kFindSegment,
  kFindTime,
  kJoinGroup,
  kLeaveGroup,
  kAssignmentDone,
  kCommitDurable,
  kCreateTopic,
  kDeleteTopic,
  kAlterTopic,
  kListTopics,
  kDescribeTopic,
  kListGroups,
  kDescribeGroup,
  kSeekGroup,
  kDeleteGroup,
  kStatus,
  kListClients,
  kGoodbye,
  kOpenRing,
  kCloseRing,
  kEndOfEpoch,
  kJoinQueue = 40,
  kLeaveQueue,
  kSettle,
  kListStreams = 48,
  kOpenDelayed = 56,
  kListDelayed,
  kCancelDelayed,
  kNameProducer = 64,
  kReply = 0x100,       ///< answers the request of the same id; body by the request's type
  kAssignment = 0x101,  ///< pushed: request id 0
  kNotice = 0x102,      ///< pushed: the session or a position is no longer what it was
  kGrants = 0x110,      ///< pushed
  kSettled = 0x111,     ///< pushed: answers a Settle
};

struct MessageHeader {
  std::uint16_t type;
  std::uint16_t version;     ///< kControlVersion
  std::uint32_t request_id;  ///< chosen by the client, not 0
  std::uint16_t error;       ///< ErrorCode; if not 0 the body is one string, the detail
  std::uint16_t reserved;
  std::uint32_t body_bytes;
};
static_assert(sizeof(MessageHeader) == 16);

/// Appends fields to a packet.
class Encoder {
 public:
  template <class T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
  void operator()(const T& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(T));
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint16_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), bytes, bytes + static_cast<std::uint16_t>(text.size()));
  }
  template <class T>
  void operator()(const std::vector<T>& items) {
    (*this)(static_cast<std::uint32_t>(items.size()));
    for (const T& item : items) (*this)(item);
  }
  template <class T>
    requires requires(T& message, Encoder& encoder) { message.fields(encoder); }
  void operator()(const T& message) {
    const_cast<T&>(message).fields(*this);
  }
  [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// Takes fields from a packet; ok() is false from the first field that does not fit.
class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

  template <class T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
  void operator()(T& value) {
    if (!take(sizeof(T))) return;
    std::memcpy(&value, taken_, sizeof(T));
  }
  void operator()(bool& value) {
    std::uint8_t byte = 0;
    (*this)(byte);
    ok_ = ok_ && byte <= 1;
    value = byte == 1;
  }
  void operator()(std::string& text) {
    std::uint16_t size = 0;
    (*this)(size);
    if (take(size)) text.assign(reinterpret_cast<const char*>(taken_), size);
  }
  template <class T>
  void operator()(std::vector<T>& items) {
    std::uint32_t count = 0;
    (*this)(count);
    // Each item takes at least one byte, so a count beyond the rest is a lie; no allocation for it.
    if (count > rest_.size()) ok_ = false;
    for (std::uint32_t i = 0; ok_ && i < count; ++i) (*this)(items.emplace_back());
  }
  template <class T>
    requires requires(T& message, Decoder& decoder) { message.fields(decoder); }
  void operator()(T& message) {
    message.fields(*this);
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool finished() const noexcept { return ok_ && rest_.empty(); }

 private:
  bool take(std::size_t size_bytes) noexcept {
    ok_ = ok_ && size_bytes <= rest_.size();
    if (!ok_) return false;
    taken_ = rest_.data();
    rest_ = rest_.subspan(size_bytes);
    return true;
  }
  std::span<const std::byte> rest_;
  const std::byte* taken_ = nullptr;
  bool ok_ = true;
};

template <class T>
[[nodiscard]] std::optional<T> decode(std::span<const std::byte> body) {
  T message{};
  Decoder decoder{body};
  decoder(message);
  if (!decoder.finished()) return std::nullopt;
  return message;
}

#define MALLBOTS_FIELDS(...)                                 \
  template <class Codec>                                     \
  void fields([[maybe_unused]] Codec& c) {                   \
    mallbots::shm::each_field(c __VA_OPT__(, ) __VA_ARGS__); \
  }

template <class Codec, class... Fields>
void each_field(Codec& codec, Fields&... all) {
  (codec(all), ...);
}

// --- Sessions

/// First message of every connection. `session` and `token` of an earlier session re-attach to it
/// after the broker restarted. One descriptor may come with it: the client's own pidfd, used where
/// the kernel has no SO_PEERPIDFD.
struct Hello {
  static constexpr MessageType kType = MessageType::kHello;
  std::uint32_t layout_version = 0;
  std::uint32_t session = kNoSession;
  std::uint64_t token = 0;
  std::string name;
  MALLBOTS_FIELDS(layout_version, session, token, name)
};
/// Descriptors: session page (read-write), the broker's eventfd.
struct HelloReply {
  std::uint32_t session = 0;
  std::uint64_t token = 0;
  std::uint32_t incarnation = 0;
  LogEpoch log_epoch = 0;
  bool resumed = false;
  MALLBOTS_FIELDS(session, token, incarnation, log_epoch, resumed)
};

/// The client has unmapped everything and stored its last; answered, then the broker closes the
/// connection and may give the session's index to others at once. Without it the session of a
/// living process is revoked, and its index rests until the process has ended.
struct Goodbye {
  static constexpr MessageType kType = MessageType::kGoodbye;
  MALLBOTS_FIELDS()
};

struct Empty {
  MALLBOTS_FIELDS()
};

// --- Topics and partitions

enum class Intent : std::uint8_t { kConsume = 1, kProduce = 2 };

struct OpenTopic {
  static constexpr MessageType kType = MessageType::kOpenTopic;
  std::string name;
  Intent intent = Intent::kConsume;
  MALLBOTS_FIELDS(name, intent)
};
/// Descriptors: board (read-only), then, if `has_knock`, the knock page (read-write).
struct OpenTopicReply {
  std::uint64_t topic_id = 0;
  std::uint32_t partitions = 0;
  std::uint32_t slots = 0;
  std::uint64_t slot_bytes = 0;
  bool has_knock = false;
  MALLBOTS_FIELDS(topic_id, partitions, slots, slot_bytes, has_knock)
};

/// Answered with one descriptor: read-write to who may append directly, read-only to who may read.
struct GetSlot {
  static constexpr MessageType kType = MessageType::kGetSlot;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::uint64_t slot_id = 0;
  MALLBOTS_FIELDS(topic_id, partition, slot_id)
};

/// Makes the session's user the holder of a producer's name in a topic; the older one appends
/// nothing more. Durable when it is answered.
struct NameProducer {
  static constexpr MessageType kType = MessageType::kNameProducer;
  std::uint64_t topic_id = 0;
  std::string name;
  MALLBOTS_FIELDS(topic_id, name)
};
struct NameProducerReply {
  std::uint64_t producer_id = 0;
  std::uint32_t epoch = 0;  ///< rises with each holder; never 0
  MALLBOTS_FIELDS(producer_id, epoch)
};

/// `producer_id` 0 asks for a new identity; with an epoch it is that of a name, and NameTaken if
/// another has come since.
struct OpenProducer {
  static constexpr MessageType kType = MessageType::kOpenProducer;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::uint64_t producer_id = 0;
  std::uint32_t epoch = 0;  ///< 0: the identity has no name
  MALLBOTS_FIELDS(topic_id, partition, producer_id, epoch)
};
struct OpenProducerReply {
  std::uint32_t cell = 0;
  std::uint64_t producer_id = 0;
  std::uint16_t producer_epoch = 0;
  std::uint64_t last_sequence = 0;
  Offset end_offset = 0;  ///< of the partition: what the identity has sent lies before it
  MALLBOTS_FIELDS(cell, producer_id, producer_epoch, last_sequence, end_offset)
};

/// Of a topic with ingest=sequenced: makes this session a producer of the partition. `producer_id`
/// 0 asks for a new identity; one of a ring that the session has open gets that ring again.
/// `scope` is for topics whose type asks what else the ring is about; else 0.
/// Descriptors of the answer: the ring (read-write), the eventfd that wakes the sequencer.
struct OpenRing {
  static constexpr MessageType kType = MessageType::kOpenRing;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::uint64_t producer_id = 0;
  std::uint64_t scope = 0;
  MALLBOTS_FIELDS(topic_id, partition, producer_id, scope)
};
struct OpenRingReply {
  std::uint32_t ring = 0;
  std::uint64_t producer_id = 0;
  std::uint64_t last_sequence = 0;
  std::uint32_t data_bytes = 0;
  MALLBOTS_FIELDS(ring, producer_id, last_sequence, data_bytes)
};
/// What was handed in before is still served, if need be after this was answered.
struct CloseRing {
  static constexpr MessageType kType = MessageType::kCloseRing;
  std::uint32_t ring = 0;
  MALLBOTS_FIELDS(ring)
};

/// Makes this session the exclusive producer of the partition. Without `take_over`: LeaseHeld if
/// a living session has it.
struct TakeLease {
  static constexpr MessageType kType = MessageType::kTakeLease;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  bool take_over = false;
  MALLBOTS_FIELDS(topic_id, partition, take_over)
};
struct TakeLeaseReply {
  std::uint64_t lease = 0;  ///< Lease::bits
  MALLBOTS_FIELDS(lease)
};

/// A plain reader's cell (pins). Groups get theirs with the assignment.
struct OpenReader {
  static constexpr MessageType kType = MessageType::kOpenReader;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  MALLBOTS_FIELDS(topic_id, partition)
};
struct OpenReaderReply {
  std::uint32_t cell = 0;
  MALLBOTS_FIELDS(cell)
};
struct CloseCell {
  static constexpr MessageType kType = MessageType::kCloseCell;
  std::uint32_t cell = 0;
  MALLBOTS_FIELDS(cell)
};

/// Which file holds `offset`; answered with one read-only descriptor. BadPosition if no file does.
struct FindSegment {
  static constexpr MessageType kType = MessageType::kFindSegment;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  Offset offset = 0;
  MALLBOTS_FIELDS(topic_id, partition, offset)
};
struct FindSegmentReply {
  Offset base_offset = 0;
  Offset end_offset = 0;         ///< first offset that is not (yet) durable in this file
  std::uint64_t start_byte = 0;  ///< a record border at or before `offset`
  std::uint64_t end_byte = 0;    ///< what lies behind is not to be read
  LogEpoch log_epoch = 0;        ///< of the records: seeds their header checks
  std::uint64_t partition_id = 0;
  MALLBOTS_FIELDS(base_offset, end_offset, start_byte, end_byte, log_epoch, partition_id)
};

/// Which offsets still name the records that they named in `log_epoch`: those below the answer.
/// Those from it on went with the memory, and may name other records by now; in today's epoch, they
/// are not durable yet. (Kafka asks the same with OffsetForLeaderEpoch, KIP-101.)
struct EndOfEpoch {
  static constexpr MessageType kType = MessageType::kEndOfEpoch;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  LogEpoch log_epoch = 0;
  MALLBOTS_FIELDS(topic_id, partition, log_epoch)
};
struct EndOfEpochReply {
  Offset offset = 0;  ///< never above the durable position; may be below what retention has left
  MALLBOTS_FIELDS(offset)
};

/// First offset whose time stamp, or that of a record before it, is at or after `time_ms`.
struct FindTime {
  static constexpr MessageType kType = MessageType::kFindTime;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  UnixMillis time_ms = 0;
  MALLBOTS_FIELDS(topic_id, partition, time_ms)
};
struct FindTimeReply {
  Offset offset = 0;
  MALLBOTS_FIELDS(offset)
};

/// Of a topic with type=events: its streams from number `from` on, in the order in which they came
/// (0, 1, 2 ...), a page. The broker knows no ids: the record at `last_offset` has it as its key.
struct ListStreams {
  static constexpr MessageType kType = MessageType::kListStreams;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::uint32_t from = 0;
  MALLBOTS_FIELDS(topic_id, partition, from)
};
struct StreamRow {
  std::uint64_t version = 0;
  std::uint64_t first_version = 0;  ///< above `version`: no event is to be read
  Offset last_offset = 0;
  bool deleted = false;
  MALLBOTS_FIELDS(version, first_version, last_offset, deleted)
};
struct ListStreamsReply {
  std::vector<StreamRow> streams;
  std::uint32_t next = 0;
  bool more = false;
  MALLBOTS_FIELDS(streams, next, more)
};

// --- Groups

struct JoinGroup {
  static constexpr MessageType kType = MessageType::kJoinGroup;
  std::string group;
  std::string instance;  ///< static member name, or empty
  std::vector<std::string> topics;
  std::uint32_t max_poll_interval_ms = 0;
  bool read_durable = true;
  MALLBOTS_FIELDS(group, instance, topics, max_poll_interval_ms, read_durable)
};
struct JoinGroupReply {
  std::uint64_t group_id = 0;
  std::uint64_t member_id = 0;
  MALLBOTS_FIELDS(group_id, member_id)
};
struct LeaveGroup {
  static constexpr MessageType kType = MessageType::kLeaveGroup;
  std::uint64_t group_id = 0;
  MALLBOTS_FIELDS(group_id)
};
struct AssignedPartition {
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::uint32_t cell = 0;
  std::uint32_t group_generation = 0;  ///< stamped into every position stored in the cell
  LogEpoch log_epoch = 0;
  Offset offset = 0;  ///< where to start, if the partition is new to the member
  MALLBOTS_FIELDS(topic_id, partition, cell, group_generation, log_epoch, offset)
};
/// Pushed. All that the member shall have from now on. What it had and is not in here it stops
/// reading, stores its last position, and then says AssignmentDone; only then may another have it.
struct Assignment {
  static constexpr MessageType kType = MessageType::kAssignment;
  std::uint64_t group_id = 0;
  std::uint64_t number = 0;
  std::vector<AssignedPartition> partitions;
  MALLBOTS_FIELDS(group_id, number, partitions)
};
struct AssignmentDone {
  static constexpr MessageType kType = MessageType::kAssignmentDone;
  std::uint64_t group_id = 0;
  std::uint64_t number = 0;
  MALLBOTS_FIELDS(group_id, number)
};
/// Answered when all positions stored before it are on disk.
struct CommitDurable {
  static constexpr MessageType kType = MessageType::kCommitDurable;
  std::uint64_t group_id = 0;
  MALLBOTS_FIELDS(group_id)
};
/// Pushed before the broker ends the session or moves a position.
struct Notice {
  static constexpr MessageType kType = MessageType::kNotice;
  ErrorCode code = ErrorCode::kNone;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  Offset offset = 0;
  std::uint64_t member_id = 0;  ///< Fenced: the membership that ended (JoinGroupReply)
  std::string detail;
  MALLBOTS_FIELDS(code, topic_id, partition, offset, member_id, detail)
};

// --- Queues: groups whose messages are handed out and acknowledged one by one

/// Makes this session a member of the group in queue mode. Again: with other topics or limits, or
/// after a restart of the broker. WrongMode: the group exists as one of readers.
struct JoinQueue {
  static constexpr MessageType kType = MessageType::kJoinQueue;
  std::string group;
  std::vector<std::string> topics;
  std::uint32_t max_in_flight = 0;   ///< granted to this member and not settled, at most
  std::uint32_t lock_ms = 0;         ///< of this member's grants
  std::uint32_t max_deliveries = 0;  ///< of the group: the last join counts; 0: without end
  MALLBOTS_FIELDS(group, topics, max_in_flight, lock_ms, max_deliveries)
};
/// Behind it the broker pushes `held` grants with `again`: all that the session holds.
struct JoinQueueReply {
  std::uint64_t group_id = 0;
  std::uint32_t held = 0;
  MALLBOTS_FIELDS(group_id, held)
};
/// What the member holds is free at once.
struct LeaveQueue {
  static constexpr MessageType kType = MessageType::kLeaveQueue;
  std::uint64_t group_id = 0;
  MALLBOTS_FIELDS(group_id)
};
struct Grant {
  Offset offset = 0;
  std::uint32_t attempt = 0;  ///< 1: handed out for the first time
  MALLBOTS_FIELDS(offset, attempt)
};
/// Pushed: these records are the member's until it settles them, or until `lock_until_ns`.
struct Grants {
  static constexpr MessageType kType = MessageType::kGrants;
  std::uint64_t group_id = 0;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::int64_t lock_until_ns = 0;  ///< boot time
  bool again = false;              ///< held since before the last join
  std::vector<Grant> grants;
  MALLBOTS_FIELDS(group_id, topic_id, partition, lock_until_ns, again, grants)
};
enum class Outcome : std::uint8_t {
  kAck = 1,
  kNack,    ///< again, after the note's delay
  kReject,  ///< a dead letter
  kExtend,  ///< its lock begins anew
  /// Nobody looked at it: again, and the attempt does not count. The member takes nothing more
  /// until its next Settle or JoinQueue.
  kReturn,
};
struct SettleItem {
  Offset offset = 0;
  std::uint32_t attempt = 0;
  Outcome outcome = Outcome::kAck;
  MALLBOTS_FIELDS(offset, attempt, outcome)
};
/// Why a message was not acknowledged, and when it shall come again.
struct SettleNote {
  std::uint32_t item = 0;  ///< index into the items
  std::uint32_t delay_ms = 0;
  std::string type;
  std::string text;
  std::string handler;
  MALLBOTS_FIELDS(item, delay_ms, type, text, handler)
};
/// Answered by a pushed Settled of the same number. Without items: the member is alive again and
/// takes grants, after it let a lock expire.
struct Settle {
  static constexpr MessageType kType = MessageType::kSettle;
  std::uint64_t group_id = 0;
  std::uint64_t number = 0;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::vector<SettleItem> items;
  std::vector<SettleNote> notes;
  MALLBOTS_FIELDS(group_id, number, topic_id, partition, items, notes)
};
struct SettleFault {
  std::uint32_t item = 0;
  ErrorCode code = ErrorCode::kNone;
  MALLBOTS_FIELDS(item, code)
};
/// Pushed: what is not among the faults is done, and survives the death of any one process.
struct Settled {
  static constexpr MessageType kType = MessageType::kSettled;
  std::uint64_t group_id = 0;
  std::uint64_t number = 0;
  std::int64_t lock_until_ns = 0;  ///< of the items that extended
  std::vector<SettleFault> faults;
  MALLBOTS_FIELDS(group_id, number, lock_until_ns, faults)
};

// --- Administration

struct Setting {
  std::string key;
  std::string value;
  bool is_default = false;  ///< in descriptions only
  MALLBOTS_FIELDS(key, value, is_default)
};
struct CreateTopic {
  static constexpr MessageType kType = MessageType::kCreateTopic;
  std::string name;
  std::uint32_t partitions = 0;
  std::vector<Setting> settings;
  MALLBOTS_FIELDS(name, partitions, settings)
};
struct CreateTopicReply {
  std::uint64_t topic_id = 0;
  std::uint64_t memory_bytes = 0;  ///< once every slot is in use
  std::uint64_t disk_bytes = 0;    ///< 0: not bounded by the topic's retention
  MALLBOTS_FIELDS(topic_id, memory_bytes, disk_bytes)
};
struct DeleteTopic {
  static constexpr MessageType kType = MessageType::kDeleteTopic;
  std::string name;
  MALLBOTS_FIELDS(name)
};
struct AlterTopic {
  static constexpr MessageType kType = MessageType::kAlterTopic;
  std::string name;
  std::vector<Setting> settings;
  MALLBOTS_FIELDS(name, settings)
};
/// Before the session opens the delay log to produce: may it delay records for that topic, and how
/// long?
struct OpenDelayed {
  static constexpr MessageType kType = MessageType::kOpenDelayed;
  std::uint64_t topic_id = 0;
  MALLBOTS_FIELDS(topic_id)
};
struct OpenDelayedReply {
  std::int64_t delay_max_ms = 0;
  MALLBOTS_FIELDS(delay_max_ms)
};
/// Pending delayed records in the order of their ids; `topic` empty: of all topics.
struct ListDelayed {
  static constexpr MessageType kType = MessageType::kListDelayed;
  std::string topic;
  Offset after = kNoOffset;  ///< an id; kNoOffset: from the first
  MALLBOTS_FIELDS(topic, after)
};
struct DelayedRow {
  Offset id = 0;
  UnixMillis due_ms = 0;
  std::string topic;  ///< empty: it was deleted
  PartitionIndex partition = 0;
  std::uint32_t bytes = 0;
  MALLBOTS_FIELDS(id, due_ms, topic, partition, bytes)
};
struct ListDelayedReply {
  std::vector<DelayedRow> rows;
  Offset next = kNoOffset;  ///< `after` of the next page
  bool more = false;
  MALLBOTS_FIELDS(rows, next, more)
};
/// Answered when it survives a power cut.
struct CancelDelayed {
  static constexpr MessageType kType = MessageType::kCancelDelayed;
  Offset id = 0;
  MALLBOTS_FIELDS(id)
};
/// Lists are paged: names after `after`, ascending; `more` asks for the next page.
struct ListTopics {
  static constexpr MessageType kType = MessageType::kListTopics;
  std::string after;
  bool internal = false;  ///< the broker's own topics, too
  MALLBOTS_FIELDS(after, internal)
};
struct TopicRow {
  std::string name;
  std::uint64_t topic_id = 0;
  std::uint32_t partitions = 0;
  std::uint64_t records = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t memory_bytes = 0;
  MALLBOTS_FIELDS(name, topic_id, partitions, records, disk_bytes, memory_bytes)
};
struct ListTopicsReply {
  std::vector<TopicRow> topics;
  bool more = false;
  MALLBOTS_FIELDS(topics, more)
};
struct DescribeTopic {
  static constexpr MessageType kType = MessageType::kDescribeTopic;
  std::string name;
  PartitionIndex from_partition = 0;
  MALLBOTS_FIELDS(name, from_partition)
};
struct PartitionRow {
  PartitionIndex partition = 0;
  Offset start_offset = 0;
  Offset end_offset = 0;
  Offset durable_offset = 0;
  std::uint32_t segments = 0;
  std::uint64_t disk_bytes = 0;
  std::uint32_t slots_in_memory = 0;
  ErrorCode state = ErrorCode::kNone;  ///< why appends are refused
  MALLBOTS_FIELDS(partition, start_offset, end_offset, durable_offset, segments, disk_bytes,
                  slots_in_memory, state)
};
struct DescribeTopicReply {
  std::uint64_t topic_id = 0;
  std::vector<Setting> settings;
  std::vector<PartitionRow> partitions;
  bool more = false;
  MALLBOTS_FIELDS(topic_id, settings, partitions, more)
};
struct ListGroups {
  static constexpr MessageType kType = MessageType::kListGroups;
  std::string after;
  MALLBOTS_FIELDS(after)
};
struct GroupSummary {
  std::string group;
  std::uint32_t members = 0;
  std::uint32_t partitions = 0;
  std::uint64_t lag = 0;
  bool is_queue = false;
  MALLBOTS_FIELDS(group, members, partitions, lag, is_queue)
};
struct ListGroupsReply {
  std::vector<GroupSummary> groups;
  bool more = false;
  MALLBOTS_FIELDS(groups, more)
};
struct DescribeGroup {
  static constexpr MessageType kType = MessageType::kDescribeGroup;
  std::string group;
  std::uint32_t from_row = 0;
  MALLBOTS_FIELDS(group, from_row)
};
struct GroupRow {
  std::string topic;
  PartitionIndex partition = 0;
  Offset current_offset = 0;  ///< kNoOffset: nothing committed yet
  Offset end_offset = 0;
  std::uint64_t lag = 0;
  std::int64_t lag_time_ms = 0;
  std::string member;
  std::uint32_t pid = 0;
  // Queues only; `current_offset` is the low mark, `lag` counts what is not done.
  std::uint32_t in_flight = 0;
  std::uint32_t waiting = 0;       ///< for its time to come again
  std::uint64_t redeliveries = 0;  ///< since the broker started
  std::uint64_t dead_letters = 0;  ///< the same
  MALLBOTS_FIELDS(topic, partition, current_offset, end_offset, lag, lag_time_ms, member, pid,
                  in_flight, waiting, redeliveries, dead_letters)
};
/// A member of a queue.
struct QueueMemberRow {
  std::string name;
  std::uint32_t pid = 0;
  std::uint32_t in_flight = 0;
  bool is_stuck = false;  ///< let a lock expire and has not been heard of since
  MALLBOTS_FIELDS(name, pid, in_flight, is_stuck)
};
struct DescribeGroupReply {
  std::vector<GroupRow> rows;
  bool more = false;
  bool is_queue = false;
  std::vector<QueueMemberRow> members;  ///< of a queue; with the first page
  MALLBOTS_FIELDS(rows, more, is_queue, members)
};
enum class SeekTo : std::uint8_t { kStart = 1, kEnd, kTime, kForward, kBackward };
struct SeekGroup {
  static constexpr MessageType kType = MessageType::kSeekGroup;
  std::string group;
  SeekTo to = SeekTo::kStart;
  std::int64_t value = 0;  ///< Unix ms or a number of records
  bool execute = false;    ///< false: only tells what would be
  MALLBOTS_FIELDS(group, to, value, execute)
};
struct SeekRow {
  std::string topic;
  PartitionIndex partition = 0;
  Offset from_offset = 0;
  Offset to_offset = 0;
  MALLBOTS_FIELDS(topic, partition, from_offset, to_offset)
};
struct SeekGroupReply {
  std::vector<SeekRow> rows;
  MALLBOTS_FIELDS(rows)
};
struct DeleteGroup {
  static constexpr MessageType kType = MessageType::kDeleteGroup;
  std::string group;
  MALLBOTS_FIELDS(group)
};
struct Status {
  static constexpr MessageType kType = MessageType::kStatus;
  MALLBOTS_FIELDS()
};
struct StatusReply {
  std::string version;
  std::uint32_t keeper_pid = 0;
  std::uint32_t broker_pid = 0;
  std::uint32_t incarnation = 0;
  LogEpoch log_epoch = 0;
  std::int64_t uptime_ms = 0;
  std::uint32_t topics = 0;
  std::uint32_t partitions = 0;
  std::uint32_t sessions = 0;
  std::uint32_t groups = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_max_bytes = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t orphan_bytes = 0;
  std::string io_engine;  ///< "io_uring" or "pwrite", and why
  std::string data_dir;
  std::uint64_t damaged_ranges = 0;
  std::uint64_t readonly_partitions = 0;
  MALLBOTS_FIELDS(version, keeper_pid, broker_pid, incarnation, log_epoch, uptime_ms, topics,
                  partitions, sessions, groups, memory_bytes, memory_max_bytes, disk_bytes,
                  disk_free_bytes, orphan_bytes, io_engine, data_dir, damaged_ranges,
                  readonly_partitions)
};
struct ListClients {
  static constexpr MessageType kType = MessageType::kListClients;
  std::uint32_t after_session = kNoSession;
  MALLBOTS_FIELDS(after_session)
};
struct ClientRow {
  std::uint32_t session = 0;
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string name;
  std::string topics;
  std::uint32_t pins = 0;
  std::int64_t idle_ms = 0;  ///< since the last poll counted
  MALLBOTS_FIELDS(session, pid, uid, name, topics, pins, idle_ms)
};
struct ListClientsReply {
  std::vector<ClientRow> clients;
  bool more = false;
  MALLBOTS_FIELDS(clients, more)
};

#undef MALLBOTS_FIELDS

/// A whole packet.
template <class Body>
[[nodiscard]] std::vector<std::byte> encode_packet(MessageType type, std::uint32_t request_id,
                                                   const Body& body) {
  Encoder encoder;
  MessageHeader header{static_cast<std::uint16_t>(type), kControlVersion, request_id, 0, 0, 0};
  encoder.bytes().resize(sizeof header);
  encoder(body);
  header.body_bytes = static_cast<std::uint32_t>(encoder.bytes().size() - sizeof header);
  std::memcpy(encoder.bytes().data(), &header, sizeof header);
  return std::move(encoder.bytes());
}

/// The header of a packet that has the version and length it says.
[[nodiscard]] inline std::optional<MessageHeader> packet_header(std::span<const std::byte> packet) {
  MessageHeader header{};
  if (packet.size() < sizeof header || packet.size() > kMaxMessageBytes) return std::nullopt;
  std::memcpy(&header, packet.data(), sizeof header);
  if (header.version != kControlVersion || header.body_bytes != packet.size() - sizeof header)
    return std::nullopt;
  return header;
}

}  // namespace mallbots::shm
