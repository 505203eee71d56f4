#include "broker/control/poller.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace mallbots::broker {
namespace {

epoll_event description(Source source, std::uint32_t id, Poller::Interest interest) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (interest == Poller::Interest::kReadWrite) event.events |= EPOLLOUT;
  if (interest == Poller::Interest::kEdge) event.events |= EPOLLET;
  event.data.u64 = static_cast<std::uint64_t>(source) << 32 | id;
  return event;
}

}  // namespace

Result<Poller> Poller::make() {
  shm::UniqueFd fd{epoll_create1(EPOLL_CLOEXEC)};
  if (!fd) return fail(ErrorCode::kLimitReached, std::string{"epoll_create1: "} + strerror(errno));
  return Poller{std::move(fd)};
}

Result<void> Poller::watch(int fd, Source source, std::uint32_t id, Interest interest) {
  epoll_event event = description(source, id, interest);
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return fail(ErrorCode::kLimitReached, std::string{"epoll_ctl: "} + strerror(errno));
  return {};
}

void Poller::change(int fd, Source source, std::uint32_t id, Interest interest) {
  epoll_event event = description(source, id, interest);
  epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Poller::forget(int fd) { epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

std::span<const Event> Poller::wait(BootNanos until) {
  std::array<epoll_event, std::tuple_size_v<decltype(events_)>> raw{};
  timespec limit{};
  if (until != 0 && until != INT64_MAX) {
    const BootNanos left = std::max<BootNanos>(0, until - boot_now_ns());
    limit = {.tv_sec = left / kSecond, .tv_nsec = left % kSecond};
  }
  const int count = epoll_pwait2(fd_.get(), raw.data(), static_cast<int>(raw.size()),
                                 until == INT64_MAX ? nullptr : &limit, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = raw[static_cast<std::size_t>(i)];
    events_[static_cast<std::size_t>(i)] = {.source = static_cast<Source>(event.data.u64 >> 32),
                                            .id = static_cast<std::uint32_t>(event.data.u64),
                                            .readable = (event.events & EPOLLIN) != 0,
                                            .writable = (event.events & EPOLLOUT) != 0,
                                            .hung_up = (event.events & (EPOLLHUP | EPOLLERR)) != 0};
  }
  return {events_.data(), static_cast<std::size_t>(std::max(0, count))};
}

}  // namespace mallbots::broker
