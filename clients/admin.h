// Admin: what the operator asks the broker: topics, groups, status, clients. One call is one or
// several control messages (paging is hidden); each takes a deadline.
//
// Who calls: any thread; the Connection serialises. A completed call that changes something is on
// disk: it survives a power cut. Timeout or ConnectionLost during a change: it may or may not have
// been done; ask (list, describe) before doing it again.
//
// Errors beside those: NotPermitted, BadMessage and those named at each call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "clients/connection.h"

namespace mallbots::client {

struct TopicSetting {
  std::string key;
  std::string value;
  bool is_default = false;  ///< in descriptions only
  friend bool operator==(const TopicSetting&, const TopicSetting&) = default;
};

struct CreatedTopic {
  std::uint64_t topic_id = 0;
  std::uint64_t memory_bytes = 0;           ///< once every slot is in use
  std::optional<std::uint64_t> disk_bytes;  ///< nothing: not bounded by the topic's retention
};

struct TopicSummary {
  std::string name;
  std::uint64_t topic_id = 0;
  std::uint32_t partitions = 0;
  std::uint64_t records = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t memory_bytes = 0;
};

struct PartitionDescription {
  PartitionIndex partition = 0;
  Offset start_offset = 0;
  Offset end_offset = 0;
  Offset durable_offset = 0;
  std::uint32_t segments = 0;
  std::uint64_t disk_bytes = 0;
  std::uint32_t slots_in_memory = 0;
  ErrorCode state = ErrorCode::kNone;  ///< why appends are refused
};

struct TopicDescription {
  std::uint64_t topic_id = 0;
  std::vector<TopicSetting> settings;
  std::vector<PartitionDescription> partitions;
};

struct GroupListing {
  std::string group;
  std::uint32_t members = 0;
  std::uint32_t partitions = 0;
  std::uint64_t lag = 0;  ///< of a queue: what is not done
  bool is_queue = false;
};

struct GroupPartition {
  std::string topic;
  PartitionIndex partition = 0;
  std::optional<Offset> current_offset;  ///< nothing: nothing committed yet
  Offset end_offset = 0;
  std::uint64_t lag = 0;
  std::int64_t lag_time_ms = 0;
  std::string member;
  std::uint32_t pid = 0;
  // Of queues only; there `current_offset` is the low mark, `lag` what is not done, `lag_time_ms`
  // the age of the oldest of it.
  std::uint32_t in_flight = 0;
  std::uint32_t waiting = 0;       ///< for the time of their next delivery
  std::uint64_t redeliveries = 0;  ///< since the broker started
  std::uint64_t dead_letters = 0;  ///< the same
};

struct QueueMemberDescription {
  std::string name;
  std::uint32_t pid = 0;
  std::uint32_t in_flight = 0;
  bool is_stuck = false;  ///< let a lock expire and has not been heard of since
};

struct GroupDescription {
  bool is_queue = false;
  std::vector<GroupPartition> partitions;
  std::vector<QueueMemberDescription> members;  ///< of a queue; 100 at most
};

/// Where to move a group, as `group seek --to` says.
struct GroupSeek {
  enum class To : std::uint8_t { kStart, kEnd, kTime, kForward, kBackward };
  To to = To::kStart;
  std::int64_t value = 0;  ///< Unix ms, or a number of records
};

struct GroupMove {
  std::string topic;
  PartitionIndex partition = 0;
  Offset from_offset = 0;
  Offset to_offset = 0;
};

struct InstanceStatus {
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
  std::string io_engine;
  std::string data_dir;
  std::uint64_t damaged_ranges = 0;
  std::uint64_t readonly_partitions = 0;
};

struct ClientDescription {
  std::uint32_t session = 0;
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string name;
  std::string topics;
  std::uint32_t pins = 0;
  std::int64_t idle_ms = 0;
};

/// A record that waits in the delay log.
struct DelayedRecord {
  Offset id = 0;
  UnixMillis due_ms = 0;
  std::string topic;  ///< empty: it was deleted
  PartitionIndex partition = 0;
  std::uint32_t bytes = 0;
};

class Admin {
 public:
  explicit Admin(Connection& connection) noexcept : connection_(&connection) {}

  /// Errors: BadTopicName, TopicExists, UnknownSetting, BadSetting, MemoryFull, DiskBudget,
  /// LimitReached, Unsupported. `partitions` 0: what the settings say, else 1.
  [[nodiscard]] Result<CreatedTopic> create_topic(const std::string& name, std::uint32_t partitions,
                                                  const std::vector<TopicSetting>& settings,
                                                  Deadline deadline = usual());
  /// Ends the use of attached clients (TopicGone). Errors: UnknownTopic.
  [[nodiscard]] Result<void> delete_topic(const std::string& name, Deadline deadline = usual());
  /// Errors: UnknownTopic, UnknownSetting, BadSetting, FixedSetting.
  [[nodiscard]] Result<void> alter_topic(const std::string& name,
                                         const std::vector<TopicSetting>& settings,
                                         Deadline deadline = usual());
  /// In the order of their names.
  /// `internal`: the broker's own topics, too.
  [[nodiscard]] Result<std::vector<TopicSummary>> list_topics(Deadline deadline = usual(),
                                                              bool internal = false);
  /// Errors: UnknownTopic.
  [[nodiscard]] Result<TopicDescription> describe_topic(const std::string& name,
                                                        Deadline deadline = usual());

  [[nodiscard]] Result<std::vector<GroupListing>> list_groups(Deadline deadline = usual());
  /// Errors: UnknownGroup.
  [[nodiscard]] Result<std::vector<GroupPartition>> describe_group(const std::string& group,
                                                                   Deadline deadline = usual());
  /// The same, its mode and the members of a queue.
  [[nodiscard]] Result<GroupDescription> describe_whole_group(const std::string& group,
                                                              Deadline deadline = usual());
  /// Without `execute` it only tells what would be; with it the positions are durable when it
  /// returns, and until then the Connection's other calls to the broker wait. Errors: UnknownGroup,
  /// GroupBusy, LimitReached (moved; more partitions than an answer can name); Timeout,
  /// ConnectionLost: moved, and not known to be durable.
  [[nodiscard]] Result<std::vector<GroupMove>> seek_group(const std::string& group,
                                                          const GroupSeek& to, bool execute,
                                                          Deadline deadline = usual());
  /// Durable when it returns. Errors: UnknownGroup, GroupBusy; Timeout, ConnectionLost as of
  /// seek_group.
  [[nodiscard]] Result<void> delete_group(const std::string& group, Deadline deadline = usual());

  /// Pending delayed records, oldest id first, of one topic or (empty) of all that this user may
  /// produce to; `visit` false ends it. Errors: UnknownTopic.
  [[nodiscard]] Result<void> list_delayed(const std::string& topic,
                                          const std::function<bool(const DelayedRecord&)>& visit,
                                          Deadline deadline = usual());
  /// It will not be delivered. Errors: UnknownDelayed (no such id, or delivered already).
  [[nodiscard]] Result<void> cancel_delayed(Offset id, Deadline deadline = usual());
  [[nodiscard]] Result<InstanceStatus> status(Deadline deadline = usual());
  [[nodiscard]] Result<std::vector<ClientDescription>> list_clients(Deadline deadline = usual());

 private:
  [[nodiscard]] static Deadline usual() noexcept { return Deadline::after_ms(30'000); }
  Connection* connection_;
};

}  // namespace mallbots::client
