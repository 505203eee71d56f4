#include "clients/toolkit/saga/saga.h"

namespace mallbots::toolkit {
namespace {

std::string node(char kind, std::size_t step) { return kind + std::to_string(step); }

}  // namespace

std::string SagaPlan::mermaid() const {
  /// Where a saga goes that undoes what stands before `step`.
  const auto undo_before = [&](std::size_t step) {
    while (step > 0 && !steps[step - 1].undo) --step;
    return step == 0 ? std::string{"[*]"} : node('u', step - 1);
  };
  std::string text = "stateDiagram-v2\n  direction TB\n";
  for (std::size_t i = 0; i < steps.size(); ++i)
    text += "  " + node('s', i) + " : " + steps[i].name + "\n";
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (steps[i].undo) text += "  " + node('u', i) + " : undo " + steps[i].name + "\n";
  text += "  [*] --> s0\n";
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const bool is_last = i + 1 == steps.size();
    text += "  " + node('s', i) + " --> " + (is_last ? "[*]" : node('s', i + 1)) + " : done\n";
    text += "  " + node('s', i) + " --> " + undo_before(i) + " : failed\n";
    if (steps[i].timeout_ms > 0)
      text += "  " + node('s', i) + " --> " + undo_before(i + 1) + " : after " +
              std::to_string(steps[i].timeout_ms) + " ms\n";
  }
  for (std::size_t i = steps.size(); i-- > 0;)
    if (steps[i].undo) text += "  " + node('u', i) + " --> " + undo_before(i) + "\n";
  return text;
}

}  // namespace mallbots::toolkit
