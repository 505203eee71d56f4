#include "broker/groups/assignment.h"

#include <algorithm>

namespace mallbots::broker {
namespace {

using Cost = std::int64_t;

/// A possible step. Nodes: members, then topics, then the one node through which load is given
/// and taken. member -> topic: it gives up a partition of that topic; topic -> member: a subscriber
/// takes it; member -> member: a partition returns to its holder.
struct Edge {
  std::size_t from;
  std::size_t to;
  Cost cost;
  std::size_t partition;  ///< the one that moves; kNobody: none is named by this edge
};

class Planner {
 public:
  Planner(std::span<const PlanMember> members, std::span<const PlanPartition> partitions)
      : members_(members),
        partitions_(partitions),
        heavy_(static_cast<Cost>(partitions.size()) + 1),
        target_(partitions.size(), kNobody),
        load_(members.size(), 0) {
    for (std::size_t member = 0; member < members.size(); ++member) {
      for (const std::size_t topic : members[member].topics) {
        if (topic >= subscribers_.size()) subscribers_.resize(topic + 1);
        subscribers_[topic].push_back(member);
      }
    }
  }

  std::vector<std::size_t> run() {
    place();
    while (improve()) {
    }
    return target_;
  }

 private:
  [[nodiscard]] bool may_have(std::size_t member, std::size_t partition) const {
    const std::size_t topic = partitions_[partition].topic;
    if (member == kNobody || topic >= subscribers_.size()) return false;
    return std::ranges::binary_search(subscribers_[topic], member);
  }
  void give(std::size_t partition, std::size_t member) {
    if (target_[partition] != kNobody) --load_[target_[partition]];
    target_[partition] = member;
    ++load_[member];
  }

  /// Everything stays where it is or was promised; the rest goes to the least loaded.
  void place() {
    std::vector<std::size_t> rest;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
      const PlanPartition& partition = partitions_[i];
      if (may_have(partition.holder, i)) {
        give(i, partition.holder);
      } else if (may_have(partition.preferred, i)) {
        give(i, partition.preferred);
      } else {
        rest.push_back(i);
      }
    }
    for (const std::size_t i : rest) {
      const std::size_t topic = partitions_[i].topic;
      if (topic >= subscribers_.size() || subscribers_[topic].empty()) continue;
      give(i, *std::ranges::min_element(subscribers_[topic], {},
                                        [&](std::size_t member) { return load_[member]; }));
    }
  }

  [[nodiscard]] std::size_t topic_node(std::size_t topic) const { return members_.size() + topic; }
  [[nodiscard]] std::size_t load_node() const { return members_.size() + subscribers_.size(); }

  /// All steps possible now. One move weighs 1; evening out by one weighs more than all moves.
  [[nodiscard]] std::vector<Edge> edges() const {
    std::vector<Edge> all;
    // The cheapest partition that a member can give up, per topic: first one that it never had.
    std::vector<std::vector<std::size_t>> seen(subscribers_.size());
    for (const bool costs : {false, true}) {
      for (std::size_t i = 0; i < partitions_.size(); ++i) {
        const std::size_t member = target_[i];
        if (member == kNobody || (partitions_[i].holder == member) != costs) continue;
        const std::size_t topic = partitions_[i].topic;
        auto& known = seen[topic];
        if (known.empty()) known.assign(members_.size(), 0);
        if (known[member]++ == 0) all.push_back({member, topic_node(topic), costs ? 1 : 0, i});
        if (!costs && may_have(partitions_[i].holder, i)) {
          all.push_back({member, partitions_[i].holder, -1, i});
        }
      }
    }
    for (std::size_t topic = 0; topic < subscribers_.size(); ++topic) {
      if (seen[topic].empty()) continue;
      for (const std::size_t member : subscribers_[topic]) {
        all.push_back({topic_node(topic), member, 0, kNobody});
      }
    }
    for (std::size_t member = 0; member < members_.size(); ++member) {
      const Cost load = load_[member];
      if (load > 0) all.push_back({load_node(), member, heavy_ * (1 - 2 * load), kNobody});
      all.push_back({member, load_node(), heavy_ * (2 * load + 1), kNobody});
    }
    return all;
  }

  /// Takes one cycle of negative cost, if there is one (Bellman and Ford, stopped as soon as the
  /// predecessors close a circle).
  bool improve() {
    const std::vector<Edge> all = edges();
    const std::size_t nodes = load_node() + 1;
    std::vector<Cost> distance(nodes, 0);
    std::vector<const Edge*> before(nodes, nullptr);
    for (bool changed = true; changed;) {
      changed = false;
      for (const Edge& edge : all) {
        if (distance[edge.from] + edge.cost >= distance[edge.to]) continue;
        distance[edge.to] = distance[edge.from] + edge.cost;
        before[edge.to] = &edge;
        changed = true;
      }
      const std::size_t on_cycle = changed ? find_cycle(before) : kNobody;
      if (on_cycle == kNobody) continue;
      take(before, on_cycle);
      return true;
    }
    return false;
  }

  static std::size_t find_cycle(const std::vector<const Edge*>& before) {
    std::vector<std::size_t> visit(before.size(), 0);
    for (std::size_t start = 0; start < before.size(); ++start) {
      std::size_t node = start;
      while (visit[node] == 0 && before[node] != nullptr) {
        visit[node] = start + 1;
        node = before[node]->from;
      }
      if (visit[node] == start + 1) return node;
    }
    return kNobody;
  }

  void take(const std::vector<const Edge*>& before, std::size_t on_cycle) {
    std::size_t taker = kNobody;  // walking backwards, the taker comes before what it takes
    std::size_t node = on_cycle;
    // Begin at a member that is not about to be reached through a topic.
    while (node >= members_.size() && node != load_node()) node = before[node]->from;
    const std::size_t first = node;
    do {
      const Edge& edge = *before[node];
      if (edge.from < load_node() && edge.from >= members_.size()) {
        taker = edge.to;
      } else if (edge.partition != kNobody) {
        give(edge.partition, edge.to < members_.size() ? edge.to : taker);
      }
      node = edge.from;
    } while (node != first);
  }

  std::span<const PlanMember> members_;
  std::span<const PlanPartition> partitions_;
  Cost heavy_;
  std::vector<std::size_t> target_;
  std::vector<Cost> load_;
  std::vector<std::vector<std::size_t>> subscribers_;  ///< of each topic, ascending
};

}  // namespace

std::vector<std::size_t> plan_assignment(std::span<const PlanMember> members,
                                         std::span<const PlanPartition> partitions) {
  return Planner{members, partitions}.run();
}

}  // namespace mallbots::broker
