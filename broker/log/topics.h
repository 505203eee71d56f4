// Topics: all topics of an instance, their boards and partitions; what the control plane calls, and
// the log's duties of the broker's loop. Control thread only.
//
// start() brings back what disk and keeper have; after it every topic can be appended to. From then
// on duty() is called on every turn of the loop, before it sleeps park(), after it woke unpark().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/log/partition.h"
#include "broker/log/producer_names.h"
#include "broker/log/session_pages.h"
#include "broker/log/topic_name.h"
#include "broker/storage/catalogue.h"
#include "broker/storage/epoch_log.h"

namespace mallbots::broker {

struct TopicsOptions {
  std::uint64_t memory_max_bytes = 0;
  std::uint64_t disk_max_bytes = ~std::uint64_t{0};
  std::uint64_t orphan_max_bytes = 64 * kMiB;
  unsigned recovery_threads = 2;
  BootNanos producer_keep_ns = 7 * 86'400 * kSecond;  ///< names of producers that nobody uses
};

class Topic {
 public:
  [[nodiscard]] TopicId id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// One of the broker's own (Topics::internal).
  [[nodiscard]] bool is_internal() const noexcept { return is_internal_name(name_); }
  [[nodiscard]] const TopicSettings& settings() const noexcept { return settings_; }
  [[nodiscard]] std::uint32_t partitions() const noexcept {
    return static_cast<std::uint32_t>(partitions_.size());
  }
  /// CHECKs the range: the caller has validated what a client said.
  [[nodiscard]] Partition& partition(PartitionIndex index);
  [[nodiscard]] const Partition& partition(PartitionIndex index) const;

  /// Descriptors to pass on. The board is always read-only.
  [[nodiscard]] Result<shm::UniqueFd> board_fd() const;
  [[nodiscard]] Result<shm::UniqueFd> knock_fd() const;
  /// Populated first, so that its memory is charged to the broker. UnknownTopic-like BadArgument if
  /// the slot is not (any more) one of the partition.
  [[nodiscard]] Result<shm::UniqueFd> slot_fd(PartitionIndex partition, std::uint64_t slot_id,
                                              bool writable);

  /// For whoever appends on another thread of the broker (sequenced topics).
  [[nodiscard]] SharedPartition shared(PartitionIndex index);

  /// Sessions that may not map the knock page sleep on their doorbell; this topic rings it.
  void add_doorbell(SessionIndex session);
  /// The broker itself waits for records of a topic without disk: every append wakes it.
  void set_watched(bool watched) noexcept { watched_ = watched; }

 private:
  friend class Topics;
  TopicId id_{};
  std::string name_;
  TopicSettings settings_;
  UnixMillis created_ms_ = 0;
  std::vector<PartitionId> partition_ids_;
  shm::UniqueFd board_fd_, knock_fd_, note_fd_;
  shm::Mapping board_map_, knock_map_, note_map_;
  std::vector<std::unique_ptr<Partition>> partitions_;
  std::vector<SessionIndex> doorbells_;
  bool watched_ = false;
  bool in_doubt_ = false;  ///< deleted, but a power cut may bring it back
  /// Somebody needs the broker for every record.
  [[nodiscard]] bool wants_all() const noexcept { return watched_ || !doorbells_.empty(); }

  [[nodiscard]] shm::BoardHeader& board() const noexcept {
    return *board_map_.as<shm::BoardHeader>();
  }
  [[nodiscard]] shm::KnockHeader& knock() const noexcept {
    return *knock_map_.as<shm::KnockHeader>();
  }
};

class Topics final : private PartitionEvents {
 public:
  struct Parts {
    Disk& disk;
    const DataDirectory& data;
    SparePool& spares;
    KeeperLink& keeper;
    SessionPages& sessions;
    shm::Registry& registry;
  };
  Topics(const Parts& parts, TopicsOptions options);
  ~Topics();

  /// `memory_kept`: the keeper holds a predecessor's memory. `log_line` gets one sentence per
  /// finding of recovery. A partition whose memory its producers may have overwritten goes into
  /// quarantine alone. Errors: Corrupt, Io, MemoryFull...
  [[nodiscard]] Result<void> start(bool memory_kept,
                                   const std::function<void(const std::string&)>& log_line);

  /// Durable when it returns. Errors: TopicExists, BadTopicName, MemoryFull, DiskBudget, DiskFull.
  [[nodiscard]] Result<Topic*> create(const std::string& name, const TopicSettings& settings);
  /// A topic of the broker's own, made with these settings if it is not there yet (its settings
  /// stay as they were made, but for alter()). Like any topic it is durable, recovered by start(),
  /// and counts for memory.max and disk.max. Errors: MemoryFull, DiskBudget, DiskFull.
  [[nodiscard]] Result<Topic*> internal(const std::string& name, const TopicSettings& settings);
  /// Revoke, seal, tell (TopicGone), unlink. Durable when it returns. After an error find() says
  /// which: the topic is as it was, or it is gone for everybody, and a power cut may bring it back
  /// with all that was durable. The Topic itself lives until the next duty().
  [[nodiscard]] Result<void> remove(const std::string& name);
  [[nodiscard]] Result<void> alter(const std::string& name, const TopicSettings& settings);
  [[nodiscard]] Topic* find(const std::string& name);
  [[nodiscard]] Topic* find(TopicId id);
  /// In the order of their names.
  [[nodiscard]] std::vector<Topic*> all();
  /// Without the broker's own.
  [[nodiscard]] std::vector<Topic*> users();

  /// `wanted`: the identity to go on with, if this session has it in that partition; else a new
  /// one is made. With an epoch it is that of a name: its one seat in the partition is then this
  /// session's. Errors: NameTaken, LimitReached.
  [[nodiscard]] Result<shm::OpenProducerReply> open_producer(SessionIndex session, Topic& topic,
                                                             PartitionIndex partition,
                                                             ProducerNames::Holder wanted = {});
  /// A new holder of that name; nothing more is appended by the older ones. Durable when it
  /// returns. Errors: BadArgument, Unsupported (memory, sequenced), LimitReached, Io, DiskFull.
  [[nodiscard]] Result<ProducerNames::Holder> name_producer(Topic& topic, const std::string& name);
  [[nodiscard]] Result<std::uint32_t> open_reader(SessionIndex session);

  /// One turn: slots, stalls, persisting, retention. The boot time by which to be called again;
  /// INT64_MAX if only an event can bring work.
  [[nodiscard]] BootNanos duty(BootNanos now);
  /// Before the loop sleeps: says so in every knock page, looks once more; false: something came
  /// in that the last duty() did not see, do not sleep.
  [[nodiscard]] bool park();
  void unpark();
  /// The process of the session is proven dead; its page still exists.
  void session_died(SessionIndex session);
  /// The session was revoked, but its process may live.
  void session_expelled(SessionIndex session);
  /// The next broker knocks on everything its predecessor may have owed.
  void wake_all();

  /// Marks boards closed, seals, persists, closes files. Called on each turn until true. Owners of
  /// a word get one stall limit.
  [[nodiscard]] bool drain(BootNanos now, BootNanos& next_look);
  /// After drain(): the next start is a clean one. It is not: Io (the disk failed), Corrupt (a
  /// partition in quarantine was not drained).
  [[nodiscard]] Result<void> write_clean_mark();

  [[nodiscard]] LogEpoch log_epoch() const noexcept { return epochs_->current(); }
  [[nodiscard]] const EpochLog& epochs() const noexcept { return *epochs_; }
  [[nodiscard]] std::uint64_t memory_bytes() const;
  [[nodiscard]] std::uint64_t orphan_bytes() const;
  [[nodiscard]] std::uint64_t disk_bytes() const;
  [[nodiscard]] std::uint64_t damaged_ranges() const noexcept { return damaged_ranges_; }
  /// The reserve of the file system is in use.
  [[nodiscard]] bool disk_full() const noexcept { return disk_full_; }
  /// Those in quarantine among them.
  [[nodiscard]] std::uint64_t readonly_partitions() const;
  [[nodiscard]] std::uint64_t quarantined_partitions() const;

  /// retention=consumed: below what it says every group is done with the partition; nothing if no
  /// group reads it.
  using Consumed = std::function<std::optional<Offset>(TopicId topic, PartitionIndex partition)>;
  void on_retention(Consumed consumed) { consumed_ = std::move(consumed); }

  /// Loud events, as one sentence for the log.
  void on_trouble(std::function<void(const std::string&)> say) { say_ = std::move(say); }

 private:
  void bad_producer(std::uint64_t producer_id, const std::string& reason) override;
  void damaged(TopicId topic, PartitionIndex partition, const BadRecords& bad) override;
  void health_changed(TopicId topic, PartitionIndex partition, StoreHealth health,
                      const Error& error) override;

  [[nodiscard]] Result<Topic*> make(const std::string& name, const TopicSettings& settings);
  [[nodiscard]] Result<std::unique_ptr<Topic>> build(const TopicEntry& entry, bool memory_kept);
  [[nodiscard]] Result<void> make_own_session();
  [[nodiscard]] Result<void> take_shared(Topic& topic);
  [[nodiscard]] Result<void> map_shared(Topic& topic);
  [[nodiscard]] Result<void> make_shared_memory(Topic& topic);
  [[nodiscard]] Result<std::vector<RecoveredPartition>> recover(const Topic& topic, bool kept,
                                                                bool clean);
  [[nodiscard]] Result<void> open_partitions(Topic& topic, bool kept,
                                             std::vector<RecoveredPartition> recovered);
  [[nodiscard]] Result<void> take_over(const Topic& topic, Partition& partition,
                                       RecoveredPartition recovered);
  [[nodiscard]] Result<void> save();
  [[nodiscard]] bool stays(TopicId id);
  void restore_producers();
  void forget_memory(Topic& topic);
  void bury();
  void look_at_space(BootNanos now, BootNanos& next_look);
  void retain(BootNanos now, BootNanos& next_look);
  [[nodiscard]] std::optional<Offset> consumed(const Topic& topic, PartitionIndex partition) const {
    if (!consumed_ || !topic.settings_.retention_consumed) return std::nullopt;
    return consumed_(topic.id_, partition);
  }
  void hold_orphans_down();
  void ring_doorbells(Topic& topic);
  struct Seat;
  using Seats = std::map<std::pair<std::uint64_t, PartitionId>, Seat>;
  Seats::iterator unseat(Topic& topic, Seats::iterator seat);
  [[nodiscard]] Result<void> follow_names(const std::function<void(const std::string&)>& log_line);
  void read_on_names(BootNanos now, BootNanos& next_look);

  /// A producer identity in a partition: who writes as that.
  struct Seat {
    SessionIndex session = 0;
    std::uint32_t cell = 0;
  };

  Parts parts_;
  TopicsOptions options_;
  shm::Mapping own_session_;  ///< the page of kBrokerSession; no client ever sees it
  std::optional<EpochLog> epochs_;
  std::map<std::string, std::unique_ptr<Topic>> topics_;
  std::map<TopicId, Topic*> by_id_;
  std::vector<TopicEntry> deleting_;           ///< their files are not all gone yet
  std::vector<std::unique_ptr<Topic>> dying_;  ///< deleted, with requests in flight
  Seats producers_;                            ///< by producer id and partition
  std::optional<ProducerNames> names_;
  bool names_failing_ = false;
  WallClockWatch wall_watch_;
  BootNanos next_space_look_ = 0;
  BootNanos next_retention_ = 0;
  BootNanos drain_since_ = 0;
  bool disk_full_ = false;
  std::uint64_t damaged_ranges_ = 0;
  std::function<void(const std::string&)> say_;
  Consumed consumed_;
};

}  // namespace mallbots::broker
