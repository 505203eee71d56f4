#include "broker/log/settings.h"
#include "tests/support/text_file.h"

#include <gtest/gtest.h>

namespace mallbots::broker {
namespace {

Result<TopicSettings> settings(std::vector<shm::Setting> given, std::uint32_t partitions = 0) {
  return new_settings(partitions, given);
}

struct Refused {
  const char* key;
  const char* value;
  ErrorCode code;
};

TEST(TopicSettings, DefaultsAreThoseOfTheDocument) {
  const auto made = settings({});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->partitions, 1U);
  EXPECT_EQ(made->slots, 4U);
  EXPECT_EQ(made->slot_bytes, 2 * kMiB);
  EXPECT_EQ(made->record_max_bytes, kMiB);
  EXPECT_EQ(made->segment_bytes, 64 * kMiB);
  EXPECT_EQ(made->stall_limit_ms, 1000);
  EXPECT_EQ(made->flush_interval_ms, 5);
  EXPECT_FALSE(made->retention_ms || made->retention_bytes || made->retention_records);
}

TEST(TopicSettings, TableOfTheDocumentIsTheTableOfTheCode) {
  EXPECT_NE(test::text_of("docs/CLI.md").find(settings_table()), std::string::npos)
      << "docs/CLI.md, \"Topic settings\", should be:\n"
      << settings_table();
}

TEST(TopicSettings, OfEventsImplySequencedIngestAndADisk) {
  const auto made = settings({{"type", "events"}});
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->events && made->sequenced);
  EXPECT_EQ(made->partitions, 1U);
  EXPECT_FALSE(settings({{"type", "events"}, {"ingest", "direct"}}));
  EXPECT_FALSE(settings({{"type", "events"}, {"storage", "memory"}}));
  EXPECT_FALSE(settings({{"type", "events"}, {"producers", "exclusive"}}));
}

TEST(TopicSettings, WhatIsWrongIsRefusedByName) {
  const Refused cases[] = {
      {"partitions", "0", ErrorCode::kBadSetting},
      {"partitions", "4097", ErrorCode::kBadSetting},
      {"slots", "1", ErrorCode::kBadSetting},
      {"slots", "65", ErrorCode::kBadSetting},
      {"slot.bytes", "60KiB", ErrorCode::kBadSetting},
      {"slot.bytes", "100001", ErrorCode::kBadSetting},
      {"slot.bytes", "2GiB", ErrorCode::kBadSetting},
      {"record.max", "2MiB", ErrorCode::kBadSetting},
      {"segment.bytes", "1MiB", ErrorCode::kBadSetting},
      {"segment.bytes", "5GiB", ErrorCode::kBadSetting},
      {"storage", "tape", ErrorCode::kBadSetting},
      {"checksum", "", ErrorCode::kBadSetting},
      {"stall.limit", "9ms", ErrorCode::kBadSetting},
      {"flush.interval", "2m", ErrorCode::kBadSetting},
      {"retention.ms", "999", ErrorCode::kBadSetting},
      {"retention.bytes", "1MiB", ErrorCode::kBadSetting},
      {"retention.records", "0", ErrorCode::kBadSetting},
      {"reset", "middle", ErrorCode::kBadSetting},
      {"produce.allow", "a b", ErrorCode::kBadSetting},
      {"consume.allow", ",a", ErrorCode::kBadSetting},
      {"type", "queue", ErrorCode::kBadSetting},
      {"ingest", "direct ", ErrorCode::kBadSetting},
      {"colour", "red", ErrorCode::kUnknownSetting},
  };
  for (const Refused& one : cases) {
    const auto made = settings({{one.key, one.value}});
    ASSERT_FALSE(made) << one.key << "=" << one.value;
    EXPECT_EQ(made.error().code, one.code) << one.key << "=" << one.value;
    EXPECT_NE(made.error().detail.find(one.key), std::string::npos) << made.error().detail;
  }
}

TEST(TopicSettings, SettingsThatContradictEachOtherAreRefused) {
  EXPECT_FALSE(settings({{"storage", "memory"}, {"retention.ms", "1h"}}));
  EXPECT_FALSE(settings({{"class", "small"}}, 2));
  EXPECT_FALSE(settings({{"partitions", "3"}}, 2));
  EXPECT_TRUE(settings({{"partitions", "2"}}, 2));
}

TEST(TopicSettings, SmallChoosesDefaultsThatOthersOverride) {
  const auto small = settings({{"class", "small"}});
  ASSERT_TRUE(small);
  EXPECT_EQ(small->slot_bytes, 128 * kKiB);
  EXPECT_EQ(small->record_max_bytes, 64 * kKiB);
  EXPECT_EQ(small->partitions, 1U);
  const auto before = settings({{"slot.bytes", "1MiB"}, {"class", "small"}});
  ASSERT_TRUE(before);
  EXPECT_EQ(before->slot_bytes, kMiB);
}

TEST(TopicSettings, SlotsLargerThanASegmentRaiseItsDefault) {
  const auto made = settings({{"slot.bytes", "128MiB"}});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->segment_bytes, 128 * kMiB);
}

TEST(TopicSettings, OnlyAlterableSettingsAlter) {
  const auto made = settings({{"retention.ms", "1h"}});
  ASSERT_TRUE(made);
  const std::vector<shm::Setting> good{{"retention.ms", "none"}, {"stall.limit", "20ms"}};
  const auto altered = altered_settings(*made, good);
  ASSERT_TRUE(altered);
  EXPECT_FALSE(altered->retention_ms);
  EXPECT_EQ(altered->stall_limit_ms, 20);
  for (const char* key : {"partitions", "slots", "slot.bytes", "storage", "producers", "class"}) {
    const std::vector<shm::Setting> fixed{{key, "4"}};
    const auto refused = altered_settings(*made, fixed);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kFixedSetting) << key;
  }
}

TEST(TopicSettings, DescriptionGivesTheSameSettingsAgain) {
  const auto made = settings({{"slots", "8"},
                              {"retention.ms", "36h"},
                              {"produce.allow", "root,12"},
                              {"checksum", "header"},
                              {"reset", "end"},
                              {"class", "small"}});
  ASSERT_TRUE(made);
  std::vector<shm::Setting> given;
  for (const shm::Setting& setting : describe_settings(*made))
    if (!setting.is_default) given.push_back(setting);
  EXPECT_EQ(given.size(), 6U);
  const auto again = settings(given);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->slots, 8U);
  EXPECT_EQ(again->retention_ms, 129'600'000);
  EXPECT_EQ(again->produce_allow, "root,12");
  EXPECT_EQ(again->slot_bytes, made->slot_bytes);
  EXPECT_EQ(again->reset, Reset::kEnd);
}

TEST(TopicSettings, CostCountsEverySlotAndWhatRetentionKeeps) {
  const auto made = settings({{"slots", "2"}, {"retention.bytes", "128MiB"}}, 3);
  ASSERT_TRUE(made);
  EXPECT_GT(memory_cost_bytes(*made), 3 * 2 * 2 * kMiB);
  EXPECT_LT(memory_cost_bytes(*made), 3 * 2 * 2 * kMiB + kMiB);
  EXPECT_EQ(disk_cost_bytes(*made), 3 * (128 + 64) * kMiB);
  EXPECT_EQ(disk_cost_bytes(TopicSettings{}), std::nullopt);
}

}  // namespace
}  // namespace mallbots::broker
