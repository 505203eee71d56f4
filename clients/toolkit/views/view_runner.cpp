#include "clients/toolkit/views/view_runner.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>

namespace mallbots::toolkit {
namespace {

constexpr const char* kBuilds =
    "select b.number, b.form, b.state,"
    " (select coalesce(sum(p.next), 0) from view_positions p"
    "  where p.view = b.view and p.build = b.number),"
    " (select count(*) from view_skipped s where s.view = b.view and s.build = b.number)"
    " from view_builds b where b.view = ? order by b.number";

Result<std::vector<ViewBuild>> as_builds(const Result<Rows>& rows) {
  if (!rows) return std::unexpected(rows.error());
  std::vector<ViewBuild> builds;
  for (const Row& row : *rows)
    builds.push_back({.number = row.integer(0),
                      .form = row.integer(1),
                      .state = static_cast<BuildState>(row.integer(2)),
                      .applied = static_cast<std::uint64_t>(row.integer(3)),
                      .skipped = static_cast<std::uint64_t>(row.integer(4))});
  return builds;
}

const ViewBuild* find_state(const std::vector<ViewBuild>& builds, BuildState state) {
  const auto found = std::ranges::find(builds, state, &ViewBuild::state);
  return found == builds.end() ? nullptr : &*found;
}

std::string consumer_of(const std::string& view, std::int64_t build) {
  return "view." + view + "/" + std::to_string(build);
}

/// Runs a statement whose number of changed rows is nobody's business.
Result<void> change(Transaction& transaction, const std::string& sql, SqlValues values) {
  MALLBOTS_TRY(transaction.run(sql, values));
  return {};
}

}  // namespace

const View* ViewRunner::form(std::int64_t number) const {
  const auto found = std::ranges::find(forms_, number, &View::form);
  return found == forms_.end() ? nullptr : &*found;
}

const View& ViewRunner::newest() const {
  return *std::ranges::max_element(forms_, {}, &View::form);
}

// --- Builds

Result<void> ViewRunner::open() {
  if (forms_.empty()) return fail(ErrorCode::kBadArgument, "no view");
  MALLBOTS_TRY(store_.database.ensure(
      "create table if not exists view_builds (view text, number integer, form integer,"
      "  state integer, tables text, primary key (view, number)) without rowid;"
      "create table if not exists view_positions (view text, build integer, topic text,"
      "  partition integer, next integer, primary key (view, build, topic, partition))"
      "  without rowid;"
      "create table if not exists view_published (view text, topic text, partition integer,"
      "  next integer, primary key (view, topic, partition)) without rowid;"
      "create table if not exists view_skipped (view text, build integer, topic text,"
      "  partition integer, offset integer, id text, reason text,"
      "  primary key (view, build, topic, partition, offset)) without rowid;"));
  auto looker = make_reader_();
  if (!looker) return std::unexpected(std::move(looker).error());
  looker_ = std::move(*looker);
  return store_.database.transact([&](Transaction& transaction) -> Result<void> {
    const auto builds = load_builds(transaction);
    if (!builds) return std::unexpected(builds.error());
    if (builds->empty()) {
      MALLBOTS_TRY(mark_history(transaction));
      MALLBOTS_TRY(begin_build(transaction, BuildState::kLive));
    } else if (std::ranges::none_of(*builds, [&](const ViewBuild& build) {
                 return build.form == newest().form();
               })) {
      MALLBOTS_TRY(begin_build(transaction, BuildState::kBuilding));
    }
    return {};
  });
}

Result<std::vector<ViewBuild>> ViewRunner::load_builds(Transaction& transaction) const {
  return as_builds(transaction.rows(kBuilds, {name()}));
}

/// What lies in the log when the view is opened first has no effects.
Result<void> ViewRunner::mark_history(Transaction& transaction) {
  const auto partitions = looker_->partitions();
  if (!partitions) return std::unexpected(partitions.error());
  for (const client::TopicPartition& partition : *partitions) {
    const auto end = looker_->end(partition);
    if (!end) return std::unexpected(end.error());
    MALLBOTS_TRY(change(transaction, "insert into view_published values (?, ?, ?, ?)",
                        {name(), partition.topic, partition.partition, *end}));
  }
  return {};
}

Result<std::int64_t> ViewRunner::begin_build(Transaction& transaction, BuildState state) {
  const auto last =
      transaction.rows("select coalesce(max(number), 0) from view_builds where view = ?", {name()});
  if (!last) return std::unexpected(last.error());
  const std::int64_t number = last->front().integer(0) + 1;
  const View& view = newest();
  std::string tables;
  for (const std::string& table : view.tables()) tables += (tables.empty() ? "" : " ") + table;
  MALLBOTS_TRY(transaction.script(with_tables_of(number, view.schema())));
  MALLBOTS_TRY(
      change(transaction, "insert into view_builds values (?, ?, ?, ?, ?)",
             {name(), number, view.form(), static_cast<int>(BuildState::kBuilding), tables}));
  if (state == BuildState::kLive) MALLBOTS_TRY(make_live(transaction, number));
  return number;
}

namespace {

Result<std::vector<std::string>> tables_of(Transaction& transaction, const std::string& view,
                                           std::int64_t build) {
  const auto rows = transaction.rows("select tables from view_builds where view = ? and number = ?",
                                     {view, build});
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty())
    return fail(ErrorCode::kBadArgument,
                "view '" + view + "' has no build " + std::to_string(build));
  std::vector<std::string> tables;
  std::string_view rest = rows->front().text(0);
  while (!rest.empty()) {
    const auto space = rest.find(' ');
    tables.emplace_back(rest.substr(0, space));
    rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
  }
  return tables;
}

}  // namespace

/// The name without braces is an SQL view of the live build's table.
Result<void> ViewRunner::make_live(Transaction& transaction, std::int64_t build) {
  const auto tables = tables_of(transaction, name(), build);
  if (!tables) return std::unexpected(tables.error());
  for (const std::string& table : *tables)
    MALLBOTS_TRY(transaction.script("drop view if exists " + table + "; create view " + table +
                                    " as select * from " +
                                    with_tables_of(build, "{" + table + "}") + ";"));
  MALLBOTS_TRY(change(
      transaction, "update view_builds set state = ? where view = ? and state = ?",
      {static_cast<int>(BuildState::kRetired), name(), static_cast<int>(BuildState::kLive)}));
  return change(transaction, "update view_builds set state = ? where view = ? and number = ?",
                {static_cast<int>(BuildState::kLive), name(), build});
}

Result<std::int64_t> ViewRunner::rebuild() {
  return store_.database.transact(
      [&](Transaction& transaction) { return begin_build(transaction, BuildState::kBuilding); });
}

Result<void> ViewRunner::switch_to(std::int64_t build) {
  return store_.database.transact([&](Transaction& transaction) -> Result<void> {
    const auto builds = load_builds(transaction);
    if (!builds) return std::unexpected(builds.error());
    const ViewBuild* live = find_state(*builds, BuildState::kLive);
    if (live != nullptr && live->number == build) return {};
    const auto ours = positions(transaction, build);
    if (!ours) return std::unexpected(ours.error());
    auto bound = live == nullptr ? ours : positions(transaction, live->number);
    if (!bound) return std::unexpected(bound.error());
    // Between the two nobody would have published.
    for (const auto& [place, next] : *ours)
      if (next > (*bound)[place])
        return fail(ErrorCode::kBusy, "build " + std::to_string(build) + " of view '" + name() +
                                          "' is ahead of the live one in " + place.first);
    return make_live(transaction, build);
  });
}

Result<void> ViewRunner::drop(std::int64_t build) {
  return store_.database.transact([&](Transaction& transaction) -> Result<void> {
    const auto builds = load_builds(transaction);
    if (!builds) return std::unexpected(builds.error());
    const auto found = std::ranges::find(*builds, build, &ViewBuild::number);
    if (found == builds->end() || found->state == BuildState::kLive)
      return fail(ErrorCode::kBadArgument, "build " + std::to_string(build) + " of view '" +
                                               name() + "' is live, or is not there");
    const auto tables = tables_of(transaction, name(), build);
    if (!tables) return std::unexpected(tables.error());
    for (const std::string& table : *tables)
      MALLBOTS_TRY(transaction.script("drop table " + with_tables_of(build, "{" + table + "}")));
    MALLBOTS_TRY(change(transaction, "delete from view_positions where view = ? and build = ?",
                        {name(), build}));
    MALLBOTS_TRY(change(transaction, "delete from view_skipped where view = ? and build = ?",
                        {name(), build}));
    MALLBOTS_TRY(change(transaction, "delete from view_builds where view = ? and number = ?",
                        {name(), build}));
    return store_.inbox.forget(transaction, consumer_of(name(), build));
  });
}

// --- Positions

namespace {

template <class Positions>
Result<Positions> as_positions(const Result<Rows>& rows) {
  if (!rows) return std::unexpected(rows.error());
  Positions positions;
  for (const Row& row : *rows)
    positions[{std::string{row.text(0)}, static_cast<PartitionIndex>(row.integer(1))}] =
        static_cast<Offset>(row.integer(2));
  return positions;
}

}  // namespace

Result<ViewRunner::Positions> ViewRunner::positions(Transaction& transaction,
                                                    std::int64_t build) const {
  return as_positions<Positions>(transaction.rows(
      "select topic, partition, next from view_positions where view = ? and build = ?",
      {name(), build}));
}

Result<ViewRunner::Positions> ViewRunner::silent_until(Transaction& transaction) const {
  return as_positions<Positions>(transaction.rows(
      "select topic, partition, next from view_published where view = ?", {name()}));
}

Result<void> ViewRunner::store(Transaction& transaction, const ViewBuild& build,
                               const Positions& next, const Positions& silent) {
  for (const auto& [place, offset] : next)
    MALLBOTS_TRY(change(transaction, "insert or replace into view_positions values (?, ?, ?, ?, ?)",
                        {name(), build.number, place.first, place.second, offset}));
  for (const auto& [place, offset] : silent)
    MALLBOTS_TRY(change(transaction, "insert or replace into view_published values (?, ?, ?, ?)",
                        {name(), place.first, place.second, offset}));
  return {};
}

// --- Feeding

Result<ViewRunner::Feed*> ViewRunner::feed_of(const ViewBuild& build) {
  if (const auto found = feeds_.find(build.number); found != feeds_.end()) return &found->second;
  Feed feed;
  auto reader = make_reader_();
  if (!reader) return std::unexpected(std::move(reader).error());
  feed.reader = std::move(*reader);
  auto next = as_positions<Positions>(store_.database.read(
      "select topic, partition, next from view_positions where view = ? and build = ?",
      {name(), build.number}));
  if (!next) return std::unexpected(std::move(next).error());
  feed.next = std::move(*next);
  const auto partitions = feed.reader->partitions();
  if (!partitions) return std::unexpected(partitions.error());
  for (const client::TopicPartition& partition : *partitions)
    MALLBOTS_TRY(feed.reader->seek(partition, feed.next[{partition.topic, partition.partition}]));
  return &feeds_.insert_or_assign(build.number, std::move(feed)).first->second;
}

Result<std::size_t> ViewRunner::run_once(Deadline deadline) {
  const auto builds = as_builds(store_.database.read(kBuilds, {name()}));
  if (!builds) return std::unexpected(builds.error());
  std::erase_if(feeds_, [&](const auto& entry) {
    const auto found = std::ranges::find(*builds, entry.first, &ViewBuild::number);
    return found == builds->end() || found->state == BuildState::kRetired;
  });
  const ViewBuild* live = find_state(*builds, BuildState::kLive);
  const ViewBuild* building = find_state(*builds, BuildState::kBuilding);
  std::size_t applied = 0;
  if (live != nullptr && form(live->form) != nullptr) {
    const auto done = step(*live, building == nullptr ? deadline : Deadline::passed());
    if (!done) return done;
    applied += *done;
  }
  if (live != nullptr && building != nullptr && form(building->form) != nullptr) {
    const auto done = step(*building, Deadline::passed());
    if (!done) return done;
    applied += *done;
    if (*done == 0) MALLBOTS_TRY(switch_if_there(*live, *building));
  }
  return applied;
}

Result<void> ViewRunner::switch_if_there(const ViewBuild& live, const ViewBuild& building) {
  return store_.database.transact([&](Transaction& transaction) -> Result<void> {
    const auto bound = positions(transaction, live.number);
    auto ours = positions(transaction, building.number);
    if (!bound) return std::unexpected(bound.error());
    if (!ours) return std::unexpected(ours.error());
    for (const auto& [place, next] : *bound)
      if ((*ours)[place] != next) return {};
    return make_live(transaction, building.number);
  });
}

/// A build that is not live stays behind the live one, so that nothing is published by neither.
Result<std::size_t> ViewRunner::step(const ViewBuild& build, Deadline deadline) {
  const auto feed = feed_of(build);
  if (!feed) return std::unexpected(feed.error());
  const auto read = (*feed)->reader->read(deadline, options_.batch);
  if (!read && client::is_setback(read.error().code)) {
    note(read.error());
    return std::size_t{0};
  }
  if (!read) {
    feeds_.erase(build.number);
    return std::unexpected(read.error());
  }
  if (read->empty()) return std::size_t{0};
  if (build.state == BuildState::kLive) return apply(build, **feed, *read);
  const auto bound = as_positions<Positions>(store_.database.read(
      "select p.topic, p.partition, p.next from view_positions p join view_builds b"
      " on b.view = p.view and b.number = p.build where b.view = ? and b.state = ?",
      {name(), static_cast<int>(BuildState::kLive)}));
  const auto begin_anew = [&](const Error& error) -> Result<std::size_t> {
    feeds_.erase(build.number);  // its reader has gone past what was not applied
    return std::unexpected(error);
  };
  if (!bound) return begin_anew(bound.error());
  std::vector<client::Message> within;
  Positions again;  // where its reader has gone too far
  for (const client::Message& message : *read) {
    const Place place{std::string{message.topic}, message.partition};
    const auto found = bound->find(place);
    if (found != bound->end() && message.offset < found->second)
      within.push_back(message);
    else
      again.try_emplace(place, message.offset);
  }
  const auto applied = within.empty() ? Result<std::size_t>{0} : apply(build, **feed, within);
  if (!applied) return applied;
  for (const auto& [place, offset] : again)
    if (const auto back = (*feed)->reader->seek({place.first, place.second}, offset); !back)
      return begin_anew(back.error());
  return applied;
}

Result<std::size_t> ViewRunner::apply(const ViewBuild& build, Feed& feed,
                                      std::span<const client::Message> messages) {
  std::optional<Error> stopped;
  std::size_t applied = 0;
  Positions next;
  const auto committed = store_.database.transact(
      [&](Transaction& transaction) -> Result<void> {
        const auto published = silent_until(transaction);
        if (!published) return std::unexpected(published.error());
        Positions silent;
        for (const client::Message& record : messages) {
          const Place place{std::string{record.topic}, record.partition};
          if (record.offset < feed.next[place]) continue;  // a position that was set back
          const auto until = published->find(place);
          const bool is_silent = build.state != BuildState::kLive ||
                                 (until != published->end() && record.offset < until->second);
          const auto done = apply_one(transaction, build, Message{record}, is_silent);
          if (!done) {
            stopped = done.error();
            break;
          }
          next[place] = record.offset + 1;
          if (!is_silent) silent[place] = record.offset + 1;
          ++applied;
        }
        return store(transaction, build, next, silent);
      },
      Durability::kProcess);
  if (committed)
    for (const auto& [place, offset] : next) feed.next[place] = offset;
  if (!committed || stopped) feeds_.erase(build.number);
  if (!committed) return std::unexpected(committed.error());
  if (stopped) return std::unexpected(*stopped);
  return applied;
}

Result<void> ViewRunner::apply_one(Transaction& transaction, const ViewBuild& build,
                                   const Message& message, bool is_silent) {
  const View& view = *form(build.form);
  Handled applied;
  const auto done = transaction.attempt([&]() -> Result<void> {
    const auto is_new =
        store_.inbox.enter(transaction, consumer_of(name(), build.number), message.id());
    if (!is_new) return std::unexpected(is_new.error());
    if (!*is_new) return {};
    const ViewWork::Around around{transaction, store_.outbox, view.names(),
                                  view.name(), build.number,  is_silent};
    ViewWork work{around, message};
    applied = view.apply(work, message);
    if (!applied) return fail(ErrorCode::kStoreFailed, applied.error().text);
    return work.flush();
  });
  if (done || applied || applied.error().again != Again::kNever) return done;
  return change(
      transaction, "insert or replace into view_skipped values (?, ?, ?, ?, ?, ?, ?)",
      {name(), build.number, message.topic(), message.record().partition, message.record().offset,
       message.id(), applied.error().type + ": " + applied.error().text});
}

void ViewRunner::run(const std::stop_token& stop) {
  constexpr std::int64_t kLookAtStopMs = 100;
  std::mutex mutex;
  std::condition_variable_any never;
  while (!stop.stop_requested()) {
    const BootNanos before = boot_now_ns();
    const auto done = run_once(Deadline::after_ms(kLookAtStopMs));
    if (!done) note(done.error());
    const bool is_idle = done && *done == 0 && boot_now_ns() - before < kMillisecond;
    if (done && !is_idle) continue;
    std::unique_lock lock{mutex};
    never.wait_for(lock, stop, std::chrono::milliseconds{is_idle ? 10 : options_.retry_ms},
                   [] { return false; });
  }
}

// --- To watch

Result<std::vector<ViewBuild>> ViewRunner::builds() {
  auto builds = as_builds(store_.database.read(kBuilds, {name()}));
  if (!builds) return builds;
  const std::scoped_lock lock{mutex_};
  const auto partitions = looker_->partitions();
  if (!partitions) return std::unexpected(partitions.error());
  std::uint64_t all = 0;
  for (const client::TopicPartition& partition : *partitions) {
    const auto end = looker_->end(partition);
    if (!end) return std::unexpected(end.error());
    all += *end;
  }
  for (ViewBuild& build : *builds) build.lag = all > build.applied ? all - build.applied : 0;
  return builds;
}

Result<std::uint64_t> ViewRunner::lag() {
  const auto all = builds();
  if (!all) return std::unexpected(all.error());
  const ViewBuild* live = find_state(*all, BuildState::kLive);
  return live == nullptr ? 0 : live->lag;
}

void ViewRunner::note(const Error& error) {
  const std::scoped_lock lock{mutex_};
  last_error_ = error.sentence();
}

std::string ViewRunner::last_error() const {
  const std::scoped_lock lock{mutex_};
  return last_error_;
}

}  // namespace mallbots::toolkit
