// history_check FOLDER: checks the histories in it (history.h, checks.h), prints figures and
// findings. Exit code: 0 nothing found, 1 findings, 2 no history or a damaged one.
#include <cstdio>

#include "tests/history/checks.h"

int main(int count, char** words) {
  using namespace mallbots::test;
  if (count != 2) {
    std::fputs("usage: history_check FOLDER\n", stderr);
    return 2;
  }
  const auto history = load_history(words[1]);
  if (!history) {
    std::fprintf(stderr, "%s\n", history.error().sentence().c_str());
    return 2;
  }
  const Verdict verdict = check(*history);
  std::fputs(report(verdict).c_str(), stdout);
  return verdict.found == 0 ? 0 : 1;
}
