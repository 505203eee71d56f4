#include "clients/cli/errors.h"

#include <fmt/format.h>

#include <memory>

#include "clients/cli/command.h"
#include "clients/cli/usage.h"

namespace mallbots::client::cli {
namespace {

struct ErrorsOptions {
  std::string name;
  bool markdown = false;
};

std::string_view exit_name(ExitCode code) {
  switch (code) {
    case ExitCode::kDone:
      return "done";
    case ExitCode::kFailed:
      return "failed";
    case ExitCode::kUsage:
      return "usage";
    case ExitCode::kNoBroker:
      return "no broker";
    case ExitCode::kNotPermitted:
      return "not permitted";
    case ExitCode::kConflict:
      return "conflict";
    case ExitCode::kCorruption:
      return "corruption found";
  }
  return "failed";
}

Facts facts_of(const ErrorEntry& entry) {
  Facts facts;
  facts.add("name", "name", text_cell(entry.name));
  facts.add(
      "exit code", "exit_code",
      {Json(static_cast<int>(entry.exit_code)),
       fmt::format("{} ({})", static_cast<int>(entry.exit_code), exit_name(entry.exit_code))});
  facts.add("what happened", "what", text_cell(entry.what));
  facts.add("what to do", "remedy", text_cell(entry.remedy));
  return facts;
}

Result<ExitCode> show_one(const Context& context, const std::string& name) {
  std::vector<std::string> names;
  for (const ErrorEntry& entry : error_catalogue()) {
    if (CLI::detail::to_lower(std::string{entry.name}) == CLI::detail::to_lower(name))
      return context.show(facts_of(entry));
    names.emplace_back(entry.name);
  }
  std::string detail = fmt::format("there is no error '{}'", name);
  if (const std::string near = nearest(name, names); !near.empty())
    detail += fmt::format("; did you mean '{}'?", near);
  return fail(ErrorCode::kBadArgument, std::move(detail));
}

Result<ExitCode> show_all(const Context& context) {
  Table table{{{"NAME", "name"}, {"EXIT", "exit_code", Align::kRight}, {"WHAT", "what"}}};
  Json list = Json::array();
  for (const ErrorEntry& entry : error_catalogue()) {
    table.add({text_cell(entry.name), number_cell(static_cast<std::uint64_t>(entry.exit_code)),
               text_cell(entry.what)});
    list.push_back(facts_of(entry).json());
  }
  return context.show(list, table.text(terminal_width()));
}

}  // namespace

std::string errors_markdown() {
  std::string text =
      "# Errors\n"
      "\n"
      "Everything that may fail in normal life, from the catalogue in `shm/base/error.h`. This "
      "page "
      "is the output of\n"
      "`mallbots errors --markdown`; a test compares the two. An error is shown as `WHAT: DETAIL; "
      "REMEDY`, where the detail\n"
      "names the input and the reason. With `--format json` it is one object on stderr: `error` "
      "(the name), `exit_code`,\n"
      "`what`, `detail`, `remedy`.\n"
      "\n"
      "| name | exit code | what happened | what to do |\n"
      "|---|---|---|---|\n";
  for (const ErrorEntry& entry : error_catalogue()) {
    std::string remedy{entry.remedy};
    for (std::size_t at = 0; (at = remedy.find('|', at)) != std::string::npos; at += 2)
      remedy.replace(at, 1, "\\|");
    text += fmt::format("| {} | {} {} | {} | {} |\n", entry.name, static_cast<int>(entry.exit_code),
                        exit_name(entry.exit_code), entry.what, remedy);
  }
  return text;
}

void add_errors(CLI::App& root, Context& context) {
  CLI::App* command = add_command(root, "errors", "Explain errors: what happened, what to do",
                                  "  mallbots errors\n"
                                  "  mallbots errors Conflict\n"
                                  "  mallbots errors --format json\n");
  auto options = std::make_shared<ErrorsOptions>();
  command->add_option("NAME", options->name, "One error; without it, all");
  command->add_flag("--markdown", options->markdown, "Print docs/ERRORS.md");
  set_action(command, context, [options, &context]() -> Result<ExitCode> {
    if (options->markdown) {
      const std::string page = errors_markdown();
      return context.show(Json(page), page);
    }
    return options->name.empty() ? show_all(context) : show_one(context, options->name);
  });
}

}  // namespace mallbots::client::cli
