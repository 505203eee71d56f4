#include "clients/cli/directories.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace mallbots::client::cli {

std::string default_data_dir(const std::string& instance) {
  if (geteuid() == 0) return "/var/lib/mallbots/" + instance;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0')
    return std::string{state} + "/mallbots/" + instance;
  const char* home = std::getenv("HOME");
  return std::string{home == nullptr ? "" : home} + "/.local/state/mallbots/" + instance;
}

std::string nearest_existing(const std::string& directory) {
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::absolute(directory, ignored);
  while (!std::filesystem::is_directory(path, ignored) && path.has_relative_path())
    path = path.parent_path();
  return path.string();
}

std::optional<std::string> read_small_file(const std::string& path) {
  constexpr std::size_t kMostBytes = 64 * 1024;
  std::ifstream file{path, std::ios::binary};
  if (!file) return std::nullopt;
  std::string text(kMostBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace mallbots::client::cli
