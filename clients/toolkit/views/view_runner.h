// ViewRunner: keeps a view up to date, and builds it anew beside the one that is read.
//
//   ViewRunner runner{{invoices}, {*database, *inbox, *outbox}, [&] { return LogReader::open(...);
//   }}; MALLBOTS_TRY(runner.open()); std::jthread thread{[&](std::stop_token stop) {
//   runner.run(stop); }};
//   ... database.read("select paid from invoices where id = ?", {id}) ...
//
// A build is a copy of the view's tables with a position of its own in each partition; tables and
// position change in one transaction. One build is live; a new one (rebuild(), or a View of a
// higher form) reads from the oldest record up to where the live one is, and takes its place then,
// between two transactions: readers see the one or the other, whole. The old one stays, for
// switch_to(), until drop().
//
// What is promised: a death at any point leaves a build at a message; it goes on there. Live events
// that arrive during a rebuild reach both builds, each once. What handlers publish goes out for
// messages that no build had published for before, and that came after the view was first opened.
// Commits survive the death of the process (Durability::kProcess); after a power cut the last
// messages are applied again, with the same ids of what they publish.
//
// Several Views are forms of one view, so that the live one is fed by its own code while the next
// is built. A live build whose form is not among them is read as it is and stands still.
//
// Who calls: run() or run_once() from one thread; the rest from any. Errors: those of Database and
// of the TopicReader; BadArgument (no such build); Busy (switch_to a build that is ahead).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "clients/toolkit/saga/saga_runner.h"
#include "clients/toolkit/views/topic_reader.h"
#include "clients/toolkit/views/view.h"

namespace mallbots::toolkit {

enum class BuildState : std::uint8_t { kBuilding, kLive, kRetired };

struct ViewBuild {
  std::int64_t number = 0;
  std::int64_t form = 0;
  BuildState state = BuildState::kBuilding;
  std::uint64_t applied = 0;  ///< messages behind its positions
  std::uint64_t lag = 0;      ///< messages between them and the end of the log
  std::uint64_t skipped = 0;  ///< given up by their handlers
};

struct ViewOptions {
  std::size_t batch = 256;  ///< messages of one transaction
  /// After a handler or the database failed.
  std::int64_t retry_ms = 200;
};

class ViewRunner {
 public:
  using MakeReader = std::function<Result<std::unique_ptr<TopicReader>>()>;

  ViewRunner(std::vector<View> forms, const ServiceStore& store, MakeReader make_reader,
             const ViewOptions& options = {})
      : forms_(std::move(forms)),
        store_(store),
        make_reader_(std::move(make_reader)),
        options_(options) {}
  ViewRunner(const ViewRunner&) = delete;
  ViewRunner& operator=(const ViewRunner&) = delete;

  /// Makes tables, and the first build if there is none; begins one if a higher form is there.
  [[nodiscard]] Result<void> open();
  /// One batch of each build that is fed; waits for messages of the live one until the deadline.
  /// Gives how many were applied.
  [[nodiscard]] Result<std::size_t> run_once(Deadline deadline = Deadline::passed());
  /// Until stopped; errors are kept (last_error) and tried again.
  void run(const std::stop_token& stop);

  /// Begins a new build of the highest form; gives its number.
  [[nodiscard]] Result<std::int64_t> rebuild();
  /// Makes a build live that stands where the live one does, or behind it.
  [[nodiscard]] Result<void> switch_to(std::int64_t build);
  /// Its tables and positions. Not of the live one (BadArgument).
  [[nodiscard]] Result<void> drop(std::int64_t build);

  [[nodiscard]] Result<std::vector<ViewBuild>> builds();
  /// Messages between the live build and the end of the log.
  [[nodiscard]] Result<std::uint64_t> lag();
  [[nodiscard]] std::string last_error() const;

 private:
  using Place = std::pair<std::string, PartitionIndex>;
  using Positions = std::map<Place, Offset>;
  struct Feed {  ///< of one build, by the running thread only
    std::unique_ptr<TopicReader> reader;
    Positions next;
  };

  [[nodiscard]] const std::string& name() const { return forms_.front().name(); }
  [[nodiscard]] const View* form(std::int64_t number) const;
  [[nodiscard]] const View& newest() const;

  [[nodiscard]] Result<std::vector<ViewBuild>> load_builds(Transaction& transaction) const;
  [[nodiscard]] Result<std::int64_t> begin_build(Transaction& transaction, BuildState state);
  [[nodiscard]] Result<void> make_live(Transaction& transaction, std::int64_t build);
  [[nodiscard]] Result<Positions> positions(Transaction& transaction, std::int64_t build) const;
  [[nodiscard]] Result<Positions> silent_until(Transaction& transaction) const;
  [[nodiscard]] Result<void> mark_history(Transaction& transaction);

  [[nodiscard]] Result<Feed*> feed_of(const ViewBuild& build);
  [[nodiscard]] Result<std::size_t> step(const ViewBuild& build, Deadline deadline);
  [[nodiscard]] Result<std::size_t> apply(const ViewBuild& build, Feed& feed,
                                          std::span<const client::Message> messages);
  [[nodiscard]] Result<void> apply_one(Transaction& transaction, const ViewBuild& build,
                                       const Message& message, bool is_silent);
  [[nodiscard]] Result<void> store(Transaction& transaction, const ViewBuild& build,
                                   const Positions& next, const Positions& silent);
  [[nodiscard]] Result<void> switch_if_there(const ViewBuild& live, const ViewBuild& building);
  void note(const Error& error);

  std::vector<View> forms_;
  ServiceStore store_;
  MakeReader make_reader_;
  ViewOptions options_;
  std::map<std::int64_t, Feed> feeds_;
  mutable std::mutex mutex_;
  std::string last_error_;
  std::unique_ptr<TopicReader> looker_;  ///< for lag; under mutex_
};

}  // namespace mallbots::toolkit
