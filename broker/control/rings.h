// Rings: who has which ingest ring, from OpenRing to the end of its session, over restarts of the
// broker; and the sequencer that serves them.
//
// What a restarted broker needs is with the keeper (the memory) and in the registry (whose it is)
// before the client hears of it, and goes from there in the other order. restore() gives each ring
// that still has its session and partition to the sequencer with what the slots say of its
// producer; only then does the sequencer begin.
//
// Control thread. Errors: LimitReached (rings of the session, of the instance, descriptors),
// MemoryFull, BadArgument.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "broker/control/sessions.h"
#include "broker/log/topics.h"
#include "broker/sequencer/sequencer.h"

namespace mallbots::broker {

class Rings {
 public:
  struct Parts {
    KeeperLink& keeper;
    shm::Registry& registry;
    Sessions& sessions;
    Topics& topics;
    int broker_eventfd;  ///< wakes the control thread
  };
  struct Limits {
    std::uint64_t bytes_per_second = kGiB;  ///< of a session
    std::uint32_t per_session = 256;
  };
  /// What decides over entries of a partition; null: nothing but the sequence.
  using AdmissionOf = std::function<std::shared_ptr<Admission>(Topic&, PartitionIndex)>;

  [[nodiscard]] static Result<std::unique_ptr<Rings>> make(const Parts& parts,
                                                           const Limits& limits);
  /// Before restore().
  void on_partition(AdmissionOf admission_of) { admission_of_ = std::move(admission_of); }
  /// What a predecessor left, if the memory was kept; then the sequencer begins.
  [[nodiscard]] Result<void> restore();

  struct Opened {
    shm::OpenRingReply reply;
    shm::UniqueFd memory;
    shm::UniqueFd wake;
  };
  /// `topic` is sequenced, and the session may produce to it.
  [[nodiscard]] Result<Opened> open(Session& who, Topic& topic, const shm::OpenRing& wanted);
  /// BadArgument: not one of the session's.
  [[nodiscard]] Result<void> close(SessionIndex who, std::uint32_t ring);

  /// The process is dead, or said Goodbye: what it had handed in is served still. Expelled: not.
  void session_ended(SessionIndex session, bool serve_rest);
  /// Closes rings of sessions that may no longer produce there.
  void recheck(Topic& topic, const std::function<bool(const Session&)>& may_produce);
  /// Right after Topics::remove(): the next duty() of the topics frees what the sequencer uses.
  void topic_gone(Topic& topic);

  [[nodiscard]] std::size_t count() const noexcept { return rings_.size(); }
  /// Entries handed in and not answered, as the clients count them.
  [[nodiscard]] std::uint64_t depth() const;
  [[nodiscard]] const SequencerCounters& counters() const { return sequencer_->counters(); }

 private:
  struct Ring {
    SessionIndex session = 0;
    PartitionId partition{};
    std::uint64_t producer_id = 0;
    shm::UniqueFd fd;
    std::shared_ptr<shm::Mapping> memory;
  };
  Rings(const Parts& parts, const Limits& limits) : parts_(parts), limits_(limits) {}
  [[nodiscard]] Result<void> open_wake();
  [[nodiscard]] Result<std::uint32_t> free_place(SessionIndex session) const;
  [[nodiscard]] Result<Ring> make_ring(Topic& topic, PartitionIndex partition,
                                       std::uint64_t producer_id, std::size_t data_bytes);
  [[nodiscard]] Result<Opened> answer(const Session& who, std::uint32_t place);
  [[nodiscard]] std::shared_ptr<IngestBudget> budget_of(SessionIndex session);
  /// Corrupt: an event topic without its index of streams, whose versions nobody could check.
  [[nodiscard]] Result<void> know_partition(Topic& topic, PartitionIndex partition);
  [[nodiscard]] Result<void> take_left();
  void serve_left(Topic& topic, PartitionIndex partition);
  void drop(std::uint32_t place, bool serve_rest);

  Parts parts_;
  Limits limits_;
  AdmissionOf admission_of_;
  shm::UniqueFd wake_;
  std::unique_ptr<Sequencer> sequencer_;
  std::set<PartitionId> sequencer_knows_;
  std::map<std::uint32_t, Ring> rings_;  ///< by place in the registry
  std::map<SessionIndex, std::weak_ptr<IngestBudget>> budgets_;
};

}  // namespace mallbots::broker
