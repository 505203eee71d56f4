// ProducerNames: under which names producers append to which topics, and how far the log has what
// each of them sent. FORMAT.md, "State files" (`producers`); RECOVERY.md, "Producers with a name".
//
// Control thread only. The names are durable before a holder is answered. The last sequences are
// read from the records as these become durable, and saved now and then, so that a start has little
// to read; a record of a name says more than any checkpoint. Retention takes no record whose
// sequence is not saved.
//
// Errors: Io, DiskFull, Corrupt, WrongVersion (the file); those of LogReader.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/log/log_reader.h"
#include "shm/base/clock.h"

namespace mallbots::broker {

class ProducerNames {
 public:
  static constexpr std::size_t kMaxNames = 65'536;
  static constexpr std::uint64_t kSaveBytes = 64ULL << 20;
  static constexpr BootNanos kSaveAfter = 5 * kSecond;

  struct Holder {
    std::uint64_t producer_id = 0;
    std::uint32_t epoch = 0;  ///< not 0
  };
  using Partitions = std::vector<Partition*>;

  ProducerNames(Disk& disk, std::string path, BootNanos keep_ns);

  /// A missing file: no names.
  [[nodiscard]] Result<void> load();
  /// At a start, once the topic is open: reads what lies behind the checkpoints. `say` gets one
  /// sentence per finding.
  [[nodiscard]] Result<void> follow(TopicId topic, const Partitions& partitions,
                                    const std::function<void(const std::string&)>& say);
  /// After the last follow(): topics that are gone have no names.
  void forget_unfollowed();
  /// Before the partitions go.
  void forget(TopicId topic) { topics_.erase(topic); }

  /// The name has a new holder, durably. `is_seated`: that producer id is in use, so its name
  /// stays. Errors: BadArgument (name), LimitReached.
  [[nodiscard]] Result<Holder> take(TopicId topic, const Partitions& partitions,
                                    const std::string& name,
                                    const std::function<bool(std::uint64_t)>& is_seated);
  [[nodiscard]] bool is_current(TopicId topic, const Holder& holder) const;
  /// Of that producer, durable or not; nobody else may append as it meanwhile. 0: none.
  [[nodiscard]] Result<std::uint64_t> last_sequence(TopicId topic, PartitionIndex partition,
                                                    std::uint64_t producer_id);
  /// Its last use was now.
  void touch(std::uint64_t producer_id);

  /// Reads on, and saves what is due. An error is told once per failure; it is tried again.
  [[nodiscard]] Result<void> duty(BootNanos now, BootNanos& next_look);
  /// Everything durable is read and saved: the next start reads nothing.
  [[nodiscard]] Result<void> finish();

 private:
  struct Name {
    Holder holder;
    BootNanos used_ns = 0;
  };
  struct Checkpoint {
    Offset offset = 0;
    std::map<std::uint64_t, std::uint64_t> last;  ///< sequence by producer id
  };
  struct Follower {
    Follower(Disk& disk, Partition& of) : partition(&of), reader(disk, of, ReadUpTo::kDurable) {}
    Partition* partition;
    LogReader reader;
    std::uint64_t lost = 0;  ///< offsets that were not there to be read
    std::map<std::uint64_t, std::uint64_t> last;
  };
  struct TopicNames {
    std::map<std::string, Name> names;
    std::map<std::uint64_t, std::string> by_id;
    std::vector<Checkpoint> saved;  ///< until it is followed
    std::vector<Follower> partitions;
  };

  [[nodiscard]] Result<bool> read_on(TopicNames& topic, Follower& follower, std::uint64_t bytes);
  void forget_unused(const std::function<bool(std::uint64_t)>& is_seated);
  void erase(TopicNames& topic, std::uint64_t producer_id);
  [[nodiscard]] std::size_t count() const;
  [[nodiscard]] std::vector<std::byte> encoded() const;
  [[nodiscard]] Result<void> save();

  Disk& disk_;
  std::string path_;
  BootNanos keep_ns_;
  std::map<TopicId, TopicNames> topics_;
  std::uint64_t unsaved_bytes_ = 0;
  BootNanos unsaved_since_ = 0;  ///< 0: all is saved
  BootNanos not_before_ = 0;     ///< after a failure
};

}  // namespace mallbots::broker
