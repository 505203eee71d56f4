#include "clients/event_store.h"

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "tests/clients/fixture.h"

namespace mallbots::test {
namespace {

using client::Event;
using client::EventStore;
using client::Expected;
using client::StreamEvent;
using client::StreamInfo;

constexpr client::StreamOptions kCommitted{.acks = client::Acks::kCommitted};

class EventStoreTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection = connect();
    ASSERT_TRUE(connection);
    create(*connection, "carts", 1, {{"type", "events"}, {"segment.bytes", "131072"}});
    store = open(*connection);
    ASSERT_TRUE(store);
  }

  static std::unique_ptr<EventStore> open(client::Connection& connection) {
    auto opened = EventStore::open(connection, "carts");
    if (!opened) ADD_FAILURE() << opened.error().sentence();
    return opened ? std::move(*opened) : nullptr;
  }
  static Result<client::StreamReceipt> append(EventStore& store, const std::string& stream,
                                              Expected expected,
                                              const std::vector<std::string>& texts,
                                              const client::StreamOptions& options = kCommitted) {
    std::vector<Event> events;
    for (const std::string& text : texts) events.push_back({.payload = client::as_bytes(text)});
    return store.append(stream, expected, events, options);
  }
  /// "v1", "v2", ... up to `last`, one append each, with other streams' events between.
  void fill(const std::string& stream, client::StreamVersion first, client::StreamVersion last,
            std::size_t padding = 0) {
    for (auto v = first; v <= last; ++v) {
      ASSERT_OK(append(*store, stream, Expected::at(v - 1),
                       {"v" + std::to_string(v) + std::string(padding, ' ')}));
      ASSERT_OK(append(*store, "noise-" + std::to_string(v % 5), {}, {"x"}));
    }
  }
  static std::vector<client::StreamVersion> versions(const std::vector<StreamEvent>& events) {
    std::vector<client::StreamVersion> all;
    for (const StreamEvent& event : events) {
      all.push_back(event.version);
      const std::string expected = "v" + std::to_string(event.version);
      EXPECT_TRUE(event.message->text().starts_with(expected)) << event.message->text();
    }
    return all;
  }
  static std::vector<client::StreamVersion> row(client::StreamVersion from,
                                                client::StreamVersion to) {
    std::vector<client::StreamVersion> all;
    if (from <= to) {
      for (auto v = from; v <= to; ++v) all.push_back(v);
    } else {
      for (auto v = from; v >= to; --v) all.push_back(v);
    }
    return all;
  }

  std::unique_ptr<client::Connection> connection;
  std::unique_ptr<EventStore> store;
};

TEST_F(EventStoreTest, AppendsAreAtomicAndAnswerWithTheVersion) {
  const auto first = append(*store, "cart-1", Expected::none(), {"v1", "v2", "v3"});
  ASSERT_OK(first);
  EXPECT_EQ(first->version, 3U);
  EXPECT_EQ(first->receipt.records, 3U);
  const auto more = append(*store, "cart-1", Expected::at(3), {"v4"}, {});  // durable
  ASSERT_OK(more);
  EXPECT_EQ(more->version, 4U);
  const auto events = store->read("cart-1");
  ASSERT_OK(events);
  EXPECT_EQ(versions(*events), row(1, 4));
  EXPECT_EQ((*events)[3].message->key_text(), "cart-1");
  EXPECT_EQ(client::stream_version((*events)[3].message.view()), 4U);
}

TEST_F(EventStoreTest, ConflictsNameTheActualVersion) {
  ASSERT_OK(append(*store, "cart-1", Expected::any(), {"v1", "v2"}));
  const auto stale = append(*store, "cart-1", Expected::at(1), {"never"});
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
  EXPECT_NE(stale.error().detail.find("is at version 2"), std::string::npos)
      << stale.error().detail;
  EXPECT_EQ(store->conflict().version, 2U);
  EXPECT_EQ(store->conflict().state, StreamInfo::State::kExists);
  EXPECT_EQ(append(*store, "cart-1", Expected::at(7), {"never"}).error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(append(*store, "cart-1", Expected::none(), {"never"}).error().code,
            ErrorCode::kConflict);
  const auto missing = append(*store, "cart-2", Expected::exists(), {"never"});
  EXPECT_EQ(missing.error().code, ErrorCode::kConflict);
  EXPECT_NE(missing.error().detail.find("does not exist"), std::string::npos);
  EXPECT_EQ(versions(*store->read("cart-1")), row(1, 2));
}

TEST_F(EventStoreTest, ReadsFromAnyVersionBothWaysFromMemoryAndFromDisk) {
  fill("cart-1", 1, 700, 300);  // far more than four slots of 64 KiB
  const std::pair<client::StreamVersion, std::size_t> places[] = {
      {1, 10}, {2, 1}, {255, 5}, {256, 256}, {350, 1000}, {695, 100}, {700, 1}, {0, 3}};
  for (const auto& [from, count] : places) {
    const auto forward = store->read("cart-1", {.from = from, .count = count});
    ASSERT_OK(forward);
    const auto low = std::max<client::StreamVersion>(from, 1);
    EXPECT_EQ(versions(*forward), row(low, std::min<std::uint64_t>(700, low + count - 1)));
    const auto backward = store->read_backward("cart-1", {.from = from, .count = count});
    ASSERT_OK(backward);
    const auto high = from == 0 ? 700 : from;
    EXPECT_EQ(versions(*backward), row(high, high >= count ? high - count + 1 : 1));
  }
  EXPECT_TRUE(store->read("cart-1", {.from = 1, .count = 1})->front().message->from_disk);
  EXPECT_TRUE(store->read("cart-1", {.from = 701})->empty());
}

TEST_F(EventStoreTest, SaysWhatIsWrongWithARequest) {
  ASSERT_OK(append(*store, "cart-1", Expected::any(), {"v1"}));
  EXPECT_EQ(store->read("cart-2").error().code, ErrorCode::kUnknownStream);
  EXPECT_EQ(store->read("cart-1", {.from = 3}).error().code, ErrorCode::kBadPosition);
  EXPECT_EQ(store->read_backward("cart-1", {.from = 2}).error().code, ErrorCode::kBadPosition);
  EXPECT_EQ(store->truncate_before("cart-1", 3).error().code, ErrorCode::kBadPosition);
  EXPECT_EQ(store->truncate_before("cart-2", 1).error().code, ErrorCode::kUnknownStream);
  EXPECT_EQ(store->remove("cart-2", Expected::any()).error().code, ErrorCode::kUnknownStream);
  EXPECT_EQ(append(*store, "$mine", Expected::any(), {"x"}).error().code, ErrorCode::kBadStreamId);
  EXPECT_EQ(append(*store, "", Expected::any(), {"x"}).error().code, ErrorCode::kBadStreamId);
  EXPECT_EQ(append(*store, std::string(201, 'a'), Expected::any(), {"x"}).error().code,
            ErrorCode::kBadStreamId);
  EXPECT_EQ(append(*store, "a\tb", Expected::any(), {"x"}).error().code, ErrorCode::kBadStreamId);
  EXPECT_EQ(append(*store, "cart-1", Expected::any(), {}).error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(append(*store, "cart-1", Expected::any(), {std::string(40'000, 'x')}).error().code,
            ErrorCode::kTooLarge);
  create(*connection, "plain");
  EXPECT_EQ(EventStore::open(*connection, "plain").error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(client::Producer::open(*connection, "carts").error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(versions(*store->read("cart-1")), row(1, 1));  // nothing of that is there
}

TEST_F(EventStoreTest, DeletedStreamsKeepTheirVersionAndAreCreatedAnew) {
  fill("cart-1", 1, 5);
  ASSERT_OK(store->save_snapshot("cart-1", 5, client::as_bytes("five")));
  EXPECT_EQ(store->remove("cart-1", Expected::at(4)).error().code, ErrorCode::kConflict);
  ASSERT_OK(store->remove("cart-1", Expected::at(5)));
  EXPECT_EQ(store->look_up("cart-1")->state, StreamInfo::State::kDeleted);
  EXPECT_EQ(store->look_up("cart-1")->version, 5U);
  EXPECT_EQ(store->read("cart-1").error().code, ErrorCode::kUnknownStream);
  EXPECT_EQ(append(*store, "cart-1", Expected::exists(), {"x"}).error().code, ErrorCode::kConflict);
  const auto anew = append(*store, "cart-1", Expected::none(), {"v6", "v7"});
  ASSERT_OK(anew);
  EXPECT_EQ(anew->version, 7U);
  EXPECT_EQ(versions(*store->read("cart-1")), row(6, 7));
  EXPECT_EQ(versions(*store->read_backward("cart-1")), row(7, 6));
  EXPECT_EQ(*store->load_snapshot("cart-1"), std::nullopt);
}

TEST_F(EventStoreTest, TruncatedEventsAreNotReadAnyMore) {
  fill("cart-1", 1, 10);
  const auto done = store->truncate_before("cart-1", 7);
  ASSERT_OK(done);
  EXPECT_EQ(done->version, 10U);
  EXPECT_EQ(versions(*store->read("cart-1")), row(7, 10));
  EXPECT_EQ(versions(*store->read("cart-1", {.from = 2, .count = 2})), row(7, 8));
  ASSERT_OK(store->truncate_before("cart-1", 3));  // nothing to do
  EXPECT_EQ(store->look_up("cart-1")->first, 7U);
  ASSERT_OK(store->truncate_before("cart-1", 11));
  EXPECT_TRUE(store->read("cart-1")->empty());
  ASSERT_OK(append(*store, "cart-1", Expected::at(10), {"v11"}));
  EXPECT_EQ(versions(*store->read("cart-1")), row(11, 11));
}

TEST_F(EventStoreTest, SnapshotsSpareTheEventsBeforeThem) {
  fill("cart-1", 1, 20);
  EXPECT_EQ(*store->load_snapshot("cart-1"), std::nullopt);
  EXPECT_EQ(store->save_snapshot("cart-1", 21, {}).error().code, ErrorCode::kBadPosition);
  ASSERT_OK(store->save_snapshot("cart-1", 10, client::as_bytes("ten")));
  ASSERT_OK(store->save_snapshot("cart-1", 15, client::as_bytes("fifteen")));
  auto snapshot = store->load_snapshot("cart-1");
  ASSERT_OK(snapshot);
  ASSERT_TRUE(*snapshot);
  EXPECT_EQ((*snapshot)->version, 15U);
  EXPECT_EQ((*snapshot)->message->text(), "fifteen");
  ASSERT_OK(store->truncate_before("cart-1", 16));
  snapshot = store->load_snapshot("cart-1");
  ASSERT_OK(snapshot);
  ASSERT_TRUE(*snapshot);
  EXPECT_EQ(versions(*store->read("cart-1", {.from = (*snapshot)->version + 1})), row(16, 20));
}

TEST_F(EventStoreTest, ConsumersGetPublicEventsInTheOrderOfTheTopic) {
  const Event events[] = {{.payload = client::as_bytes("public-1")},
                          {.payload = client::as_bytes("internal"), .is_internal = true},
                          {.payload = client::as_bytes("public-2")}};
  ASSERT_OK(store->append("cart-1", Expected::none(), events));
  ASSERT_OK(store->append("cart-2", Expected::none(), std::span{events}.first(1)));
  ASSERT_OK(store->truncate_before("cart-1", 2));
  auto plain = consumer(*connection);
  ASSERT_OK(plain->assign("carts", {}, client::Start::oldest()));
  EXPECT_EQ(read(*plain, 3), (std::vector<std::string>{"public-1", "public-2", "public-1"}));
  auto all = consumer(*connection, {.internal_events = true});
  ASSERT_OK(all->assign("carts", {}, client::Start::oldest()));
  EXPECT_EQ(read(*all, 4).size(), 4U);
  EXPECT_EQ(store->read("cart-1")->size(), 2U);  // 2 and 3, the internal one included
}

TEST_F(EventStoreTest, ListsItsStreamsByPages) {
  for (int i = 0; i < 50; ++i)
    ASSERT_OK(append(*store, "s" + std::to_string(i), Expected::none(), {"v1", "v2"}));
  ASSERT_OK(store->remove("s7", Expected::any()));
  std::vector<client::StreamRow> rows;
  for (client::StreamListPosition at; !at.at_end;) {
    const auto page = store->list(at, 12);
    ASSERT_OK(page);
    rows.insert(rows.end(), page->begin(), page->end());
  }
  ASSERT_EQ(rows.size(), 50U);
  EXPECT_EQ(rows[3].id, "s3");
  EXPECT_EQ(rows[3].info.events(), 2U);
  EXPECT_EQ(rows[7].info.state, StreamInfo::State::kDeleted);
  EXPECT_EQ(rows[7].info.events(), 0U);
}

TEST_F(EventStoreTest, GoesOnWhenTheBrokerIsKilled) {
  fill("cart-1", 1, 50);
  ASSERT_OK(append(*store, "cart-1", Expected::at(50), {"v51"}, {}));
  ASSERT_TRUE(daemon_.kill_broker());
  ASSERT_OK(append(*store, "cart-1", Expected::at(51), {"v52"}));
  EXPECT_EQ(versions(*store->read("cart-1", {.from = 45})), row(45, 52));
  EXPECT_EQ(append(*store, "cart-1", Expected::at(50), {"x"}).error().code, ErrorCode::kConflict);
}

TEST_F(EventStoreTest, WritersOfTheSameStreamsLoseNoUpdate) {
  constexpr int kWriters = 4;
  constexpr int kStreams = 8;
  constexpr int kEach = 150;
  std::vector<std::thread> writers;
  std::atomic<int> conflicts{0};
  for (int w = 0; w < kWriters; ++w)
    writers.emplace_back([&, w] {
      const auto mine = connect();
      const auto own = open(*mine);
      std::mt19937 dice{static_cast<unsigned>(w)};
      std::map<std::string, client::StreamVersion> seen;
      for (int done = 0; done < kEach;) {
        const std::string stream = "s" + std::to_string(dice() % kStreams);
        const auto made = append(*own, stream, Expected::at(seen[stream]),
                                 {"v" + std::to_string(seen[stream] + 1)});
        if (made) {
          seen[stream] = made->version;
          ++done;
        } else {
          ASSERT_EQ(made.error().code, ErrorCode::kConflict) << made.error().sentence();
          ASSERT_NE(own->conflict().version, seen[stream]);
          seen[stream] = own->conflict().version;
          ++conflicts;
        }
      }
    });
  for (std::thread& writer : writers) writer.join();
  std::uint64_t total = 0;
  for (int s = 0; s < kStreams; ++s) {
    const auto events = store->read("s" + std::to_string(s), {.count = 10'000});
    ASSERT_OK(events);
    versions(*events);
    total += events->size();
    for (std::size_t i = 0; i < events->size(); ++i) EXPECT_EQ((*events)[i].version, i + 1);
  }
  EXPECT_EQ(total, std::uint64_t{kWriters} * kEach);
  EXPECT_GT(conflicts.load(), 0);
}

}  // namespace
}  // namespace mallbots::test
