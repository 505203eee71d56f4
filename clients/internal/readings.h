// Readings: the partitions that one consumer reads, with the topics they belong to, and how they
// come through a replacement of the broker.
//
// A reading whose cursor is gone (the session or the memory was replaced) keeps its position and
// gets a new cursor as soon as the broker answers. From the consumer's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clients/internal/cursor.h"

namespace mallbots::client {

struct Reading {
  TopicPartition where;
  TopicMemory* topic = nullptr;
  std::unique_ptr<Cursor> cursor;  ///< null: waits for the broker
  Position kept;                   ///< while there is no cursor
  bool in_group = false;
  std::uint32_t group_generation = 0;
  std::optional<std::uint32_t> group_cell;
  Offset stored = kNoOffset;  ///< position last committed
  bool paused = false;
  bool blocked = false;  ///< the last read wanted the broker

  [[nodiscard]] Offset next_offset() const noexcept {
    return cursor ? cursor->next_offset() : kept.offset;
  }
};

class Readings {
 public:
  Readings(Link& link, const ConsumerOptions& options) : link_(&link), options_(options) {}

  [[nodiscard]] Link& link() const noexcept { return *link_; }
  [[nodiscard]] std::vector<std::unique_ptr<Reading>>& all() noexcept { return readings_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Reading>>& all() const noexcept {
    return readings_;
  }
  [[nodiscard]] Reading* find(const TopicPartition& where) const noexcept;
  [[nodiscard]] Reading* find(std::uint64_t topic_id, PartitionIndex partition) const noexcept;

  /// The topic, opened to consume if it is not yet, and opened anew if it was deleted since:
  /// another one may have its name now. Errors: as TopicMemory::open().
  [[nodiscard]] Result<TopicMemory*> topic(const std::string& name, Deadline deadline);
  [[nodiscard]] TopicMemory* known_topic(std::uint64_t topic_id) const noexcept;
  /// Adds a reading at `next`; its cursor is made now if the broker answers, else later.
  Reading& add(TopicMemory& topic, PartitionIndex partition, Offset next);
  /// Gives its cell back (a group's cells are the coordinator's). False: the broker did not answer;
  /// the cell is free when the session ends.
  bool remove(const Reading& reading);
  /// The same for all, but does not go on asking a broker that does not answer.
  void remove_all();
  void remove_group();
  [[nodiscard]] bool durable_only(const TopicMemory& topic, bool in_group) const noexcept;

  /// Where `start` is in that partition. Errors: BadPosition, ConnectionLost, Timeout.
  [[nodiscard]] Result<Offset> find_start(Reading& reading, const Start& start, Deadline deadline);
  /// Makes the cursors that are missing; setbacks found meanwhile go to `setbacks`.
  [[nodiscard]] Result<void> complete(Deadline deadline, std::vector<Setback>& setbacks);

  enum class Attached : std::uint8_t { kSame, kResumed, kAnew, kAway };
  /// After a new attachment: opens the topics again. kAnew: cells of groups are void. A topic that
  /// cannot be had any more goes with its readings, for the reason appended to `gone`.
  [[nodiscard]] Attached reattach(Deadline deadline, std::vector<Error>& gone);

 private:
  [[nodiscard]] Result<void> make_cursor(Reading& reading, Deadline deadline,
                                         std::vector<Setback>& setbacks);
  static void keep_position(Reading& reading);
  void release_deleted();

  Link* link_;
  ConsumerOptions options_;
  std::map<std::string, std::unique_ptr<TopicMemory>> topics_;
  /// Replaced by a topic of the same name; while readings hang on them.
  std::vector<std::unique_ptr<TopicMemory>> deleted_;
  std::vector<std::unique_ptr<Reading>> readings_;
};

}  // namespace mallbots::client
