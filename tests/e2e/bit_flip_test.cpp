// One flipped bit at random places of closed segments: `mallbots verify` ends with 6 and names the
// file, a broker still gives out everything but at most the record that was hit. The seed is
// printed; MALLBOTS_CHECK=quick|full: 1,000 places, else 100.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

constexpr std::uint32_t kPartitions = 2;
constexpr std::uint64_t kRecords = 1'500;  ///< of each partition

std::string text_of(PartitionIndex partition, Offset offset) {
  std::string text = fmt::format("partition {} record {} ", partition, offset);
  text.resize(text.size() + (offset * 37 + partition) % 300, '.');
  return text;
}

class BitFlip : public testing::Test {
 protected:
  struct Place {
    std::string file;
    std::uint64_t byte = 0;
    unsigned bit = 0;
  };

  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    fill();
    ASSERT_EQ(daemon_.stop().exit_code, 0) << daemon_.log();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(daemon_.data_dir()))
      if (entry.path().extension() == ".seg" && entry.path().string().find("/topics/") != npos)
        files_.push_back(entry.path());
    ASSERT_GE(files_.size(), 4U);
  }
  [[nodiscard]] std::unique_ptr<client::Connection> connect() const {
    auto connection = client::Connection::open({.runtime_dir = daemon_.runtime_dir()});
    EXPECT_TRUE(connection) << connection.error().sentence();
    return connection ? std::move(*connection) : nullptr;
  }
  void fill();
  [[nodiscard]] Place random_place(std::mt19937_64& dice) const;
  static void flip(const Place& place);
  void expect_verify_finds(const Place& place) const;
  void expect_the_rest_is_read();

  static constexpr auto npos = std::string::npos;
  Daemon daemon_;
  std::vector<std::string> files_;
};

void BitFlip::fill() {
  const auto connection = connect();
  ASSERT_TRUE(connection);
  ASSERT_TRUE(client::Admin{*connection}.create_topic(
      "t", kPartitions, {{"slot.bytes", "64KiB"}, {"segment.bytes", "128KiB"}}));
  const auto producer = client::Producer::open(*connection, "t");
  ASSERT_TRUE(producer) << producer.error().sentence();
  for (Offset offset = 0; offset < kRecords; ++offset)
    for (PartitionIndex partition = 0; partition < kPartitions; ++partition) {
      const std::string text = text_of(partition, offset);
      const auto receipt =
          (*producer)->append({.payload = client::as_bytes(text)}, {.partition = partition});
      ASSERT_TRUE(receipt) << receipt.error().sentence();
    }
}

BitFlip::Place BitFlip::random_place(std::mt19937_64& dice) const {
  const std::string& file = files_[dice() % files_.size()];
  return {file, dice() % std::filesystem::file_size(file), static_cast<unsigned>(dice() % 8)};
}

void BitFlip::flip(const Place& place) {
  std::fstream file(place.file, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(place.byte));
  const int was = file.get();
  file.seekp(static_cast<std::streamoff>(place.byte));
  file.put(static_cast<char>(was ^ (1 << place.bit)));
}

void BitFlip::expect_verify_finds(const Place& place) const {
  const auto verified =
      run({binary("mallbots"), "verify", "--deep", "--data-dir", daemon_.data_dir()});
  EXPECT_EQ(verified.ended.exit_code, 6)
      << place.file << " byte " << place.byte << " bit " << place.bit << "\n"
      << verified.output << verified.errors;
  const std::string name = std::filesystem::path(place.file).filename();
  EXPECT_NE(verified.output.find(name), npos) << verified.output;
}

/// With a broker: every record comes as it was, but for at most one that Damaged names.
void BitFlip::expect_the_rest_is_read() {
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  {
    const auto connection = connect();
    ASSERT_TRUE(connection);
    const auto consumer = client::Consumer::open(*connection);
    ASSERT_TRUE(consumer && (*consumer)->assign("t", {}, client::Start::oldest()));
    std::uint64_t read = 0;
    std::uint64_t lost = 0;
    const Deadline limit = Deadline::after_ms(20'000);
    while (read + lost < kPartitions * kRecords && !limit.has_passed()) {
      const auto batch = (*consumer)->poll(Deadline::after_ms(100));
      if (!batch) {
        ASSERT_EQ(batch.error().code, ErrorCode::kDamaged) << batch.error().sentence();
        lost += (*consumer)->setback().end - (*consumer)->setback().first;
        continue;
      }
      for (const client::Message& message : *batch)
        ASSERT_EQ(message.text(), text_of(message.partition, message.offset));
      read += batch->size();
    }
    EXPECT_LE(lost, 1U);
    EXPECT_EQ(read + lost, kPartitions * kRecords);
  }
  EXPECT_EQ(daemon_.stop().exit_code, 0) << daemon_.log();
}

TEST_F(BitFlip, IsFoundByVerifyAndCostsAtMostOneRecord) {
  const int places = std::getenv("MALLBOTS_CHECK") != nullptr ? 1'000 : 100;
  const std::uint64_t seed = std::random_device{}();
  std::mt19937_64 dice{seed};
  fmt::print("seed {}, {} places in {} segments\n", seed, places, files_.size());
  for (int i = 0; i < places && !HasFailure(); ++i) {
    const Place place = random_place(dice);
    flip(place);
    expect_verify_finds(place);
    if (i % (places / 10) == 0) expect_the_rest_is_read();
    flip(place);
  }
}

}  // namespace
}  // namespace mallbots::test
