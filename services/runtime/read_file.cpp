#include "services/runtime/read_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace mallbots {

Result<std::string> read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string content;
  char part[65'536];
  while (file && content.size() <= kMaxFileBytes) {
    file.read(part, sizeof part);
    content.append(part, static_cast<std::size_t>(file.gcount()));
  }
  if (content.size() > kMaxFileBytes) return fail(ErrorCode::kTooLarge, "file '" + path + "'");
  if (!file.eof()) {
    return fail(ErrorCode::kIo, "file '" + path + "': " + std::strerror(errno == 0 ? EIO : errno));
  }
  return content;
}

}  // namespace mallbots
