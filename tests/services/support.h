// How the tests of the shop's rules carry out a decision: what was decided is applied.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/refusal.h"

namespace mallbots::test {

/// Applies the events to `state`; a refusal fails the test.
template <class State, class Event>
void carry_out(State& state, const Decision<std::vector<Event>>& decision) {
  ASSERT_TRUE(decision.has_value()) << decision.error().reason;
  for (const Event& event : *decision) state.apply(event);
}

/// One character for a decision: '.' nothing to do, '+' it happens, else why not: 'i'nvalid,
/// 'u'nknown, 'f'orbidden, wrong 's'tate, 'c'onflict.
template <class T>
char verdict(const Decision<std::vector<T>>& decision) {
  if (decision) return decision->empty() ? '.' : '+';
  return std::string_view("iufsc")[static_cast<std::size_t>(decision.error().kind)];
}

}  // namespace mallbots::test
