// Random histories of a group against the referee of fake_groups.h: joins, deaths, acknowledgements
// and restarts in any order. After each history the world is left to settle, and then everything
// must be assigned, evenly, to exactly one member.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "tests/broker/groups/fake_groups.h"

namespace mallbots::test {
namespace {

using broker::ResetTo;

constexpr SessionIndex kClients = 7;
constexpr SessionIndex kNamed = 3;  ///< sessions below this one are static members
constexpr std::array kTopics = {"a", "b", "c"};
constexpr std::array kGroups = {"g", "h"};

/// Many short histories find more than a few long ones, and shrink better.
const bool kManyRuns = [] {
  return ::setenv("RC_PARAMS", "max_success=4000 max_size=120", 0) == 0;
}();

/// One step: what to do, and two numbers to choose whom and how much.
struct Op {
  std::uint8_t kind;
  std::uint8_t who;
  std::uint8_t much;
};
void showValue(const Op& op, std::ostream& out) {
  out << "{" << +op.kind << ", " << +op.who << ", " << +op.much << "}";
}

class History {
 public:
  History(bool same_topics, bool restarts) : same_topics_(same_topics), restarts_(restarts) {
    ids_["a"] = world.add_topic("a", 5);
    ids_["b"] = world.add_topic("b", 3, ResetTo::kEnd);
    ids_["c"] = world.add_topic("c", 1);
  }

  void run(const Op& op) {
    const SessionIndex who = op.who % kClients;
    const std::string group = kGroups[op.who / kClients % 2];
    switch (op.kind % 20) {
      case 0:
      case 1:
      case 2:
        return join(who, group, op.much);
      case 3:
        return world.leave(who, group);
      case 4:
        return world.kill(who);
      case 5:
      case 6:
      case 7:
      case 8:
        return static_cast<void>(world.poll(who, group));
      case 9:
      case 10:
      case 11:
        return world.consume(who, group, op.much % 16);
      case 12:
        return append(op.who, op.much);
      case 13:
        world.flush();
        return op.much % 2 == 0 ? world.sync() : void();
      case 14:
        return world.pass_time((op.much % 4) * kSecond);
      case 15:
        return op.much % 8 == 0 ? world.pass_time(400 * kSecond) : void();
      case 16:
        world.client(who).stuck = op.much % 2 == 0;
        return;
      case 17:
        return admin(op.who, op.much, group);
      case 18:
        return restart(op.much);
      default:
        return commit(who, group);
    }
  }

  /// Everybody does what it should, and nothing more happens.
  void settle() {
    for (SessionIndex who = 0; who < kClients; ++who) world.client(who).stuck = false;
    for (int round = 0; round < 3; ++round) {
      world.rejoin_all();
      world.poll_all();
      world.pass_time(12 * kSecond);
    }
    world.poll_all();
    world.clear_said();
    world.flush();
    world.sync();
  }

  void check_settled() {
    for (const std::string group : kGroups) {
      std::map<std::string, SessionIndex> owner;
      std::map<SessionIndex, std::set<std::string>> topics;
      for (const auto& [session, client] : world.clients()) {
        const auto found = client.groups.find(group);
        if (!client.alive || found == client.groups.end()) continue;
        RC_ASSERT(!found->second.fenced);
        const auto& names = found->second.request.topics;
        topics[session] = {names.begin(), names.end()};
      }
      for (const auto& [session, names] : topics) {
        for (const std::string& partition : world.reading(session, group)) {
          RC_ASSERT(names.contains(partition.substr(0, 1)));  // only subscribers read it
          RC_ASSERT(owner.emplace(partition, session).second);
        }
      }
      check_complete(owner, topics);
      check_even(owner, topics);
      check_described(group, owner);
    }
    RC_ASSERT(world.said().rows.empty() || world.said().pushed.empty());
  }

  FakeGroups world;

 private:
  using Owners = std::map<std::string, SessionIndex>;
  using Subscriptions = std::map<SessionIndex, std::set<std::string>>;

  void join(SessionIndex who, const std::string& group, std::uint8_t much) {
    std::vector<std::string> topics;
    for (std::size_t i = 0; i < kTopics.size(); ++i) {
      const bool wanted = same_topics_ || (much >> i) % 2 == 1;
      if (wanted && ids_.contains(kTopics[i])) topics.emplace_back(kTopics[i]);
    }
    // Two sessions share the name "n0", so that one replaces the other.
    const std::string instance = who < kNamed ? "n" + std::to_string(who % 2) : "";
    const auto joined = world.join(who, group, topics, instance, much % 3 != 0);
    RC_ASSERT(joined || topics.empty());
  }
  void append(std::uint8_t which, std::uint8_t much) {
    const std::string name = kTopics[which % kTopics.size()];
    if (!ids_.contains(name)) return;
    for (PartitionIndex i = 0; i < world.topics()[ids_[name]].partitions; ++i) {
      auto& log = world.log_of(ids_[name], i);
      log.end += much % 32;
      if (much % 2 == 0) log.durable += (log.end - log.durable) / (1 + much % 3);
      if (much % 16 == 0) log.start += (log.durable - log.start) / 4;
    }
  }
  void admin(std::uint8_t which, std::uint8_t much, const std::string& group) {
    const std::string name = kTopics[which % kTopics.size()];
    auto& coordinator = world.coordinator();
    if (much % 4 == 0 && ids_.contains(name)) {
      world.delete_topic(ids_[name]);
      ids_.erase(name);
    } else if (much % 4 < 3 && !ids_.contains(name)) {
      ids_[name] = world.add_topic(name, 1 + much % 5);
    } else if (much % 8 == 3) {
      if (const auto deleted = coordinator.delete_group(group)) world.execute(*deleted);
    } else if (much % 8 == 7) {
      const auto sought = coordinator.seek(
          {.group = group, .to = shm::SeekTo::kBackward, .value = which, .execute = true});
      if (!sought) return;
      world.execute(sought->actions);
      for (const shm::SeekRow& row : sought->rows) {
        world.expect_position({group, ids_.at(row.topic), row.partition}, row.to_offset);
      }
    }
  }
  void restart(std::uint8_t much) {
    if (!restarts_) return;
    if (much % 8 == 0) return world.power_cut();
    world.restart_broker();
    if (much % 2 == 0) world.rejoin_all();
  }
  void commit(SessionIndex who, const std::string& group) {
    const auto found = world.client(who).groups.find(group);
    if (found == world.client(who).groups.end()) return;
    const auto done = world.coordinator().commit_durable(who, found->second.group_id, 1);
    if (done) world.execute(*done);
  }

  /// Each partition of a subscribed topic is read by somebody.
  void check_complete(const Owners& owner, const Subscriptions& topics) {
    for (const auto& [id, topic] : world.topics()) {
      const bool wanted = std::ranges::any_of(
          topics, [&](const auto& entry) { return entry.second.contains(topic.name); });
      for (PartitionIndex i = 0; i < topic.partitions; ++i) {
        RC_ASSERT(owner.contains(topic.name + "/" + std::to_string(i)) == wanted);
      }
    }
  }
  /// No partition could go to a subscriber who has two less.
  static void check_even(const Owners& owner, const Subscriptions& topics) {
    std::map<SessionIndex, std::size_t> load;
    for (const auto& [partition, session] : owner) ++load[session];
    for (const auto& [partition, session] : owner) {
      for (const auto& [other, names] : topics) {
        if (names.contains(partition.substr(0, 1))) RC_ASSERT(load[session] <= load[other] + 1);
      }
    }
  }
  /// The coordinator says the same as its clients do.
  void check_described(const std::string& group, const Owners& owner) {
    const auto view = world.coordinator().describe(group);
    if (!view) RC_ASSERT(owner.empty());
    if (!view) return;
    for (const auto& row : view->partitions) {
      const auto found = owner.find(row.topic_name + "/" + std::to_string(row.partition));
      RC_ASSERT(row.session.has_value() == (found != owner.end()));
      if (row.session) RC_ASSERT(*row.session == found->second);
    }
  }

  bool same_topics_;
  bool restarts_;
  std::map<std::string, TopicId> ids_;
};

rc::Gen<std::vector<Op>> any_history() {
  const auto byte = rc::gen::arbitrary<std::uint8_t>();
  return rc::gen::container<std::vector<Op>>(rc::gen::construct<Op>(byte, byte, byte));
}

void check_history(bool same_topics, bool restarts) {
  const std::vector<Op> ops = *any_history();
  History history{same_topics, restarts};
  for (const Op& op : ops) {
    history.run(op);
    if (!history.world.violations().empty()) RC_FAIL(history.world.all_violations());
  }
  history.settle();
  if (!history.world.violations().empty()) RC_FAIL(history.world.all_violations());
  history.check_settled();
}

TEST(GroupHistory, MembersComeAndGo) {
  ASSERT_TRUE(kManyRuns);
  EXPECT_TRUE(rc::check("equal subscriptions", [] { check_history(true, false); }));
}

TEST(GroupHistory, MembersWithDifferentTopicsComeAndGo) {
  EXPECT_TRUE(rc::check("different subscriptions", [] { check_history(false, false); }));
}

TEST(GroupHistory, BrokersAndPowerComeAndGoToo) {
  EXPECT_TRUE(rc::check("restarts", [] { check_history(false, true); }));
}

TEST(GroupHistory, ANewcomerTakesItsShareAndNothingElseMoves) {
  EXPECT_TRUE(rc::check("newcomer", [] {
    FakeGroups world;
    const auto partitions = *rc::gen::inRange<std::uint32_t>(1, 20);
    world.add_topic("t", partitions);
    std::set<SessionIndex> members;
    for (const auto who :
         *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>())) {
      const SessionIndex session = who % kClients;
      if (members.erase(session) != 0) {
        world.kill(session);
      } else {
        RC_ASSERT(world.join(session, "g", {"t"}));
        members.insert(session);
      }
      if (who % 3 != 0) world.poll_all();
    }
    world.poll_all();
    std::map<SessionIndex, std::set<std::string>> before;
    for (const SessionIndex member : members) before[member] = world.reading(member, "g");

    RC_ASSERT(world.join(kClients, "g", {"t"}));
    world.poll_all();
    std::size_t stayed = 0;
    for (const auto& [member, held] : before) {
      const std::set<std::string> now = world.reading(member, "g");
      RC_ASSERT(std::ranges::includes(held, now));
      stayed += now.size();
    }
    const std::size_t share = members.empty() ? partitions : partitions / (members.size() + 1);
    RC_ASSERT(world.reading(kClients, "g").size() == share);
    RC_ASSERT(stayed + share == partitions);
    RC_ASSERT(world.violations().empty());
  }));
}

}  // namespace
}  // namespace mallbots::test
