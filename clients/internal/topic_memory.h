// TopicMemory: one topic as this process has it open: board, knock page, and what to do when the
// broker was replaced.
//
// Owned by a Producer or Consumer, used from its thread. What came over the socket is checked once,
// here; readers of the board trust its sizes afterwards (the mapping is read-only, sealed against
// shrinking, and written by the broker alone).
#pragma once

#include <memory>
#include <string>

#include "clients/internal/link.h"
#include "shm/concurrent/partition.h"
#include "shm/layout/board.h"
#include "shm/layout/knock.h"

namespace mallbots::client {

class TopicMemory {
 public:
  /// Errors: UnknownTopic, NotPermitted, BadTopicName, Corrupt, WrongVersion, ConnectionLost.
  [[nodiscard]] static Result<std::unique_ptr<TopicMemory>> open(Link& link,
                                                                 const std::string& name,
                                                                 shm::Intent intent,
                                                                 Deadline deadline);

  /// True if there was a new attachment since this was opened: reopen() is due. One load.
  [[nodiscard]] bool is_stale() const noexcept { return link_->attachment() != attachment_.number; }
  enum class Reopened : std::uint8_t {
    kSame,   ///< same session, same memory: everything made on it goes on
    kOther,  ///< everything made on it must be made anew; `this` is the new one
  };
  /// After a new attachment. What was made on the old memory may be destroyed after a kOther; the
  /// old memory goes with release_old().
  [[nodiscard]] Result<Reopened> reopen(Deadline deadline);
  void release_old() noexcept { old_ = {}; }

  [[nodiscard]] Link& link() const noexcept { return *link_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t attachment() const noexcept { return attachment_.number; }
  [[nodiscard]] const Session& session() const noexcept { return *attachment_.session; }

  [[nodiscard]] const shm::BoardHeader& header() const noexcept {
    return *parts_.board.as<shm::BoardHeader>();
  }
  /// `partition` below header().partitions.
  [[nodiscard]] const shm::PartitionBoard& board(PartitionIndex partition) const noexcept;
  /// Null: this session may not knock; it sleeps on its doorbell.
  [[nodiscard]] shm::KnockHeader* knock_header() const noexcept;
  [[nodiscard]] shm::KnockLine* knock(PartitionIndex partition) const noexcept;
  /// The memory of `epoch` was lost: the first offset that does not name the same record any more.
  /// Asks the broker. Errors: as Link::ask_on.
  [[nodiscard]] Result<Offset> end_of_epoch(PartitionIndex partition, LogEpoch epoch,
                                            Deadline deadline) const;
  [[nodiscard]] std::uint64_t topic_id() const noexcept { return header().topic_id; }
  [[nodiscard]] PartitionIndex partitions() const noexcept { return header().partitions; }
  [[nodiscard]] bool has(shm::TopicFlag flag) const noexcept {
    return (header().flags & static_cast<std::uint32_t>(flag)) != 0;
  }
  [[nodiscard]] shm::BoardState state() const noexcept {
    return static_cast<shm::BoardState>(header().state.load());
  }
  /// For Appender and PartitionReader.
  [[nodiscard]] shm::PartitionParts parts(PartitionIndex partition,
                                          shm::SlotSource& slots) const noexcept;
  /// What to sleep on until the durable position moves, or a slot is there: the doorbell for those
  /// who may not knock.
  [[nodiscard]] std::atomic<std::uint32_t>& durable_word(PartitionIndex partition) const noexcept;
  [[nodiscard]] std::atomic<std::uint32_t>& room_word(PartitionIndex partition) const noexcept;
  /// Says that somebody waits for the partition's durable position, and wakes the broker for it.
  /// Who may not knock asks through its ingest ring instead.
  void ask_for_flush(PartitionIndex partition) const noexcept;
  /// `TOPIC/PARTITION`, for error texts.
  [[nodiscard]] std::string place(PartitionIndex partition) const;
  /// Corrupt if the broker has put the partition into quarantine: nothing more comes of it.
  [[nodiscard]] Result<void> check_served(PartitionIndex partition) const;
  /// BadPartition unless there is one of that number.
  [[nodiscard]] Result<void> check_partition(PartitionIndex partition) const;

 private:
  struct Parts {
    shm::UniqueFd board_fd;
    shm::Mapping board;
    shm::Mapping knock;
    Attachment attachment;
  };
  TopicMemory(Link& link, std::string name, shm::Intent intent)
      : link_(&link), name_(std::move(name)), intent_(intent) {}
  [[nodiscard]] Result<Parts> fetch(Deadline deadline) const;

  Link* link_;
  std::string name_;
  shm::Intent intent_;
  Attachment attachment_;
  Parts parts_;
  Parts old_;
};

}  // namespace mallbots::client
