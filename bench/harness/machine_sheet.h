// The machine sheet: where the figures come from, and what makes them worth less. Printed above
// every table and part of --json, because a figure without its machine, kernel and build means
// nothing a month later.
//
// Reads /proc and /sys once; what cannot be read is "not shown by this system". Nothing fails.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace mallbots::bench {

struct MachineSheet {
  std::vector<std::pair<std::string, std::string>> facts;  ///< name, value; in the order to print
  std::vector<std::string> warnings;                       ///< sentences
};

[[nodiscard]] MachineSheet read_machine(const std::filesystem::path& scratch_dir);

}  // namespace mallbots::bench
