// Power cuts at random moments of a writer's life, in process: thousands of states a second. What
// was durable must be there, and nothing but whole batches of the right content, in every life that
// follows. The negative controls show that the walk bites.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/broker/storage/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace mallbots::test {
namespace {

using broker::EngineChoice;

class Walk {
 public:
  Walk(EngineChoice engine, std::uint64_t seed, const Fault* sabotage)
      : inner_(plain_disk(engine)), dice_(seed), sabotage_(sabotage) {
    root_ = dir_ / "life0";
    std::filesystem::create_directories(root_ + "/p");
  }

  /// Three lives, each going on from a state that a cut of the one before has left.
  void run(int states_each) {
    for (LogEpoch epoch = 1; epoch <= 3; ++epoch) {
      FaultyDisk disk{*inner_};
      if (sabotage_ != nullptr) disk.add(*sabotage_);
      promises_ = {{0, truth_.size()}};
      live(disk, epoch);
      std::string next_root;
      for (int state = 0; state < states_each; ++state) {
        where_ = "life " + std::to_string(epoch) + " state " + std::to_string(state);
        const std::string into =
            dir_ / ("cut" + std::to_string(epoch) + "-" + std::to_string(state));
        const auto end = cut_and_check(disk, into);
        ++states;
        if (state + 1 < states_each || !end) {
          std::filesystem::remove_all(into);
          continue;
        }
        next_root = into;
        truth_.assign(content_.begin(), content_.begin() + static_cast<std::ptrdiff_t>(*end));
      }
      if (next_root.empty()) return;
      root_ = next_root;
    }
  }

  int states = 0;
  int violations = 0;
  std::string first;

 private:
  void blame(const std::string& what) {
    ++violations;
    if (first.empty()) first = where_ + ": " + what;
  }

  void live(FaultyDisk& disk, LogEpoch epoch) {
    StoreBench bench(disk, root_ + "/p", 16 << 10, 64 << 10);
    auto recovered = broker::recover_partition(*inner_, {bench.folder, kIdentity, {}, {}}).value();
    disk.record(root_);
    const Offset start = recovered.end.offset;
    if (start < truth_.size()) blame("a second recovery gave less than the first");
    content_ = truth_;
    content_.resize(start);
    bench.options.log_epoch = epoch;
    // The promise counts from the moment it is given.
    bench.heard.on_durable = [&](Offset offset) { promises_.emplace_back(disk.now(), offset); };
    FakePartition partition(16 << 10, epoch, start);
    bench.open(std::move(recovered), {0, 0, start});
    for (int i = 0; i < 60; ++i) {
      std::vector<std::size_t> sizes(1 + dice_() % 4);
      for (auto& size : sizes) {
        size = dice_() % 8 == 0 ? dice_() % 2500 : dice_() % 400;
        content_.push_back(payload_of(content_.size(), epoch, size));
      }
      partition.append(sizes);
      if (dice_() % 2 == 0) continue;
      if (dice_() % 4 == 0) bench.spares->refill();
      (void)bench.round(partition);
    }
    if (dice_() % 2 == 0) bench.close();
  }

  /// The recovered end, or nothing if the recovery itself failed.
  std::optional<Offset> cut_and_check(FaultyDisk& disk, const std::string& into) {
    const std::size_t moment = dice_() % (disk.now() + 1);
    disk.cut(moment, dice_, into);
    Offset promised = 0;
    for (const auto& [when, offset] : promises_) {
      if (when <= moment) promised = offset;
    }
    std::filesystem::create_directories(into + "/p");
    auto recovered = broker::recover_partition(*inner_, {into + "/p", kIdentity, {}, {}});
    if (!recovered) {
      blame(recovered.error().sentence());
      return std::nullopt;
    }
    const Offset end = recovered->end.offset;
    if (end < promised) {
      blame("durable to " + std::to_string(promised) + ", there to " + std::to_string(end));
    }
    for (const auto& finding : recovered->findings) {
      if (finding.first_offset < finding.end_offset) blame(finding.sentence);
    }
    check_records(read_back(*inner_, into + "/p", recovered->segments), end);
    return std::min<Offset>(end, content_.size());
  }

  void check_records(const std::vector<ReadBack>& records, Offset end) {
    Offset next = 0;
    bool inside = false;
    for (const ReadBack& record : records) {
      if (record.damaged || record.first != next || next >= content_.size() ||
          record.payload != content_[next]) {
        return blame("wrong record at offset " + std::to_string(record.first));
      }
      next = record.end;
      inside = !record.last_of_batch;
    }
    if (next != end) blame("the log ends before its end");
    if (inside) blame("a batch is half there");
  }

  TempDir dir_{memory_folder()};
  std::unique_ptr<broker::Disk> inner_;
  std::mt19937_64 dice_;
  const Fault* sabotage_;
  std::string root_;
  std::string where_ = "start";
  std::vector<std::string> truth_;    ///< payloads by offset that the life before has left
  std::vector<std::string> content_;  ///< and all that this life committed
  std::vector<std::pair<std::size_t, Offset>> promises_;
};

class PowerCut : public testing::TestWithParam<EngineChoice> {
 protected:
  int violations_with(const Fault& sabotage) {
    Walk walk(GetParam(), 7, &sabotage);
    walk.run(40);
    return walk.violations;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, PowerCut,
                         testing::Values(EngineChoice::kUring, EngineChoice::kThread),
                         [](const auto& info) {
                           return info.param == EngineChoice::kUring ? "Uring" : "Thread";
                         });

TEST_P(PowerCut, WhatWasDurableIsThereAndEveryBatchIsWhole) {
  int states = 0;
  for (std::uint64_t seed = 1; seed <= static_cast<std::uint64_t>(rounds(3)); ++seed) {
    Walk walk(GetParam(), seed, nullptr);
    walk.run(40);
    EXPECT_EQ(walk.violations, 0) << "seed " << seed << ", " << walk.first;
    states += walk.states;
  }
  std::printf("%d states walked\n", states);
}

TEST_P(PowerCut, ASwallowedFlushIsCaught) {
  EXPECT_GT(violations_with({Fault::kFlushes, 1, ~0ULL, Fault::kDropFlush, 0}), 0);
}

TEST_P(PowerCut, PublishingAtSubmissionIsCaught) {
  EXPECT_GT(violations_with({Fault::kWrites, 1, ~0ULL, Fault::kPublishEarly, 0}), 0);
}

TEST_P(PowerCut, AFolderThatIsNotSyncedIsCaught) {
  EXPECT_GT(violations_with({Fault::kFolderSyncs, 1, ~0ULL, Fault::kDropFlush, 0}), 0);
}

}  // namespace
}  // namespace mallbots::test
