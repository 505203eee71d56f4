// The promises of a bus (clients/toolkit/bus.h), one case each, for every bus there is. Cases tell
// findings instead of failing, so that the suite can be tried on a bus that is wrong on purpose.
//
// First come those of Watermill's universal suite (pubsub/tests/test_pubsub.go), tightened: a
// message goes to one member of a group only, and none comes twice unless something failed. Its
// cases of Go contexts are here what they stand for: a delivery stays whole until it is settled,
// and a closed subscription leaves the rest to the next one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/toolkit/bus.h"
#include "tests/support/process.h"

namespace mallbots::test {

/// A bus under test.
class BusUnderTest {
 public:
  virtual ~BusUnderTest() = default;
  [[nodiscard]] virtual toolkit::Publisher& publisher() = 0;
  [[nodiscard]] virtual toolkit::Subscriber& subscriber() = 0;
  /// A topic of its own for each case, with that many partitions if the bus has partitions.
  [[nodiscard]] virtual std::string make_topic(std::uint32_t partitions) = 0;
  [[nodiscard]] virtual std::size_t largest_payload() const = 0;
  /// False: this bus has nothing that could be restarted.
  virtual bool restart() { return false; }
  /// conformance_party (party.cpp) with these words, on the same bus; nothing: the bus has one
  /// process only.
  virtual std::optional<Process> start_party(const std::vector<std::string>& /*words*/) {
    return std::nullopt;
  }
  /// How long a case waits for what must come.
  [[nodiscard]] virtual std::int64_t patience_ms() const { return 20'000; }
  /// Fills a topic that nobody reads until there is no room; what publish() then says.
  [[nodiscard]] virtual ErrorCode fill(const std::string& topic) = 0;
};

/// What is wrong, a sentence each; empty: the promise holds.
using Findings = std::vector<std::string>;

struct Case {
  const char* name;
  Findings (*run)(BusUnderTest& bus);
};

/// All but the deaths.
[[nodiscard]] std::span<const Case> cases();
/// Those of them that Watermill's suite does not look at.
[[nodiscard]] std::span<const Case> further_cases();
/// For buses that join processes: what the death of one leaves.
[[nodiscard]] std::span<const Case> death_cases();

}  // namespace mallbots::test
