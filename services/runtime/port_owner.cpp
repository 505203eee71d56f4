#include "services/runtime/port_owner.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace mallbots {
namespace {

namespace fs = std::filesystem;

/// "socket:[INODE]" of everybody who listens on the port, as /proc/PID/fd shows it.
std::vector<std::string> listening_sockets(std::uint16_t port) {
  std::vector<std::string> sockets;
  const std::string wanted = fmt::format(":{:04X}", port);
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    std::string line;
    while (std::getline(file, line)) {
      // sl local rem state queues timer retransmits uid timeout inode; state 0A is LISTEN
      std::istringstream words(line);
      std::string word;
      std::vector<std::string> columns;
      while (words >> word) columns.push_back(word);
      if (columns.size() < 10 || columns[3] != "0A" || !columns[1].ends_with(wanted)) continue;
      sockets.push_back(fmt::format("socket:[{}]", columns[9]));
    }
  }
  return sockets;
}

bool holds_one_of(const fs::path& process, const std::vector<std::string>& sockets) {
  std::error_code bad;
  for (fs::directory_iterator at(process / "fd", bad), end; !bad && at != end; at.increment(bad)) {
    std::error_code gone;
    const auto target = fs::read_symlink(at->path(), gone);
    if (!gone && std::ranges::find(sockets, target.string()) != sockets.end()) return true;
  }
  return false;
}

}  // namespace

std::optional<PortOwner> owner_of_port(std::uint16_t port) {
  const auto sockets = listening_sockets(port);
  if (sockets.empty()) return std::nullopt;
  std::error_code bad;
  for (fs::directory_iterator at("/proc", bad), end; !bad && at != end; at.increment(bad)) {
    const std::string name = at->path().filename().string();
    std::int64_t pid = 0;
    const auto [last, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || last != name.data() + name.size()) continue;
    if (!holds_one_of(at->path(), sockets)) continue;
    PortOwner owner{pid, {}};
    std::ifstream comm(at->path() / "comm");
    std::getline(comm, owner.name);
    return owner;
  }
  return std::nullopt;
}

}  // namespace mallbots
