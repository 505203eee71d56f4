#include "broker/streams/stream_admission.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>

namespace mallbots::broker {
namespace {

using shm::Expect;
using shm::StreamRequest;

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// What a sequencer does with one entry, and the log that it makes.
class Sequenced {
 public:
  struct Call {
    StreamRequest kind = StreamRequest::kAppend;
    std::string id = "cart-1";
    Expect expect = Expect::kAny;
    std::uint64_t version = 0;
    std::size_t records = 1;
    std::vector<std::byte> attributes{};
  };
  struct Outcome {
    Verdict verdict;
    Offset first = kNoOffset;
    std::uint64_t extras[shm::kIngestExtras] = {};
  };

  Outcome ask(const Call& call) {
    std::vector<shm::RecordInput> records(call.records);
    for (shm::RecordInput& record : records) record.attributes = call.attributes;
    const bool truncates = call.kind == StreamRequest::kTruncate;
    const std::uint64_t arguments[shm::kIngestArguments] = {
        truncates ? call.version : static_cast<std::uint64_t>(call.expect), call.version};
    HandedIn entry{.kind = static_cast<shm::IngestKind>(call.kind),
                   .next = end,
                   .arguments = arguments,
                   .request = bytes_of(call.id),
                   .records = records};
    Outcome outcome{.verdict = admission.admit(entry)};
    if (outcome.verdict.what != Verdict::What::kAccepted) return outcome;
    EXPECT_EQ(entry.next, end);
    outcome.first = end;
    for (const shm::RecordInput& record : records) {
      shm::RecordHeader header{};
      header.type = record.type;
      header.offset = end++;
      log.push_back(
          {std::string{reinterpret_cast<const char*>(record.key.data()), record.key.size()},
           stream_record(header, record.attributes),
           {record.attributes.begin(), record.attributes.end()}});
    }
    admission.appended(entry, outcome.first, 0, outcome.extras);
    return outcome;
  }

  struct Logged {
    std::string key;
    StreamRecord record;
    std::vector<std::byte> attributes;
  };
  std::shared_ptr<StreamTable> table = std::make_shared<StreamTable>();
  StreamAdmission admission{table};
  std::vector<Logged> log;
  Offset end = 0;
};

TEST(StreamAdmission, AnswersWithTheVersionAndWritesTheLinksBeforeWhatTheProducerGave) {
  Sequenced broker;
  const std::vector<std::byte> own{std::byte{9}, std::byte{0}, std::byte{1}, std::byte{0},
                                   std::byte{77}};
  const auto first = broker.ask({.records = 3, .attributes = own});
  EXPECT_EQ(first.extras[0], 3U);
  ASSERT_EQ(broker.log.size(), 3U);
  EXPECT_EQ(broker.log[2].key, "cart-1");
  EXPECT_EQ(broker.log[2].record.links, (shm::EventLinks{3, 1, kNoOffset}));
  EXPECT_EQ(broker.log[1].record.links, (shm::EventLinks{2, 0, 0}));
  const auto& attributes = broker.log[2].attributes;
  ASSERT_EQ(attributes.size(), shm::kEventLinkBytes + own.size());
  EXPECT_TRUE(std::equal(own.begin(), own.end(), attributes.begin() + shm::kEventLinkBytes));
}

TEST(StreamAdmission, RefusesWithTheTruth) {
  Sequenced broker;
  const auto missing = broker.ask({.expect = Expect::kExists});
  EXPECT_EQ(missing.verdict.code, ErrorCode::kConflict);
  EXPECT_EQ(missing.verdict.extras[shm::kStreamStateExtra], 0U);
  broker.ask({.records = 4});
  const auto stale = broker.ask({.expect = Expect::kVersion, .version = 3});
  EXPECT_EQ(stale.verdict.code, ErrorCode::kConflict);
  EXPECT_EQ(stale.verdict.value, 4U);
  const auto future = broker.ask({.kind = StreamRequest::kTruncate, .version = 6});
  EXPECT_EQ(future.verdict.code, ErrorCode::kBadPosition);
  EXPECT_EQ(future.verdict.value, 4U);
  const auto unknown = broker.ask({.kind = StreamRequest::kRemove, .id = "nobody"});
  EXPECT_EQ(unknown.verdict.code, ErrorCode::kUnknownStream);
  EXPECT_EQ(broker.log.size(), 4U);  // nothing of that is in the log
}

TEST(StreamAdmission, DeletedStreamsKeepTheirVersion) {
  Sequenced broker;
  broker.ask({.records = 4});
  EXPECT_EQ(broker.ask({.kind = StreamRequest::kRemove, .expect = Expect::kVersion, .version = 4})
                .extras[0],
            4U);
  const auto look = broker.ask({.kind = StreamRequest::kLookUp, .records = 0});
  EXPECT_EQ(look.verdict.what, Verdict::What::kAnswered);
  EXPECT_EQ(look.verdict.value, 4U);
  EXPECT_EQ(look.verdict.extras[shm::kStreamStateExtra], 2U);
  EXPECT_EQ(broker.ask({.expect = Expect::kExists}).verdict.code, ErrorCode::kConflict);
  EXPECT_EQ(broker.ask({.expect = Expect::kNone}).extras[0], 5U);
  EXPECT_EQ(broker.table->state_of(stream_key("cart-1")).first, 5U);
}

TEST(StreamAdmission, RefusesWhatIsNoRequestOfAnEventTopic) {
  Sequenced broker;
  EXPECT_EQ(broker.ask({.kind = StreamRequest{1}}).verdict.code, ErrorCode::kBadArgument);
  EXPECT_EQ(broker.ask({.kind = StreamRequest{99}}).verdict.code, ErrorCode::kBadArgument);
  EXPECT_EQ(broker.ask({.records = 0}).verdict.code, ErrorCode::kBadArgument);
  EXPECT_EQ(broker.ask({.expect = Expect{9}}).verdict.code, ErrorCode::kBadArgument);
  EXPECT_EQ(broker.ask({.kind = StreamRequest::kRemove, .records = 2}).verdict.code,
            ErrorCode::kBadArgument);
  EXPECT_EQ(broker.ask({.kind = StreamRequest::kLookUp, .records = 1}).verdict.code,
            ErrorCode::kBadArgument);
  for (const std::string& id : {std::string{}, std::string(201, 'a'), std::string{"a\nb"},
                                std::string{"\xFF"}, "$" + std::string(216, 'a')})
    EXPECT_EQ(broker.ask({.id = id}).verdict.code, ErrorCode::kBadStreamId) << id;
  EXPECT_EQ(broker.ask({.attributes = std::vector<std::byte>(65'500)}).verdict.code,
            ErrorCode::kTooLarge);
  EXPECT_TRUE(broker.log.empty());
}

TEST(StreamAdmission, AddsNoStreamWhereMemoryMayNotGrow) {
  Sequenced broker;
  broker.ask({});
  broker.admission.let_grow(false);
  EXPECT_EQ(broker.ask({.id = "cart-2"}).verdict.code, ErrorCode::kMemoryFull);
  EXPECT_EQ(broker.ask({}).extras[0], 2U);  // those that are known go on
}

TEST(StreamAdmission, KeepsVersionsDenseAndEveryConflictTrue) {
  EXPECT_TRUE(rc::check("any calls", [](const std::vector<std::uint16_t>& dice) {
    Sequenced broker;
    struct Known {
      std::uint64_t version = 0;
      bool exists = false;
    };
    std::map<std::string, Known> model;
    for (const std::uint16_t die : dice) {
      const std::string id = "s" + std::to_string(die % 5);
      Known& known = model[id];
      Sequenced::Call call{.id = id,
                           .expect = static_cast<Expect>(1 + die / 8 % 4),
                           .version = known.version + die / 32 % 3 - (known.version > 0 ? 1U : 0U),
                           .records = 1U + die / 128 % 3};
      if (die % 16 == 15) call = {.kind = StreamRequest::kRemove, .id = id};
      const auto outcome = broker.ask(call);
      if (outcome.verdict.what == Verdict::What::kRefused) {
        RC_ASSERT(outcome.verdict.value == known.version);
        RC_ASSERT((outcome.verdict.extras[0] == 1) == known.exists);
        continue;
      }
      if (call.kind == StreamRequest::kRemove) {
        known.exists = false;
      } else {
        known = {known.version + call.records, true};
      }
      RC_ASSERT(outcome.extras[0] == known.version);
    }
    // The log alone gives the same versions, dense and linked.
    std::map<std::string, StreamState> rebuilt;
    std::map<std::string, std::vector<Offset>> offsets;
    for (const auto& logged : broker.log) {
      auto& seen = offsets[logged.key];
      if (logged.record.kind == StreamRecord::kEvent) {
        const auto& links = logged.record.links;
        RC_ASSERT(links.version == seen.size() + 1);
        const bool begins = seen.empty() || rebuilt[logged.key].deleted;
        RC_ASSERT(links.predecessor == (begins ? kNoOffset : seen.back()));
        const auto jump = shm::jump_version(links.version);
        RC_ASSERT(links.jump == (jump == 0 ? kNoOffset : seen[jump - 1]));
        seen.push_back(logged.record.offset);
      }
      apply(rebuilt[logged.key], logged.record);
    }
    for (const auto& [id, known] : model) RC_ASSERT(rebuilt[id].version == known.version);
  }));
}

}  // namespace
}  // namespace mallbots::broker
