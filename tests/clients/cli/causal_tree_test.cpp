#include "clients/cli/causal_tree.h"

#include <gtest/gtest.h>

#include <set>

namespace mallbots::client::cli {
namespace {

TracedMessage message(std::string id, std::string cause, UnixMillis time_ms,
                      std::string topic = "t") {
  return {.topic = std::move(topic),
          .time_ms = time_ms,
          .id = std::move(id),
          .name = "Did",
          .causation_id = std::move(cause)};
}

TEST(CausalTree, EachMessageStandsUnderItsCauseInTheOrderOfTime) {
  const CausalTree tree{{message("c", "a", 130), message("b", "a", 110), message("a", "req", 100),
                         message("d", "b", 120, "u")}};
  EXPECT_EQ(tree.text(60),
            "     +0 ms  t Did  (by req)\n"
            "    +10 ms  ├─ t Did\n"
            "    +20 ms  │  └─ u Did\n"
            "    +30 ms  └─ t Did\n");
}

TEST(CausalTree, ABarGoesFromTheCauseToTheMessage) {
  const CausalTree tree{{message("a", "", 100), message("b", "a", 129)}};
  std::string bar;
  for (int i = 0; i < 29; ++i) bar += "─";
  EXPECT_EQ(tree.text(0),
            "     +0 ms  t Did     ■\n"
            "    +29 ms  └─ t Did  " +
                bar + "■\n");
}

TEST(CausalTree, AMessageThatLiesTwiceIsDrawnTwiceAndSaysSo) {
  const CausalTree tree{{message("a", "", 1), message("b", "a", 2), message("b", "a", 3)}};
  EXPECT_NE(tree.text(60).find("+2 ms  └─ t Did  again"), std::string::npos) << tree.text(60);
  EXPECT_EQ(tree.json()[2]["again"], true);
  EXPECT_EQ(tree.json()[2]["parent"], 0);
}

TEST(CausalTree, CirclesAndStrangersAreDrawnOnce) {
  const CausalTree tree{
      {message("a", "b", 1), message("b", "a", 2), message("s", "s", 3), message("x", "gone", 4)}};
  const Json rows = tree.json();
  ASSERT_EQ(rows.size(), 4U);
  std::set<std::string> ids;
  for (const auto& row : rows) ids.insert(row["id"]);
  EXPECT_EQ(ids, (std::set<std::string>{"a", "b", "s", "x"}));
}

TEST(CausalTree, AChainOfAHundredThousandIsNoStackOverflow) {
  std::vector<TracedMessage> chain;
  for (int i = 0; i < 100'000; ++i)
    chain.push_back(message(std::to_string(i), std::to_string(i - 1), i));
  const CausalTree tree{std::move(chain)};
  EXPECT_EQ(tree.json().size(), 100'000U);
}

TEST(CausalTree, TheDiagramHasItsTopicsAsParticipantsAndNoForeignSyntax) {
  auto hostile = message("b", "a", 5, "u;end\n");
  hostile.name = "X; note over t0: #1";
  const CausalTree tree{{message("a", "", 0), hostile}};
  EXPECT_EQ(tree.mermaid(),
            "sequenceDiagram\n"
            "  actor outside\n"
            "  participant t0 as t\n"
            "  participant t1 as u#59;end\\x0a\n"
            "  outside->>t0: Did +0 ms\n"
            "  t0->>t1: X#59; note over t0: #35;1 +5 ms\n");
}

}  // namespace
}  // namespace mallbots::client::cli
