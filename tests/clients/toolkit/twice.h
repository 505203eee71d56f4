// Twice: the chaos switch (MALLBOTS_CHAOS=duplicate:1) for tests that have no kit: what they do as
// a handler, a caller or a relay is done once more after it has succeeded, as after a lost
// acknowledgement, and the test must see the same state.
#pragma once

#include <cstdlib>

namespace mallbots::test {

inline bool is_everything_twice() { return std::getenv("MALLBOTS_CHAOS") != nullptr; }

/// What the last one gave. A failure is not repeated here: it comes again by itself.
template <class Act>
auto twice(const Act& act) {
  auto done = act();
  return done && is_everything_twice() ? act() : done;
}

}  // namespace mallbots::test
