#include "clients/cli/session.h"

#include <poll.h>

#include <atomic>
#include <csignal>

namespace mallbots::client::cli {
namespace {

std::atomic<bool> stop_wish{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // it is stored in a signal handler

void on_stop(int) { stop_wish.store(true); }

}  // namespace

Result<std::unique_ptr<Connection>> connect(const Context& context, const std::string& command,
                                            std::int64_t patience_ms) {
  ConnectionOptions options;
  options.instance = context.instance;
  options.runtime_dir = context.runtime_dir;
  options.name = "mallbots " + command;
  options.reconnect_timeout_ms = patience_ms;
  return Connection::open(options);
}

void catch_stop_signals() {
  struct sigaction action{};
  action.sa_handler = on_stop;  // without SA_RESTART: a wait ends at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() noexcept { return stop_wish.load(); }

void pause_for(std::int64_t milliseconds) {
  if (!stop_requested()) poll(nullptr, 0, static_cast<int>(milliseconds));
}

}  // namespace mallbots::client::cli
