#include "broker/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "shm/region/fd.h"
#include "tests/support/temp_dir.h"

namespace mallbots::broker {
namespace {

TEST(ServiceManager, GetsTheLinesWhenItListens) {
  const test::TempDir dir;
  const std::string path = dir / "notify";
  const shm::UniqueFd socket_fd{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  tell_service_manager("READY=1\nSTATUS=serving");
  unsetenv("NOTIFY_SOCKET");
  std::array<char, 256> text{};
  ASSERT_GT(recv(socket_fd.get(), text.data(), text.size(), MSG_DONTWAIT), 0);
  EXPECT_STREQ(text.data(), "READY=1\nSTATUS=serving");
}

TEST(ServiceManager, NobodyListensAndNothingHappens) {
  unsetenv("NOTIFY_SOCKET");
  tell_service_manager("READY=1");
}

}  // namespace
}  // namespace mallbots::broker
