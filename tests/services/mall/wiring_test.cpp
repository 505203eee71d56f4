// The tables "Who hears what" of services/README.md, and of the READMEs of single services, are
// what the services really register.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "services/mall/registry.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

/// "LISTENER hears TOPIC"
using Wires = std::set<std::string>;

Wires registered(Host& host, std::vector<std::unique_ptr<Service>>& services) {
  for (const mall::Entry& entry : mall::registry()) {
    auto service = entry.make(host);
    EXPECT_TRUE(service) << entry.name << ": " << service.error().sentence();
    if (service) services.push_back(*std::move(service));
  }
  Wires wires;
  for (const auto& handler : host.describe().handlers)
    for (const std::string& topic : handler.info.topics)
      wires.insert(handler.info.group + " hears " + topic);
  return wires;
}

/// The text between the first two backquotes of a cell.
std::string code_in(const std::string& cell) {
  const auto begin = cell.find('`');
  const auto end = cell.find('`', begin + 1);
  return begin == std::string::npos || end == std::string::npos
             ? ""
             : cell.substr(begin + 1, end - begin - 1);
}

/// Rows `| listener | topic | ...` of the table below the heading.
void add_documented(Wires& wires, const std::filesystem::path& readme) {
  std::ifstream file{readme};
  bool is_here = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) is_here = line == "## Who hears what";
    if (!is_here || !line.starts_with("| `")) continue;
    const auto second = line.find('|', 1);
    wires.insert(code_in(line.substr(0, second)) + " hears " + code_in(line.substr(second)));
  }
}

Wires documented() {
  Wires wires;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("services"))
    if (entry.path().filename() == "README.md") add_documented(wires, entry.path());
  return wires;
}

TEST(Wiring, IsWhatTheReadmeSays) {
  Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  auto host = Host::open({.name = "wiring",
                          .runtime_dir = daemon.runtime_dir(),
                          .data_dir = daemon.folder() / "shop",
                          .log = [](const toolkit::LogLine&) {}});
  ASSERT_TRUE(host) << host.error().sentence();
  std::vector<std::unique_ptr<Service>> services;
  EXPECT_EQ(registered(**host, services), documented());
  services.clear();
}

}  // namespace
}  // namespace mallbots::test
