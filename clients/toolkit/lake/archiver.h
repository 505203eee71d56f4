// Archiver: keeps all public events of a broker in a lake (README.md), as a group of its own.
//
//   auto archiver = Archiver::open({.name = "lake"}, {.folder = "/srv/lake"});
//   std::jthread thread{[&](std::stop_token stop) { (*archiver)->run(stop); }};
//
// It archives the topics that hold streams (type=events) and those whose name fits a pattern; new
// ones within look_ms. Never: topics that begin with "internal-events.", the broker's own, and
// events that their context keeps to itself.
//
// What is promised: each durable record of these topics is in the closed files once, whatever died
// when; a file is closed after roll_ms or roll_bytes, at midnight UTC, and when run() is stopped.
// Where it goes on is what the closed files say; the group's position follows them, so that its lag
// tells what is not archived, and a topic with retention=consumed keeps it. What was taken by
// retention before is counted (lost).
//
// Who calls: run() or run_once() from one thread, status() from any. Errors: Busy (another archiver
// has the folder), Io, those of Connection::open and client::Consumer. run() keeps the last one
// and tries again; what was in the file at hand is read from the log once more.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "clients/admin.h"
#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/toolkit/lake/lake_file.h"
#include "clients/toolkit/lake/lake_folder.h"

namespace mallbots::toolkit {

struct ArchiverOptions {
  std::string folder;
  /// Names, in which `*` stands for any text.
  std::vector<std::string> topics{"events.*"};
  bool streams = true;  ///< also every topic of type=events
  std::string group = "lake";
  std::int64_t roll_ms = 300'000;  ///< age at which a file is closed; 0: after each read
  std::uint64_t roll_bytes = 64 << 20;
  std::int64_t look_ms = 2'000;  ///< how often new topics are looked for
};

struct ArchiverStatus {
  std::uint64_t archived = 0;  ///< records in closed files, since open()
  std::uint64_t waiting = 0;   ///< records in files that are being written
  std::uint64_t files = 0;     ///< closed since open()
  std::uint64_t lost = 0;      ///< offsets that were gone before they were read
  std::uint64_t topics = 0;
  std::string last_error{};
};

class Archiver {
 public:
  /// Throws away what an archiver before it had not closed.
  [[nodiscard]] static Result<std::unique_ptr<Archiver>> open(
      const client::ConnectionOptions& where, ArchiverOptions options);
  Archiver(const Archiver&) = delete;
  Archiver& operator=(const Archiver&) = delete;

  /// Reads once, writes, closes what is due; gives how many records were read.
  [[nodiscard]] Result<std::size_t> run_once(Deadline deadline);
  /// Until stopped; then closes its files.
  void run(const std::stop_token& stop);
  /// Closes every file that holds something.
  [[nodiscard]] Result<void> close_files();
  [[nodiscard]] ArchiverStatus status() const;

 private:
  using Place = std::pair<std::string, PartitionIndex>;
  struct Shelf {  ///< one partition
    std::uint64_t log = 0;
    Offset next = 0;         ///< of the next record to be written
    bool is_known = false;   ///< next was found out
    bool is_placed = false;  ///< the consumer reads from there
    std::unique_ptr<LakeFileWriter> file{};
    std::uint64_t topic_id = 0;  ///< of the records in it
    std::string path{};
    std::int64_t day = 0;
    Offset first = 0;
    BootNanos begun_ns = 0;
  };

  Archiver(client::ConnectionOptions where, ArchiverOptions options, LakeLock lock)
      : where_(std::move(where)),
        options_(std::move(options)),
        folder_(options_.folder),
        lock_(std::move(lock)) {}
  [[nodiscard]] Result<void> connect();
  [[nodiscard]] Result<void> look();
  [[nodiscard]] Result<bool> is_wanted(client::Admin& admin, const client::TopicSummary& topic);
  [[nodiscard]] Result<void> subscribe();
  [[nodiscard]] Result<void> place_all();
  [[nodiscard]] Result<void> place(const Place& place, Shelf& shelf);
  [[nodiscard]] Result<void> write(const client::Message& message);
  [[nodiscard]] Result<void> begin(Shelf& shelf, const client::Message& message);
  [[nodiscard]] Result<void> close(const Place& place, Shelf& shelf);
  [[nodiscard]] Result<void> close_due();
  [[nodiscard]] Result<void> close_oldest();
  [[nodiscard]] Result<std::size_t> take_setback(const Error& error);
  void abandon(Shelf& shelf);
  void read_again();
  void note(const Error& error);

  client::ConnectionOptions where_;
  ArchiverOptions options_;
  LakeFolder folder_;
  LakeLock lock_;
  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<client::Consumer> consumer_;
  std::map<std::string, std::uint64_t> topics_;  ///< subscribed, with their ids
  std::map<std::uint64_t, bool> wanted_;         ///< what was decided of a topic, by id
  std::map<Place, Shelf> shelves_;
  std::set<Place> moved_;  ///< came or went with the last poll
  bool is_subscribed_ = false;
  BootNanos next_look_ns_ = 0;
  std::uint64_t files_made_ = 0;
  mutable std::mutex mutex_;
  ArchiverStatus status_;
};

}  // namespace mallbots::toolkit
