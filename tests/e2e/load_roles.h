// What the processes of the load test do: producers that note what was acknowledged, members of
// groups that note what they were given. Each is the body of a child process (Process::call); notes
// are files of fixed structs. SIGTERM ends a member behind its last commit.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/producer.h"

namespace mallbots::test {

struct Load {
  std::string runtime_dir;
  std::string topic = "load";
  std::uint32_t partitions = 100;
  std::uint32_t producers = 50;
  std::uint32_t groups = 10;
  std::uint32_t members = 2;  ///< of each group
  std::uint32_t seconds = 5;
  std::uint32_t records_per_second = 200;  ///< of each producer
  std::uint32_t seed = 1;
};

/// The `sequence`-th record of `producer` in `partition`, from 1.
struct Acked {
  std::uint32_t producer = 0;
  std::uint32_t partition = 0;
  std::uint64_t sequence = 0;
  Offset offset = 0;
  std::int64_t took_ns = 0;
};

/// A record as a member of a group got it.
struct Given {
  std::uint32_t partition = 0;
  std::uint32_t producer = 0;
  std::uint64_t sequence = 0;
  Offset offset = 0;
};

template <class Row>
[[nodiscard]] std::vector<Row> read_rows(const std::string& path);

[[nodiscard]] std::unique_ptr<client::Connection> connect_to(const std::string& runtime_dir,
                                                             const std::string& name);

/// Exit code: 0 all appends were acknowledged, 1 not; standard error says which.
[[nodiscard]] int produce_load(const Load& load, std::uint32_t self, const std::string& notes);
[[nodiscard]] int consume_load(const Load& load, const std::string& group,
                               const std::string& notes);
/// Reads all of the topic from its start to its present end, as a plain reader.
[[nodiscard]] std::vector<Given> read_all(client::Connection& connection, const Load& load);

/// What the kernel says about a process and its threads.
struct Used {
  std::int64_t cpu_ms = 0;
  std::int64_t resident_bytes = 0;
  std::map<pid_t, std::int64_t> voluntary_switches;  ///< of each thread
};
[[nodiscard]] Used used_by(pid_t pid);
/// The letter of its state as proc(5) has it, e.g. 'T' for stopped.
[[nodiscard]] char state_of(pid_t pid);

}  // namespace mallbots::test
