// The `mallbots` command. See docs/CLI.md.
#include "clients/cli/command.h"

int main(int argc, char** argv) {
  return static_cast<int>(mallbots::client::cli::run_command(argc, argv));
}
