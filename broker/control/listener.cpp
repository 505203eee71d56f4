#include "broker/control/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "broker/folders.h"
#include "shm/base/check.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

std::unexpected<Error> refused(const char* call, const std::string& path) {
  const bool rights = errno == EACCES || errno == EPERM;
  return fail(rights ? ErrorCode::kNotPermitted : ErrorCode::kIo,
              std::string{call} + " " + path + ": " + std::strerror(errno));
}

}  // namespace

Result<shm::UniqueFd> open_listener(const std::string& path, KeeperLink& keeper) {
  if (shm::UniqueFd left = keeper.take(FdKind::kListener, 0)) return left;
  MALLBOTS_TRY(remove_stale_socket(path));
  shm::UniqueFd fd{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return refused("socket", path);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  CHECK(path.size() < sizeof address.sun_path);  // open_runtime_folder() has refused longer ones
  std::memcpy(address.sun_path, path.data(), path.size());
  CRASH_POINT("control.bind");
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return refused("bind", path);
  if (chmod(path.c_str(), 0666) != 0) return refused("chmod", path);
  MALLBOTS_TRY(keeper.put(FdKind::kListener, 0, fd.get()));
  CRASH_POINT("control.listen");
  if (listen(fd.get(), SOMAXCONN) != 0) return refused("listen", path);
  return fd;
}

}  // namespace mallbots::broker
