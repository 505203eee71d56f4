// M17 on a broker: what becomes of public events in a lake, and of the lake when its archiver dies.
#include "clients/toolkit/lake/archiver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

#include "clients/event_store.h"
#include "clients/toolkit/lake/lake_reader.h"
#include "tests/clients/fixture.h"
#include "tests/clients/toolkit/lake/records.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using Texts = std::vector<std::string>;

class ArchiverTest : public ClientTest {
 protected:
  std::unique_ptr<toolkit::Archiver> archiver(toolkit::ArchiverOptions options = {}) {
    options.folder = lake();
    options.look_ms = 20;
    auto made = toolkit::Archiver::open({.runtime_dir = daemon_.runtime_dir(), .name = "lake"},
                                        std::move(options));
    EXPECT_TRUE(made) << made.error().sentence();
    return std::move(*made);
  }
  /// Until so many records are in the lake.
  void archive(toolkit::Archiver& archiver, std::uint64_t records) {
    EXPECT_TRUE(eventually([&] {
      const auto read = archiver.run_once(Deadline::after_ms(20));
      if (!read) problems_ += read.error().sentence() + "\n";  // of a topic that went, and the like
      const toolkit::ArchiverStatus status = archiver.status();
      return status.archived + status.waiting >= records;
    })) << archiver.status().archived
        << problems_;
    EXPECT_OK(archiver.close_files());
  }
  std::string lake() const { return dir_ / "lake"; }
  void send(client::Connection& connection, const std::string& topic, int from, int to,
            PartitionIndex partition = 0) {
    const auto producer = this->producer(connection, topic);
    for (int i = from; i < to; ++i)
      ASSERT_OK(producer->append({.payload = client::as_bytes(std::to_string(i))},
                                 {.partition = partition, .acks = client::Acks::kDurable}));
  }
  const TempDir dir_;
  std::string problems_;
};

TEST_F(ArchiverTest, M17_1_PublicEventsAreKeptAndNothingElse) {
  const auto connection = connect();
  client::Admin admin{*connection};
  ASSERT_OK(admin.create_topic("shop.Order", 1, {{"type", "events"}}));
  for (const char* topic : {"events.Mail", "commands.Do", "internal-events.x.Seen"})
    create(*connection, topic);
  const auto store = client::EventStore::open(*connection, "shop.Order").value();
  const std::vector<client::Header> named{{"msg.name", "OrderPlaced"}};
  std::vector<client::Event> events(3);
  for (auto& event : events) event.payload = client::as_bytes("order");
  events[1].is_internal = true;
  ASSERT_OK(store->append("o-1", client::Expected::none(), events));
  send(*connection, "events.Mail", 0, 2);
  send(*connection, "commands.Do", 0, 2);
  send(*connection, "internal-events.x.Seen", 0, 2);
  const auto own = archiver({.topics = {"events.*", "internal*"}});
  archive(*own, 4);
  Texts found = lake_texts(lake());
  std::ranges::sort(found);
  EXPECT_EQ(found, (Texts{"events.Mail/0/0=0", "events.Mail/0/1=1", "shop.Order/0/0=order",
                          "shop.Order/0/2=order"}));
  const auto cursor_files = toolkit::LakeFolder{lake()}.files();
  ASSERT_EQ(cursor_files->size(), 2U);
  const auto reader = toolkit::LakeFileReader::open(cursor_files->at(1).path).value();
  EXPECT_EQ(client::stream_version(**reader->next()), 1U);
}

TEST_F(ArchiverTest, TheGroupSaysWhatIsNotArchivedYet) {
  const auto connection = connect();
  create(*connection, "events.Mail");
  send(*connection, "events.Mail", 0, 10);
  const auto own = archiver({.topics = {"events.*"}, .roll_ms = 3'600'000});
  ASSERT_TRUE(eventually([&] {
    EXPECT_TRUE(own->run_once(Deadline::after_ms(20)));
    return own->status().waiting == 10;
  }));
  client::Admin admin{*connection};
  EXPECT_TRUE(lake_texts(lake()).empty());
  EXPECT_EQ(admin.describe_group("lake")->front().lag, 10U);
  ASSERT_OK(own->close_files());
  EXPECT_EQ(lake_texts(lake()).size(), 10U);
  EXPECT_TRUE(eventually([&] { return admin.describe_group("lake")->front().lag == 0; }));
}

TEST_F(ArchiverTest, ATopicMadeAnewIsAnotherLog) {
  const auto connection = connect();
  client::Admin admin{*connection};
  create(*connection, "events.Mail");
  send(*connection, "events.Mail", 0, 3);
  const auto own = archiver();
  archive(*own, 3);
  ASSERT_OK(admin.delete_topic("events.Mail"));
  create(*connection, "events.Mail");
  send(*connection, "events.Mail", 10, 12);
  archive(*own, 5);
  Texts found = lake_texts(lake());
  std::ranges::sort(found);
  EXPECT_EQ(found, (Texts{"events.Mail/0/0=0", "events.Mail/0/0=10", "events.Mail/0/1=1",
                          "events.Mail/0/1=11", "events.Mail/0/2=2"}));
  // A view of the topic as it is now reads its own log only.
  const auto reader =
      toolkit::LakeReader::open(lake(), {.runtime_dir = daemon_.runtime_dir()}, {"events.Mail"});
  ASSERT_OK(reader);
  send(*connection, "events.Mail", 12, 14);
  Texts read;
  EXPECT_TRUE(eventually([&] {
    const auto messages = (*reader)->read(Deadline::after_ms(20), 100);
    EXPECT_TRUE(messages);
    for (const client::Message& message : *messages) read.emplace_back(message.text());
    return read.size() >= 4;
  }));
  EXPECT_EQ(read, (Texts{"10", "11", "12", "13"}));
}

/// Each offset of each partition once, with its own payload.
void expect_once(const std::string& lake, std::size_t partitions, int records) {
  Texts wanted;
  for (std::size_t partition = 0; partition < partitions; ++partition)
    for (int i = 0; i < records; ++i)
      wanted.push_back("events.Mail/" + std::to_string(partition) + "/" + std::to_string(i) + "=" +
                       std::to_string(i));
  Texts found = lake_texts(lake);
  std::ranges::sort(wanted);
  std::ranges::sort(found);
  EXPECT_EQ(found, wanted);
  Offset next = 0;
  PartitionIndex partition = 0;
  const auto files = toolkit::LakeFolder{lake}.files();
  for (const toolkit::LakeFile& file : *files) {
    if (file.partition != partition) next = 0;
    partition = file.partition;
    EXPECT_EQ(file.first, next) << file.path;  // no gap, no overlap
    next = file.next;
  }
}

#if defined(LAKE_CRASH_CHILD)
TEST_F(ArchiverTest, M17_2_KilledAtEveryStepNothingIsLostOrDoubled) {
  const auto connection = connect();
  client::Admin admin{*connection};
  ASSERT_OK(admin.create_topic("events.Mail", 2, {}));
  int sent = 0;
  int kills = 0;
  const auto start = [&](std::vector<std::pair<std::string, std::string>> environment) {
    return run({binary("toolkit_lake_child"), daemon_.runtime_dir(), lake(),
                std::to_string(2 * sent)},
               {.environment = std::move(environment), .limit_s = 30})
        .ended;
  };
  for (const char* point : {"lake.create", "lake.flush", "lake.rename", "lake.renamed"}) {
    for (int nth = 1; nth <= 3; ++nth) {
      SCOPED_TRACE(std::string{point} + ", visit " + std::to_string(nth));
      for (PartitionIndex partition : {0U, 1U})
        send(*connection, "events.Mail", sent, sent + 20, partition);
      sent += 20;
      const Ended ended =
          start({{"MALLBOTS_CRASH_AT", point}, {"MALLBOTS_CRASH_NTH", std::to_string(nth)}});
      if (nth < 3) {
        EXPECT_EQ(ended.signal, SIGKILL);  // two partitions: at least two visits
      }
      kills += ended.signal == SIGKILL ? 1 : 0;
      if (nth == 2) {
        EXPECT_EQ(start({}).exit_code, 0);
        expect_once(lake(), 2, sent);
      }
    }
  }
  EXPECT_EQ(start({}).exit_code, 0);
  expect_once(lake(), 2, sent);
  std::printf("crash points run 4, kills %d, violations %d\n", kills, HasFailure() ? 1 : 0);
}
#endif

TEST_F(ArchiverTest, M17_2_KilledAtAnyMomentNothingIsLostOrDoubled) {
  const auto connection = connect();
  client::Admin admin{*connection};
  ASSERT_OK(admin.create_topic("events.Mail", 2, {}));
  std::mt19937 random{std::random_device{}()};
  int sent = 0;
  for (int kill = 0; kill < 20; ++kill) {
    Process child =
        Process::start({binary("toolkit_lake_child"), daemon_.runtime_dir(), lake(), "1000000000"});
    const auto begun = std::chrono::steady_clock::now();
    const auto life = std::chrono::milliseconds{20 + random() % 60};
    while (std::chrono::steady_clock::now() - begun < life) {
      for (PartitionIndex partition : {0U, 1U})
        send(*connection, "events.Mail", sent, sent + 5, partition);
      sent += 5;
    }
    child.send(SIGKILL);
    EXPECT_EQ(child.wait().signal, SIGKILL) << child.errors();
  }
  EXPECT_EQ(
      run({binary("toolkit_lake_child"), daemon_.runtime_dir(), lake(), std::to_string(2 * sent)})
          .ended.exit_code,
      0);
  expect_once(lake(), 2, sent);
}

TEST_F(ArchiverTest, GoesOnWhenTheBrokerWasKilled) {
  const auto connection = connect();
  create(*connection, "events.Mail");
  send(*connection, "events.Mail", 0, 50);
  const auto own = archiver({.roll_ms = 0});
  archive(*own, 50);
  ASSERT_TRUE(daemon_.kill_broker());
  send(*connection, "events.Mail", 50, 100);
  archive(*own, 100);
  expect_once(lake(), 1, 100);
}

TEST_F(ArchiverTest, WhatRetentionTookIsCountedAndShows) {
  const auto connection = connect();
  create(*connection, "events.Mail", 1, {{"segment.bytes", "65536"}, {"retention.records", "50"}});
  send(*connection, "events.Mail", 0, 10);
  archive(*archiver(), 10);
  append_numbers(*producer(*connection, "events.Mail"), 10, 1'000, 1'000);
  const auto looker = consumer(*connection);
  const auto start = [&] { return looker->range({"events.Mail", 0})->start; };
  ASSERT_TRUE(eventually([&] { return start() > 10 && start() + 200 > 1'010; }, 30)) << start();
  const Offset kept = start();
  const auto own = archiver();
  archive(*own, 1'010 - kept);
  EXPECT_EQ(own->status().lost, kept - 10);
  const auto files = toolkit::LakeFolder{lake()}.files();
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ(files->at(0).next, 10U);
  EXPECT_EQ(files->at(1).first, kept);
  EXPECT_EQ(files->at(1).next, 1'010U);
}

}  // namespace
}  // namespace mallbots::test
