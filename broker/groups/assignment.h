// Who shall have which partition: the plan of a group, as a pure function.
//
// Called by the coordinator whenever members, topics or partitions of a group changed. Partitions
// go only to members subscribed to their topic. The plan is the one that first evens out the loads
// as far as subscriptions allow (the least sum of squares; with equal subscriptions loads differ by
// at most one), then takes the fewest partitions away from who has them. A plan that is already
// reached stays as it is. Deterministic.
//
// It is a minimum-cost flow: each improvement is a cycle of negative cost in the graph of possible
// moves (Ahuja, Magnanti, Orlin, "Network Flows", 1993, section 9.6); without one, none is left.
// Cost: about (members x topics subscribed + partitions) per partition moved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mallbots::broker {

inline constexpr std::size_t kNobody = ~std::size_t{0};

struct PlanMember {
  std::vector<std::size_t> topics;  ///< any dense numbers, each once
};

struct PlanPartition {
  std::size_t topic = 0;
  std::size_t holder = kNobody;     ///< taking it away from this member costs one move
  std::size_t preferred = kNobody;  ///< without a holder: where it was promised to; costs nothing
};

/// For each partition the member that shall have it, or kNobody if nobody subscribes to its topic.
[[nodiscard]] std::vector<std::size_t> plan_assignment(std::span<const PlanMember> members,
                                                       std::span<const PlanPartition> partitions);

}  // namespace mallbots::broker
