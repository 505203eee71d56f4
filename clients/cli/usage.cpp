#include "clients/cli/usage.h"

#include <fmt/format.h>

#include <algorithm>

namespace mallbots::client::cli {
namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(std::function<bool(const CLI::App*)>{}))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string with_hint(std::string sentence, const std::string& near) {
  if (!near.empty()) sentence += fmt::format("; did you mean '{}'?", near);
  return sentence;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last = std::move(last);
    last = row;
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::size_t limit = std::max<std::size_t>(1, word.size() / 3);
  std::string best;
  std::size_t best_distance = limit + 1;
  for (const std::string& candidate : candidates) {
    // The beginning of a long word is as good as a near miss: `desc` means describe.
    const bool begins = word.size() >= 3 && candidate.starts_with(word);
    const std::size_t distance = begins ? 1 : edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

const CLI::App* deepest_command(const CLI::App& root) {
  const CLI::App* app = &root;
  for (bool deeper = true; deeper;) {
    deeper = false;
    for (const CLI::App* command : app->get_subcommands(std::function<bool(const CLI::App*)>{})) {
      if (command->count() == 0) continue;
      app = command;
      deeper = true;
      break;
    }
  }
  return app;
}

std::string explain(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* command = deepest_command(root);
  const std::vector<std::string> known = command_names(*command);
  for (const std::string& word : root.remaining(true)) {
    if (word.starts_with('-') && word.size() > 1) {
      const std::string name = word.substr(0, word.find('='));
      return with_hint(fmt::format("there is no option '{}'", name),
                       nearest(name, option_names(command)));
    }
    if (!known.empty())
      return with_hint(fmt::format("there is no command '{}'", word), nearest(word, known));
    return fmt::format("'{}' is one word too many", word);
  }
  if (!known.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
    return fmt::format("a command is missing: one of {}", fmt::join(known, ", "));
  return error.what();
}

}  // namespace mallbots::client::cli
