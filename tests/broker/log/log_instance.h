// LogInstance: disk, catalogue and topics of a broker without control plane and keeper, in one
// process, with sessions that a test makes up. One thread.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "broker/log/topics.h"
#include "shm/concurrent/append.h"
#include "shm/concurrent/read.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {

/// Session pages in plain memory.
class FakeSessions final : public broker::SessionPages {
 public:
  /// Makes a session.
  SessionIndex open();
  /// Its process is gone: no pin, no page.
  void close(SessionIndex session) { pages_.erase(session); }

  shm::SessionPage* page(SessionIndex session) override;
  std::optional<std::uint32_t> open_cell(SessionIndex session) override;
  void close_cell(SessionIndex, std::uint32_t) override {}
  void for_each(
      const std::function<void(SessionIndex, shm::SessionPage&, std::uint32_t)>& visit) override;
  void expel(SessionIndex session, const std::string& reason) override;

  std::map<SessionIndex, std::string> expelled;

 private:
  struct Page {
    std::unique_ptr<std::byte[]> memory =
        std::make_unique<std::byte[]>(2 * sizeof(shm::SessionPage));
    /// Zeros, at a page border: what a memfd would be.
    [[nodiscard]] shm::SessionPage* page() const noexcept;
    std::uint32_t cells = 0;
  };
  std::map<SessionIndex, Page> pages_;
  SessionIndex next_ = 0;
};

/// Maps slots of one partition as a client would, from the descriptors that the topic gives.
class SlotsOfTopic final : public shm::SlotSource {
 public:
  SlotsOfTopic(broker::Topic& topic, PartitionIndex partition)
      : topic_(topic), partition_(partition) {}
  shm::SlotMemory map_slot(std::uint64_t slot_id) override;
  void drop_slot(shm::SlotMemory memory) override;

 private:
  broker::Topic& topic_;
  PartitionIndex partition_;
  std::map<shm::SlotHeader*, shm::Mapping> mapped_;
};

/// A keeper without processes: a thread that holds what brokers put with it.
class HoldingKeeper {
 public:
  ~HoldingKeeper() { hang_up(); }
  /// A link for the next broker, with copies of all that is held; the one before is over.
  [[nodiscard]] broker::KeeperLink connect();
  void hang_up();
  void forget_all() { held_.clear(); }

 private:
  void serve(int socket);

  std::thread thread_;
  broker::FdStore held_;  ///< the thread's while one is connected
};

class LogInstance {
 public:
  struct Options {
    std::string data_dir{};  ///< empty: a folder of its own
    bool records = false;    ///< everything that goes to the disk: recorder()
  };
  LogInstance() : LogInstance(Options{}) {}
  explicit LogInstance(const Options& options)
      : data_dir_(options.data_dir.empty() ? dir_ / "data" : options.data_dir),
        records_(options.records) {
    start();
  }
  ~LogInstance() { stop(); }

  /// Duties until nothing is in flight and nothing is dirty.
  void settle();
  /// One turn.
  void turn();
  /// As after kill -9 of keeper and broker: the memory is lost.
  void crash_and_start();
  /// As after kill -9 of the broker alone: the keeper has the memory, the sessions go on.
  void restart_broker();
  /// As after SIGTERM.
  void drain_and_start();
  /// Makes `into` a data directory as a power cut now could leave it, and returns it. Needs
  /// Options::records.
  std::string cut(std::mt19937_64& dice, const std::string& into);

  broker::Topic& make(const std::string& name, std::vector<shm::Setting> settings = {},
                      std::uint32_t partitions = 1);
  [[nodiscard]] broker::Topic& topic(const std::string& name);

  /// A client of one partition: parts over mappings of its own.
  struct Client {
    SessionIndex session;
    shm::Mapping board, knock;
    std::unique_ptr<SlotsOfTopic> slots;
    shm::PartitionParts parts;
    shm::ProducerSeat seat;
    shm::ReaderCell* reader = nullptr;
  };
  [[nodiscard]] std::unique_ptr<Client> attach(broker::Topic& topic, PartitionIndex partition = 0,
                                               broker::ProducerNames::Holder holder = {});

  broker::Topics& topics() { return *topics_; }
  broker::Disk& disk() { return recorder_ ? static_cast<broker::Disk&>(*recorder_) : *disk_; }
  FakeSessions& sessions() { return *sessions_; }
  shm::Registry& registry() { return *registry_; }
  FaultyDisk& recorder() { return *recorder_; }
  /// How much of what the keeper held nobody took at the last start.
  [[nodiscard]] std::size_t dropped() const noexcept { return dropped_; }
  [[nodiscard]] const std::string& data_dir() const noexcept { return data_dir_; }
  std::vector<std::string> findings;
  std::vector<std::string> troubles;

 private:
  void start(bool memory_kept = false);
  void stop();

  TempDir dir_;
  std::string data_dir_;
  bool records_;
  std::size_t dropped_ = 0;
  HoldingKeeper holder_;
  std::unique_ptr<broker::Disk> disk_;
  std::unique_ptr<FaultyDisk> recorder_;
  std::optional<broker::DataDirectory> data_;
  std::unique_ptr<broker::SparePool> spares_;
  broker::KeeperLink keeper_;
  std::unique_ptr<FakeSessions> sessions_;
  std::unique_ptr<shm::Registry> registry_;
  std::unique_ptr<broker::Topics> topics_;
};

/// "r0", "r1", ... as payloads.
[[nodiscard]] std::string payload_of(std::uint64_t i, std::size_t bytes = 0);
/// Appends records [first, last) one by one, with turns of the instance when there is no room.
void append_all(LogInstance& instance, shm::Appender& appender, std::uint64_t first,
                std::uint64_t last, std::size_t bytes = 0);

}  // namespace mallbots::test
