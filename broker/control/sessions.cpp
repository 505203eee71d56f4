#include "broker/control/sessions.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "broker/control/allow_list.h"
#include "broker/event_log.h"
#include "shm/base/check.h"
#include "shm/base/crash_point.h"
#include "shm/concurrent/cells.h"
#include "shm/concurrent/wait.h"

namespace mallbots::broker {
namespace {

std::uint64_t random_token() {
  std::uint64_t token = 0;
  CHECK(getrandom(&token, sizeof token, 0) == static_cast<ssize_t>(sizeof token));
  return token;
}

bool was_left(const KeeperLink& keeper, FdKind kind, SessionIndex index) {
  return std::ranges::binary_search(keeper.left(kind), std::uint64_t{index});
}

}  // namespace

// Coming
// -----------------------------------------------------------------------------------------

Result<void> Sessions::restore(BootNanos now) {
  for (std::uint32_t i = 0; i < shm::kMaxSessions; ++i) {
    const auto index = static_cast<SessionIndex>(i);
    shm::SessionEntry& entry = parts_.registry.sessions[i];
    if (entry.state.load() == static_cast<std::uint32_t>(shm::SessionState::kFree)) continue;
    if (!was_left(parts_.keeper, FdKind::kSessionPage, index) ||
        !was_left(parts_.keeper, FdKind::kSessionPidfd, index)) {
      log_event(Level::kWarning, "session without its descriptors dropped", {{"session", index}});
      // no crash point: descriptors come before the entry and go after it, so that no death leads
      // here; a damaged registry would
      entry.state.store(static_cast<std::uint32_t>(shm::SessionState::kFree));
      continue;
    }
    auto session = restored(index, entry);
    if (!session) return std::unexpected(std::move(session).error());
    session->detached_until = now + limits_.restart_grace_ns;
    session->polled_at = now;
    if (session->gone) {
      // The predecessor may have died in expel(): before it revoked the session, or told anybody.
      // no crash point: the next start does the same again
      session->memory().header.revoked.store(1);
      expelled_.push_back(index);
    }
    const int pidfd = session->pidfd.get();
    const int wake = session->wake.get();
    sessions_.insert_or_assign(index, std::move(*session));
    MALLBOTS_TRY(parts_.poller.watch(pidfd, Source::kProcess, index));
    if (wake >= 0)
      MALLBOTS_TRY(parts_.poller.watch(wake, Source::kWake, index, Poller::Interest::kEdge));
  }
  return {};
}

Result<Session> Sessions::restored(SessionIndex index, shm::SessionEntry& entry) {
  Session session{
      .index = index, .entry = &entry, .pid = static_cast<pid_t>(entry.pid), .uid = entry.uid};
  session.page_fd = parts_.keeper.take(FdKind::kSessionPage, index);
  session.pidfd = parts_.keeper.take(FdKind::kSessionPidfd, index);
  session.wake = parts_.keeper.take(FdKind::kSessionWake, index);
  session.name.assign(entry.name, strnlen(entry.name, sizeof entry.name));
  session.gone = entry.state.load() == static_cast<std::uint32_t>(shm::SessionState::kGone);
  auto mapping =
      shm::Mapping::of(session.page_fd.get(), sizeof(shm::SessionPage), shm::Access::kReadWrite);
  if (!mapping) return std::unexpected(std::move(mapping).error());
  session.page = std::move(*mapping);
  return session;
}

Result<SessionIndex> Sessions::choose_index(uid_t user) const {
  if (!is_administrator(user)) {
    const auto held = std::ranges::count_if(
        sessions_, [user](const auto& item) { return item.second.uid == user; });
    if (static_cast<std::uint32_t>(held) >= limits_.per_user)
      return fail(
          ErrorCode::kLimitReached,
          fmt::format("user {} has {} sessions, sessions.per.user allows no more", user, held));
  }
  // In turn, so that an index rests as long as possible before it is used again.
  for (std::uint32_t i = 0; i < shm::kMaxSessions; ++i) {
    const auto index = static_cast<SessionIndex>((next_index_ + i) % shm::kMaxSessions);
    if (sessions_.contains(index)) continue;
    next_index_ = static_cast<SessionIndex>((index + 1) % shm::kMaxSessions);
    return index;
  }
  return fail(ErrorCode::kLimitReached,
              fmt::format("all {} sessions are taken", shm::kMaxSessions));
}

Result<void> Sessions::make_page(Session& session) {
  auto fd = shm::create_memory(fmt::format("mallbots-session-{}", session.index),
                               sizeof(shm::SessionPage));
  if (!fd) return std::unexpected(std::move(fd).error());
  auto mapping = shm::Mapping::of(fd->get(), sizeof(shm::SessionPage), shm::Access::kReadWrite);
  if (!mapping) return std::unexpected(std::move(mapping).error());
  session.page_fd = std::move(*fd);
  session.page = std::move(*mapping);
  MALLBOTS_TRY(session.page.populate(0, sizeof(shm::SessionHeader)));
  shm::SessionHeader& header = session.memory().header;
  header.page = {.magic = shm::kSessionMagic,
                 .layout_version = shm::kLayoutVersion,
                 .size_bytes = sizeof(shm::SessionPage)};
  header.session = session.index;
  header.cells = shm::kSessionCells;
  return {};
}

Result<void> Sessions::keep(const Session& session) {
  MALLBOTS_TRY(parts_.keeper.put(FdKind::kSessionPage, session.index, session.page_fd.get()));
  MALLBOTS_TRY(parts_.keeper.put(FdKind::kSessionPidfd, session.index, session.pidfd.get()));
  if (session.wake)
    MALLBOTS_TRY(parts_.keeper.put(FdKind::kSessionWake, session.index, session.wake.get()));
  return {};
}

/// From here on a restarted broker knows the session.
void Sessions::publish(Session& session) {
  shm::SessionEntry& entry = *session.entry;
  entry.pid = static_cast<std::uint32_t>(session.pid);
  entry.uid = session.uid;
  entry.next_cell = 0;
  entry.token = random_token();
  std::memset(entry.name, 0, sizeof entry.name);
  std::memcpy(entry.name, session.name.data(), std::min(session.name.size(), sizeof entry.name));
  CRASH_POINT("control.publish-session");
  entry.state.store(static_cast<std::uint32_t>(shm::SessionState::kLive));
}

Result<Session*> Sessions::open(Peer peer, const std::string& name) {
  const auto index = choose_index(peer.uid);
  if (!index) return std::unexpected(index.error());
  Session session{.index = *index,
                  .entry = &parts_.registry.sessions[*index],
                  .pid = peer.pid,
                  .uid = peer.uid,
                  .name = name.substr(0, sizeof(shm::SessionEntry::name))};
  session.pidfd = std::move(peer.pidfd);
  MALLBOTS_TRY(make_page(session));
  if (!is_administrator(session.uid)) {
    session.wake = shm::UniqueFd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!session.wake)
      return fail(ErrorCode::kLimitReached, std::string{"eventfd: "} + std::strerror(errno));
    MALLBOTS_TRY(
        parts_.poller.watch(session.wake.get(), Source::kWake, *index, Poller::Interest::kEdge));
  }
  MALLBOTS_TRY(parts_.poller.watch(session.pidfd.get(), Source::kProcess, *index));
  if (auto kept = keep(session); !kept) {
    parts_.poller.forget(session.pidfd.get());
    if (session.wake) parts_.poller.forget(session.wake.get());
    return std::unexpected(std::move(kept).error());
  }
  publish(session);
  session.polled_at = boot_now_ns();
  return &sessions_.insert_or_assign(*index, std::move(session)).first->second;
}

Result<Session*> Sessions::resume(const Peer& peer, SessionIndex index, std::uint64_t token) {
  Session* session = find(index);
  // One answer for all cases: who does not hold the token learns nothing.
  const bool same = session != nullptr && !session->gone && session->entry->token == token &&
                    session->uid == peer.uid && !is_dead(session->pidfd.get()) &&
                    pid_of(session->pidfd.get()) == pid_of(peer.pidfd.get());
  if (!same) return fail(ErrorCode::kRevoked, fmt::format("session {} is no more", index));
  close_socket(*session);
  return session;
}

Result<void> Sessions::attach(Session& session, std::unique_ptr<PacketSocket> socket) {
  MALLBOTS_TRY(parts_.poller.watch(
      socket->fd(), Source::kSession, session.index,
      socket->waiting() ? Poller::Interest::kReadWrite : Poller::Interest::kRead));
  session.socket = std::move(socket);
  session.detached_until = 0;
  return {};
}

// Going
// -----------------------------------------------------------------------------------------

void Sessions::close_socket(Session& session) {
  if (!session.socket) return;
  parts_.poller.forget(session.socket->fd());
  session.socket.reset();
}

void Sessions::detach(Session& session, BootNanos now) {
  close_socket(session);
  if (!session.gone) session.detached_until = now + limits_.detach_grace_ns;
}

BootNanos Sessions::expel_absent(BootNanos now) {
  BootNanos next = INT64_MAX;
  for (auto& [index, session] : sessions_) {
    if (session.gone || session.detached_until == 0) continue;
    if (session.detached_until <= now)
      expel(index, "it had no connection for too long");
    else
      next = std::min(next, session.detached_until);
  }
  return next;
}

void Sessions::expel(SessionIndex index, const std::string& reason) {
  Session* session = find(index);
  if (session == nullptr || session->gone) return;
  log_event(Level::kWarning, "session expelled",
            {{"session", index},
             {"pid", session->pid},
             {"uid", session->uid},
             {"name", session->name},
             {"reason", reason}});
  session->gone = true;
  session->detached_until = 0;
  CRASH_POINT("control.session-gone");
  session->entry->state.store(static_cast<std::uint32_t>(shm::SessionState::kGone));
  // Dekker with the acquire (protocol section 5): seq_cst here, before anybody looks at its words.
  CRASH_POINT("control.revoke");
  session->memory().header.revoked.store(1);
  if (session->socket)
    static_cast<void>(session->socket->send(
        shm::encode_packet(shm::Notice::kType, 0,
                           shm::Notice{.code = ErrorCode::kRevoked, .detail = reason}),
        {}));
  close_socket(*session);
  ring(*session);
  expelled_.push_back(index);
}

void Sessions::end(SessionIndex index) {
  Session* session = find(index);
  if (session == nullptr) return;
  close_socket(*session);
  parts_.poller.forget(session->pidfd.get());
  if (session->wake) parts_.poller.forget(session->wake.get());
  CRASH_POINT("control.free-session");
  session->entry->state.store(static_cast<std::uint32_t>(shm::SessionState::kFree));
  const bool own_wake = static_cast<bool>(session->wake);
  sessions_.erase(index);
  // What stays with the keeper after a crash here is dropped by the next start.
  static_cast<void>(parts_.keeper.remove(FdKind::kSessionPage, index));
  static_cast<void>(parts_.keeper.remove(FdKind::kSessionPidfd, index));
  if (own_wake) static_cast<void>(parts_.keeper.remove(FdKind::kSessionWake, index));
}

// Talking
// -----------------------------------------------------------------------------------------

bool Sessions::send(Session& session, std::vector<std::byte> packet,
                    std::vector<shm::UniqueFd> fds) {
  if (!session.socket) return false;
  if (packet.size() > shm::kMaxMessageBytes) {
    expel(session.index, "it has more partitions than one assignment can name");
    return false;
  }
  const bool waited = session.socket->waiting();
  if (!session.socket->send(std::move(packet), std::move(fds))) {
    expel(session.index, "it does not read what the broker sends");
    return false;
  }
  if (!waited && session.socket->waiting())
    parts_.poller.change(session.socket->fd(), Source::kSession, session.index,
                         Poller::Interest::kReadWrite);
  return true;
}

void Sessions::writable(Session& session) {
  if (!session.socket) return;
  if (!session.socket->flush()) {
    detach(session, boot_now_ns());
  } else if (!session.socket->waiting()) {
    parts_.poller.change(session.socket->fd(), Source::kSession, session.index,
                         Poller::Interest::kRead);
  }
}

void Sessions::ring(Session& session) {
  shm::SessionHeader& header = session.memory().header;
  CRASH_POINT("control.news");
  header.news.fetch_add(1);
  shm::wake_if_waited(header.doorbell);
}

void Sessions::ring_all() {
  for (auto& [index, session] : sessions_) {
    CRASH_POINT("control.ring-all");
    shm::wake(session.memory().header.doorbell);
  }
}

Session* Sessions::find(SessionIndex index) {
  const auto found = sessions_.find(index);
  return found == sessions_.end() ? nullptr : &found->second;
}

BootNanos Sessions::idle_ns(Session& session, BootNanos now) {
  const std::uint64_t polls = session.memory().header.polls.load();
  if (polls != session.polls_seen) {
    session.polls_seen = polls;
    session.polled_at = now;
  }
  return now - session.polled_at;
}

// Cells
// -----------------------------------------------------------------------------------------

shm::SessionPage* Sessions::page(SessionIndex index) {
  Session* session = find(index);
  return session == nullptr ? nullptr : &session->memory();
}

std::optional<std::uint32_t> Sessions::open_cell(SessionIndex index) {
  Session* session = find(index);
  if (session == nullptr || session->gone) return std::nullopt;
  std::uint32_t cell = 0;
  if (!session->free_cells.empty()) {
    cell = session->free_cells.back();
    session->free_cells.pop_back();
  } else {
    cell = session->entry->next_cell;
    if (cell >= shm::kSessionCells) return std::nullopt;
    session->entry->next_cell = cell + 1;
  }
  shm::clear_cell(session->memory().cells[cell].reader);
  return cell;
}

void Sessions::close_cell(SessionIndex index, std::uint32_t cell) {
  Session* session = find(index);
  if (session == nullptr || cell >= session->entry->next_cell) return;
  if (std::ranges::find(session->free_cells, cell) != session->free_cells.end()) return;
  session->cells.erase(cell);
  session->free_cells.push_back(cell);
}

void Sessions::use_cell(SessionIndex index, std::uint32_t cell, CellUse use) {
  if (Session* session = find(index)) session->cells.insert_or_assign(cell, use);
}

CellUse Sessions::use_of(SessionIndex index, std::uint32_t cell) {
  Session* session = find(index);
  if (session == nullptr) return CellUse::kFree;
  const auto found = session->cells.find(cell);
  return found == session->cells.end() ? CellUse::kFree : found->second;
}

void Sessions::for_each(const std::function<void(SessionIndex session, shm::SessionPage& page,
                                                 std::uint32_t cells)>& visit) {
  for (auto& [index, session] : sessions_)
    visit(index, session.memory(), std::min(session.entry->next_cell, shm::kSessionCells));
}

}  // namespace mallbots::broker
