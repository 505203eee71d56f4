#include "clients/connection.h"

#include <unistd.h>

#include <cstdlib>

#include "clients/internal/link.h"

namespace mallbots::client {

std::string default_runtime_dir(const std::string& instance) {
  if (geteuid() == 0) return "/run/mallbots/" + instance;
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime != '\0')
    return std::string{runtime} + "/mallbots/" + instance;
  return "/run/user/" + std::to_string(geteuid()) + "/mallbots/" + instance;
}

Connection::Connection(std::unique_ptr<Link> link) : link_(std::move(link)) {}
Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionOptions& options) {
  auto link = Link::open(options);
  if (!link) return std::unexpected(std::move(link).error());
  return std::unique_ptr<Connection>{new Connection(std::move(*link))};
}

SessionIndex Connection::session() const {
  const auto session = link_->current().session;
  return session ? session->index : SessionIndex{0};
}
std::uint32_t Connection::incarnation() const { return link_->incarnation(); }
bool Connection::is_attached() const noexcept { return link_->is_attached(); }
Result<void> Connection::ensure_attached(Deadline deadline) {
  link_->tend();
  return link_->ensure(deadline);
}
const ConnectionOptions& Connection::options() const noexcept { return link_->options(); }

}  // namespace mallbots::client
