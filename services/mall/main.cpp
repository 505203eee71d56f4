// mall: the shop's services, gateways and simulators, in one process or in many.
#include <CLI/CLI.hpp>
#include <iostream>

#include "services/mall/command.h"

int main(int count, char** words) {
  using namespace mallbots;  // NOLINT(google-build-using-namespace)
  CLI::App mall{"MallBots: the mall. One command for all of its services."};
  mall.require_subcommand(1);
  mall.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 no broker, 4 not permitted. `mall COMMAND --help`\n"
      "shows the options and examples of each.");
  mall::Done done;
  mall::add_run_command(mall, done);
  mall::add_order_command(mall, done);
  mall::add_audit_command(mall, done);
  mall::add_device_command(mall, done);
  mall::add_staff_command(mall, done);
  mall::add_up_command(mall, done);
  try {
    mall.parse(count, words);
  } catch (const CLI::ParseError& wrong) {
    const int code = mall.exit(wrong);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  if (done) return 0;
  const Error& error = done.error();  // of Refused the detail says it all
  std::cerr << "mall: " << (error.code == ErrorCode::kRefused ? error.detail : error.sentence())
            << '\n';
  return static_cast<int>(error_entry(done.error().code).exit_code);
}
