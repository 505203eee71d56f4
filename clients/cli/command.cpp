#include "clients/cli/command.h"

#include <fmt/format.h>

#include <exception>
#include <memory>

#include "clients/cli/usage.h"

namespace mallbots::client::cli {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 1 failed, 2 usage, 3 no broker, 4 not permitted,\n"
    "            5 conflict (expected offset or version), 6 corruption found\n"
    "\n"
    "Examples:\n"
    "  mallbots topic create orders -p 8\n"
    "  mallbots produce orders -K, --acks durable < orders.csv\n"
    "  mallbots consume orders -o start -e -f '%k,%s\\n'\n"
    "  mallbots COMMAND --help\n";

Result<ExitCode> printed(bool done, ExitCode code) {
  if (!done)
    return fail(ErrorCode::kIo, "stdout does not take the output (closed, or its disk is full)");
  return code;
}

void report(const Context& context, const Error& error) {
  const ErrorEntry& entry = error_entry(error.code);
  if (!context.json()) {
    fmt::print(stderr, "mallbots: {}\n", printable(error.sentence()));
    return;
  }
  const Json json = {{"error", entry.name},
                     {"exit_code", static_cast<int>(entry.exit_code)},
                     {"what", entry.what},
                     {"detail", printable(error.detail)},
                     {"remedy", entry.remedy}};
  fmt::print(stderr, "{}\n", json.dump());
}

}  // namespace

Result<ExitCode> Context::show(const Table& table, ExitCode code) const {
  return printed(json() ? print_json(table.json()) : print(table.text(terminal_width())), code);
}
Result<ExitCode> Context::show(const Facts& facts, ExitCode code) const {
  return printed(json() ? print_json(facts.json()) : print(facts.text()), code);
}
Result<ExitCode> Context::show(const Json& form, const std::string& text, ExitCode code) const {
  return printed(json() ? print_json(form) : print(text), code);
}

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer("\nExamples:\n" + examples);
  command->fallthrough();
  return command;
}

void set_action(CLI::App* command, Context& context, std::function<Result<ExitCode>()> action) {
  command->callback([&context, action = std::move(action)] { context.run = action; });
}

void add_all(CLI::App& root, Context& context) {
  root.name("mallbots");
  root.description("The command of MallBots: topics, records, groups and the health of a broker.");
  root.footer(kFooter);
  root.set_version_flag("--version", "mallbots " MALLBOTS_VERSION);
  root.add_option("--instance", context.instance, "Name of the broker's instance")
      ->capture_default_str()
      ->take_last()
      ->type_name("NAME");
  root.add_option("--runtime-dir", context.runtime_dir, "Where the broker's socket is")
      ->take_last()
      ->type_name("DIR");
  root.add_option("--format", context.format, "Form of the output")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Format>{{"text", Format::kText}, {"json", Format::kJson}}))
      ->take_last()
      ->option_text("text|json [text]");
  root.require_subcommand(1);
  add_topic(root, context);
  add_produce(root, context);
  add_consume(root, context);
  add_dlq(root, context);
  add_group(root, context);
  add_lake(root, context);
  add_events(root, context);
  add_schedule(root, context);
  add_status(root, context);
  add_clients(root, context);
  add_top(root, context);
  add_trace(root, context);
  add_check(root, context);
  add_doctor(root, context);
  add_verify(root, context);
  add_dump(root, context);
  add_errors(root, context);
}

ExitCode run_command(int argc, const char* const* argv) {
  Context context;
  CLI::App root;
  try {
    add_all(root, context);
    root.parse(argc, argv);
  } catch (const CLI::Success& wish) {  // --help, --version
    root.exit(wish);
    return std::fflush(stdout) == 0 ? ExitCode::kDone : ExitCode::kFailed;
  } catch (const CLI::ParseError& error) {
    std::string path = "mallbots";
    const CLI::App* command = deepest_command(root);
    if (command != &root && command->get_parent() != &root)
      path += " " + command->get_parent()->get_name();
    if (command != &root) path += " " + command->get_name();
    fmt::print(stderr, "{}: {}\nSee `{} --help`.\n", path, printable(explain(root, error)), path);
    return ExitCode::kUsage;
  }
  // Libraries below us may throw (no memory, a JSON text that is none); here it ends.
  try {
    const Result<ExitCode> done = context.run();
    if (done) return *done;
    report(context, done.error());
    return error_entry(done.error().code).exit_code;
  } catch (const std::exception& failure) {
    fmt::print(stderr, "mallbots: {}\n", failure.what());
    return ExitCode::kFailed;
  }
}

}  // namespace mallbots::client::cli
