// GroupMember: the membership of one consumer in one group: join, take assignments, give back,
// commit. What it reads are the consumer's Readings.
//
//   out ──join──▶ waiting ──Assignment──▶ reading ──Assignment──▶ ...
//    ▲               ▲  broker replaced: join again      │
//    └── Notice Fenced, or a cell taken (expelled), leave ┘
//
// An assignment is the whole of what the member has from then on. What is not in it any more: its
// reading ends, its position is in its cell, and only then AssignmentDone lets another have it. A
// partition where the group has no position (reset=fail) is not read; the others are, and tend()
// says BadPosition once for each such assignment.
//
// Whoever is expelled sees it in its own page too (LAYOUT.md, "Session page"), whether a broker
// serves or not: a commit that returned without an error counts.
// From the consumer's thread.
#pragma once

#include <string>
#include <vector>

#include "clients/internal/readings.h"

namespace mallbots::client {

class GroupMember {
 public:
  GroupMember(Readings& readings, const ConsumerOptions& options)
      : readings_(&readings), options_(&options) {}

  [[nodiscard]] bool is_member() const noexcept { return !group_.empty(); }
  [[nodiscard]] const std::string& group() const noexcept { return group_; }

  [[nodiscard]] Result<void> join(std::span<const std::string> topics, const std::string& group,
                                  const std::string& instance, Deadline deadline);
  [[nodiscard]] Result<void> leave(Deadline deadline);
  /// After a new attachment. `anew`: its cells are void, so its readings end here and come again.
  void attached_again(bool anew);
  /// Carries out what the broker has pushed; joins again if that is due.
  [[nodiscard]] Result<void> tend(Deadline deadline);
  /// The membership that a Notice speaks of is this one.
  [[nodiscard]] bool is_named_by(const shm::Notice& notice) const noexcept {
    return is_member() && notice.member_id == member_id_;
  }
  /// Its page says that it is no member any more: a cell was taken, or the session ended.
  [[nodiscard]] bool is_fenced() noexcept;
  /// A commit has found so; is_fenced() would, too.
  [[nodiscard]] bool was_refused() const noexcept { return refused_; }
  [[nodiscard]] Error fenced() const;
  /// The broker expelled it.
  void expelled();

  /// Stores the position of every partition of the group. Fenced: it is no member any more, and the
  /// commit may not count.
  [[nodiscard]] Result<void> commit_all();
  [[nodiscard]] Result<void> commit(Reading& reading, Offset next);
  [[nodiscard]] Result<void> commit_durable(Deadline deadline);

 private:
  [[nodiscard]] Result<void> send_join(Deadline deadline);
  [[nodiscard]] Result<void> know_topics(const shm::Assignment& assignment, Deadline deadline);
  [[nodiscard]] Result<void> apply(const shm::Assignment& assignment, Deadline deadline);
  void drop_lost(const shm::Assignment& assignment);

  Readings* readings_;
  const ConsumerOptions* options_;
  std::string group_;  ///< empty: in none
  std::string instance_;
  std::vector<std::string> topics_;
  std::uint64_t group_id_ = 0;
  std::uint64_t member_id_ = 0;
  bool join_due_ = false;
  bool refused_ = false;
};

}  // namespace mallbots::client
