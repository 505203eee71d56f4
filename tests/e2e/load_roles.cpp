#include "tests/e2e/load_roles.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

namespace mallbots::test {
namespace {

std::atomic<bool> asked_to_end = false;  // lock-free: a signal handler stores it

constexpr std::uint32_t kDurableEach = 10;  ///< one producer of so many waits for the disk
constexpr std::size_t kPaddings = 500;

template <class Row>
void note(std::ofstream& out, const Row& row) {
  out.write(reinterpret_cast<const char*>(&row), sizeof row);
}

int failed(const char* what, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.sentence().c_str());
  return 1;
}

Given given_of(const client::Message& message) {
  Given given{.partition = message.partition, .offset = message.offset};
  const std::string_view text = message.text();
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, given.producer);
  if (first.ptr != end) std::from_chars(first.ptr + 1, end, given.sequence);
  return given;
}

}  // namespace

template <class Row>
std::vector<Row> read_rows(const std::string& path) {
  std::vector<Row> rows(std::filesystem::file_size(path) / sizeof(Row));
  std::ifstream{path, std::ios::binary}.read(
      reinterpret_cast<char*>(rows.data()),
      static_cast<std::streamsize>(rows.size() * sizeof(Row)));
  return rows;
}
template std::vector<Acked> read_rows<Acked>(const std::string&);
template std::vector<Given> read_rows<Given>(const std::string&);

std::unique_ptr<client::Connection> connect_to(const std::string& runtime_dir,
                                               const std::string& name) {
  auto connection = client::Connection::open({.runtime_dir = runtime_dir, .name = name});
  if (connection) return std::move(*connection);
  failed(name.c_str(), connection.error());
  return nullptr;
}

int produce_load(const Load& load, std::uint32_t self, const std::string& notes) {
  const auto connection = connect_to(load.runtime_dir, "producer-" + std::to_string(self));
  if (!connection) return 1;
  const auto producer = client::Producer::open(*connection, load.topic);
  if (!producer) return failed("open", producer.error());
  std::ofstream out{notes, std::ios::binary};
  std::mt19937 dice{load.seed * 1000 + self};
  std::vector<std::uint64_t> sequences(load.partitions);
  const auto acks = self % kDurableEach == 0 ? client::Acks::kDurable : client::Acks::kCommitted;
  auto next = std::chrono::steady_clock::now();
  for (const Deadline end = Deadline::after_ms(load.seconds * 1000LL); !end.has_passed();) {
    const std::uint32_t partition = static_cast<std::uint32_t>(dice() % load.partitions);
    Acked acked{.producer = self, .partition = partition, .sequence = sequences[partition] + 1};
    std::string text = fmt::format("{} {} ", self, acked.sequence);
    text.resize(text.size() + dice() % kPaddings, '.');
    const BootNanos begin = boot_now_ns();
    const auto receipt = (*producer)->append({.payload = client::as_bytes(text)},
                                             {.partition = partition, .acks = acks});
    if (!receipt) return failed("append", receipt.error());
    acked.took_ns = boot_now_ns() - begin;
    acked.offset = receipt->offset;
    sequences[partition] = acked.sequence;
    note(out, acked);
    next += std::chrono::nanoseconds{1'000'000'000 / load.records_per_second};
    std::this_thread::sleep_until(next);
  }
  return out.flush() ? 0 : 1;
}

int consume_load(const Load& load, const std::string& group, const std::string& notes) {
  signal(SIGTERM, [](int) { asked_to_end.store(true); });
  const auto connection = connect_to(load.runtime_dir, "member of " + group);
  if (!connection) return 1;
  const auto consumer = client::Consumer::open(*connection);
  if (!consumer) return failed("open", consumer.error());
  if (const auto joined = (*consumer)->subscribe(std::vector{load.topic}, group); !joined)
    return failed("subscribe", joined.error());
  std::ofstream out{notes, std::ios::binary};
  while (!asked_to_end.load()) {
    const auto batch = (*consumer)->poll(Deadline::after_ms(200));
    if (!batch) return failed("poll", batch.error());
    for (const client::Message& message : *batch) note(out, given_of(message));
    if (batch->empty()) continue;
    if (const auto done = (*consumer)->commit(); !done) return failed("commit", done.error());
  }
  return out.flush() ? 0 : 1;
}

std::vector<Given> read_all(client::Connection& connection, const Load& load) {
  std::vector<Given> all;
  std::uint64_t expected = 0;
  const auto described = client::Admin{connection}.describe_topic(load.topic);
  const auto consumer = client::Consumer::open(connection);
  if (!described || !consumer) return all;
  for (const auto& partition : described->partitions) expected += partition.end_offset;
  if (!(*consumer)->assign(load.topic, {}, client::Start::oldest())) return all;
  for (const Deadline limit = Deadline::after_ms(60'000);
       all.size() < expected && !limit.has_passed();) {
    const auto batch = (*consumer)->poll(Deadline::after_ms(500));
    if (!batch) {
      failed("read all", batch.error());
      return all;
    }
    for (const client::Message& message : *batch) all.push_back(given_of(message));
  }
  return all;
}

char state_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  const auto behind_name = text.rfind(')');
  return behind_name + 2 < text.size() ? text[behind_name + 2] : '?';
}

Used used_by(pid_t pid) {
  Used used;
  const std::string folder = "/proc/" + std::to_string(pid);
  std::string word;
  for (const auto& task : std::filesystem::directory_iterator(folder + "/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("voluntary_ctxt_switches:"))
        used.voluntary_switches[std::stoi(task.path().filename())] =
            std::stoll(line.substr(line.find(':') + 1));
  }
  std::ifstream stat(folder + "/stat");
  std::string text;
  std::getline(stat, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::int64_t ticks = 0;
  for (int field = 3; fields >> word && field <= 15; ++field)
    if (field == 14 || field == 15) ticks += std::stoll(word);
  used.cpu_ms = ticks * 1000 / sysconf(_SC_CLK_TCK);
  std::ifstream statm(folder + "/statm");
  std::int64_t pages = 0;
  statm >> pages >> pages;
  used.resident_bytes = pages * sysconf(_SC_PAGESIZE);
  return used;
}

}  // namespace mallbots::test
