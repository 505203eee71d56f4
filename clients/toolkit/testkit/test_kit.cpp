#include "clients/toolkit/testkit/test_kit.h"

#include <algorithm>
#include <mutex>

#include "clients/toolkit/testkit/chaos_switch.h"

namespace mallbots::toolkit {
namespace {

/// Between two looks, real time.
constexpr BootNanos kLookNs = kMillisecond / 4;

std::vector<Middleware> with_chaos(TestKitOptions options) {
  if (!options.stands_chaos) return std::move(options.middlewares);
  return with_chaos_switch(std::move(options.middlewares));
}

}  // namespace

struct TestKit::Lines {
  mutable std::mutex mutex;
  std::vector<std::string> lines;
};

/// What is there at one moment.
struct TestKit::Look {
  bool is_whole = false;  ///< nothing happened while we looked
  std::string pending;
  /// Nobody is at work, and nobody is about to be.
  bool waits_for_time = false;
  BootNanos next_ns = kNever;
};

TestKit::TestKit(TestKitOptions options)
    : lines_(std::make_shared<Lines>()),
      bus_({.keep_all = true, .clock = &clock_}),
      router_(bus_, {.middlewares = with_chaos(std::move(options)),
                     .log =
                         [lines = lines_](const LogLine& line) {
                           const std::scoped_lock lock{lines->mutex};
                           lines->lines.push_back(as_text(line));
                         },
                     .clock = &clock_}) {}

Result<void> TestKit::publish(const std::string& topic, Draft draft) {
  return toolkit::publish(bus_, topic, {&draft, 1});
}

void TestKit::also_wait_for(std::string what, std::function<std::size_t()> left) {
  others_.emplace_back(std::move(what), std::move(left));
}

std::vector<std::string> TestKit::published_texts(const std::string& topic) {
  std::vector<std::string> texts;
  for (const client::OwnedMessage& record : published(topic)) texts.emplace_back(record->text());
  return texts;
}

std::vector<std::string> TestKit::log() const {
  const std::scoped_lock lock{lines_->mutex};
  return lines_->lines;
}

TestKit::Look TestKit::look() {
  Look look;
  const auto pauses = clock_.pauses();
  const Backlog backlog = bus_.backlog();
  const std::size_t workers = router_.workers();
  for (const auto& [what, left] : others_)
    if (const std::size_t count = left(); count > 0)
      look.pending.append("; ").append(std::to_string(count)).append(" ").append(what);
  std::size_t idle = pauses.count;
  std::size_t in_flight = 0;
  bool about_to = false;
  look.next_ns = std::min(pauses.next_ns, backlog.next_ns);
  for (const Backlog::Group& group : backlog.groups) {
    if (group.members == 0) continue;
    idle += group.receiving;
    in_flight += group.in_flight;
    about_to = about_to || (group.receiving > 0 && group.unread + group.ready > 0);
    look.next_ns = std::min(look.next_ns, group.next_ns);
    if (group.open() == 0) continue;
    look.pending.append("; group '").append(group.group).append("': ");
    look.pending.append(std::to_string(group.unread + group.ready)).append(" to be handled, ");
    look.pending.append(std::to_string(group.in_flight)).append(" being handled, ");
    look.pending.append(std::to_string(group.waiting)).append(" waiting");
  }
  if (backlog.scheduled > 0)
    look.pending.append("; ").append(std::to_string(backlog.scheduled)).append(" scheduled");
  look.is_whole =
      backlog.changes == bus_.backlog().changes && pauses.changes == clock_.pauses().changes;
  look.waits_for_time = idle >= workers && !about_to && (in_flight == 0 || pauses.count > 0) &&
                        look.next_ns > clock_.now_ns() && look.next_ns != kNever;
  return look;
}

Result<void> TestKit::wait_until_quiet(const QuietOptions& options) {
  const Deadline patience = Deadline::after_ms(options.patience_ms);
  for (;;) {
    const Look now = look();
    if (now.is_whole && now.pending.empty()) return {};
    if (now.is_whole && now.waits_for_time && options.may_move_time) {
      clock_.advance_to_ns(now.next_ns);
      continue;
    }
    if (patience.has_passed()) return fail(ErrorCode::kTimeout, "still pending" + now.pending);
    system_clock().pause_until(boot_now_ns() + kLookNs, {});
  }
}

}  // namespace mallbots::toolkit
