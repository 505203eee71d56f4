// M17: the lake's files, names, queries, and views built from it; without a broker.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "clients/toolkit/lake/lake_folder.h"
#include "clients/toolkit/lake/lake_reader.h"
#include "clients/toolkit/views/view_runner.h"
#include "tests/clients/toolkit/lake/records.h"
#include "tests/clients/toolkit/saga/service.h"
#include "tests/clients/toolkit/views/bus_reader.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::test {
namespace {

std::set<std::filesystem::path> flushed;

}  // namespace
}  // namespace mallbots::test

/// In front of the C library's, for this program: what is flushed is noted.
extern "C" int fsync(int fd) {
  std::error_code error;
  mallbots::test::flushed.insert(
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error));
  return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace mallbots::test {
namespace {

using Texts = std::vector<std::string>;

std::string only_file(const TempDir& dir) {
  const auto files = toolkit::LakeFolder{dir.path().string()}.files();
  return files && files->size() == 1 ? files->front().path : "";
}
void put_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream{path, std::ios::binary | std::ios::trunc} << bytes;
}

TEST(LakeFile, M17_2_KeepsEveryByteOfARecord) {
  const TempDir dir;
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  const Logged what{.offset = 7, .time_ms = 1'700'000'000'123, .key = bytes, .payload = bytes};
  ASSERT_TRUE(file_away(dir.path().string(), 1, 8, {what}));
  const auto reader = toolkit::LakeFileReader::open(only_file(dir)).value();
  const auto read = reader->next();
  ASSERT_TRUE(read) << read.error().sentence();
  ASSERT_NE(*read, nullptr);
  const client::Message& message = **read;
  const auto wanted = logged(what);
  EXPECT_EQ(message.topic, "events.orders");
  EXPECT_EQ(message.offset, 7U);
  EXPECT_EQ(message.timestamp_ms, what.time_ms);
  EXPECT_EQ(message.key_text(), bytes);
  EXPECT_EQ(message.text(), bytes);
  EXPECT_EQ(client::as_text(message.attributes), client::as_text(wanted.view().attributes));
  EXPECT_EQ(message.header("msg.version"), "3");
  EXPECT_EQ(message.trace_context(), wanted.view().trace_context());
  EXPECT_EQ(reader->next().value(), nullptr);
}

TEST(LakeFile, ARecordLargerThanABlockHasAFileOfItsOwn) {
  const TempDir dir;
  const std::string large(3 << 20, 'x');
  ASSERT_TRUE(file_away(dir.path().string(), 1, 1, {{.payload = large}}));
  const auto reader = toolkit::LakeFileReader::open(only_file(dir)).value();
  EXPECT_EQ((*reader->next())->text(), large);
  const auto small = toolkit::LakeFileWriter::create(dir / "small", logged({}).view()).value();
  EXPECT_FALSE(small->takes(logged({.payload = large}).view()));
  EXPECT_EQ(small->append(logged({.payload = large}).view()).error().code, ErrorCode::kTooLarge);
}

/// While one lives, what is not freed is no finding: libavro 1.11 keeps what it had read of a file
/// that it then refuses.
class LeaksOfTheLibrary {
 public:
  LeaksOfTheLibrary() { switch_checks(false); }
  LeaksOfTheLibrary(const LeaksOfTheLibrary&) = delete;
  LeaksOfTheLibrary& operator=(const LeaksOfTheLibrary&) = delete;
  ~LeaksOfTheLibrary() { switch_checks(true); }

 private:
  static void switch_checks([[maybe_unused]] bool on) {
#ifdef __SANITIZE_ADDRESS__
    on ? __lsan_enable() : __lsan_disable();
#endif
  }
};

TEST(LakeFile, DamageIsFoundWhereverItIs) {
  const LeaksOfTheLibrary theirs;
  const TempDir dir;
  std::vector<Logged> records;
  Texts whole;
  for (Offset i = 0; i < 50; ++i) {
    records.push_back({.offset = i, .payload = "payload " + std::to_string(i)});
    whole.push_back("events.orders/0/" + std::to_string(i) + "=payload " + std::to_string(i));
  }
  ASSERT_TRUE(file_away(dir.path().string(), 1, 50, records));
  const std::string path = only_file(dir);
  const std::string good = text_of(path);
  ASSERT_EQ(lake_texts(dir.path().string()), whole);
  const auto expect_found = [&](const std::string& bytes, const std::string& where) {
    put_bytes(path, bytes);
    const Texts read = lake_texts(dir.path().string());
    if (read == whole) return;  // in what nobody needs, such as the spelling of the schema
    ASSERT_FALSE(read.empty()) << where;
    EXPECT_NE(read.back().find("lake file"), std::string::npos) << where << ": " << read.back();
    EXPECT_TRUE(std::equal(read.begin(), read.end() - 1, whole.begin())) << where;
  };
  for (std::size_t size = 0; size < good.size(); ++size)
    expect_found(good.substr(0, size), "cut at " + std::to_string(size));
  std::mt19937 random{17};
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    expect_found(bad, "flipped at " + std::to_string(at));
  }
}

TEST(LakeFolder, TheNamesSayWhatIsThere) {
  const TempDir dir;
  const std::string folder = dir.path().string();
  ASSERT_TRUE(
      file_away(folder, 42, 9, {{.partition = 3, .offset = 5, .time_ms = 1'763'683'200'000}}));
  ASSERT_TRUE(
      file_away(folder, 42, 20, {{.partition = 3, .offset = 9, .time_ms = toolkit::kDayMs * 2}}));
  std::ofstream{folder + "/topic=events.orders/notes.txt"} << "somebody's";
  const auto files = toolkit::LakeFolder{folder}.files();
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ(files->at(0).path, folder +
                                   "/topic=events.orders/log=000000000000002a/date=2025-11-21/"
                                   "3-5-9-1.avro");
  EXPECT_EQ(files->at(0).log, 42U);
  EXPECT_EQ(files->at(0).partition, 3U);
  EXPECT_EQ(files->at(0).first, 5U);
  EXPECT_EQ(files->at(0).next, 9U);
  EXPECT_EQ(files->at(0).day, toolkit::day_of(1'763'683'200'000));
  EXPECT_EQ(files->at(1).day, 2);
}

TEST(LakeFolder, ASecondArchiverIsRefusedAndLeftoversGo) {
  const TempDir dir;
  const toolkit::LakeFolder lake{dir.path().string()};
  {
    const auto lock = lake.lock();
    ASSERT_TRUE(lock);
    put_bytes(lake.writing_path(0), "torn");
    EXPECT_EQ(lake.lock().error().code, ErrorCode::kBusy);
    EXPECT_TRUE(std::filesystem::exists(lake.writing_path(0)));
  }
  ASSERT_TRUE(lake.lock());
  EXPECT_FALSE(std::filesystem::exists(lake.writing_path(0)));
}

TEST(LakeFolder, AFileIsThereOnlyWhenEveryFolderAboveItIsFlushed) {
  const TempDir dir;
  const std::string folder = dir.path().string();
  // An archiver that died between making the folders and flushing them left these.
  const std::string topic = folder + "/topic=events.orders";
  const std::string log = topic + "/log=000000000000002a";
  std::filesystem::create_directories(log + "/date=2025-11-21");
  flushed.clear();
  ASSERT_TRUE(file_away(folder, 42, 9, {{.offset = 5, .time_ms = 1'763'683'200'000}}));
  for (const std::string& one : {folder, topic, log, log + "/date=2025-11-21"})
    EXPECT_TRUE(flushed.contains(std::filesystem::canonical(one))) << one;
}

TEST(LakeFolder, PatternsFitAsInAShell) {
  EXPECT_TRUE(toolkit::fits_pattern("events.*", "events.Order"));
  EXPECT_TRUE(toolkit::fits_pattern("*.events.*", "mallbots.orders.events.Cart"));
  EXPECT_TRUE(toolkit::fits_pattern("a*", "a"));
  EXPECT_FALSE(toolkit::fits_pattern("events.*", "events"));
  EXPECT_FALSE(toolkit::fits_pattern("events.*", "internal-events.x"));
}

class LakeCursorTest : public testing::Test {
 protected:
  void SetUp() override {
    const UnixMillis day = 20'000 * kDayMs;
    ASSERT_TRUE(file_away(
        folder_, 1, 2,
        {{.offset = 0, .time_ms = day, .key = "o-1", .name = "Placed", .payload = "a"},
         {.offset = 1, .time_ms = day + 20, .key = "o-2", .name = "Placed", .payload = "b"}}));
    ASSERT_TRUE(file_away(
        folder_, 1, 3,
        {{.offset = 2, .time_ms = day + kDayMs, .key = "o-1", .name = "Unheard", .payload = "c"}}));
    ASSERT_TRUE(file_away(folder_, 1, 6,
                          {{.partition = 1,
                            .offset = 5,
                            .time_ms = day + 10,
                            .key = "o-3",
                            .name = "Paid",
                            .payload = "d"}}));
    ASSERT_TRUE(file_away(
        folder_, 2, 1,
        {{.topic = "mails", .offset = 0, .time_ms = day + 15, .name = "Sent", .payload = "e"}}));
  }
  /// Payloads in order.
  std::string read(const toolkit::LakeFilter& filter) {
    std::string text;
    for (const std::string& one : lake_texts(folder_, filter))
      text += one.substr(one.find('=') + 1);
    return text;
  }
  static constexpr std::int64_t kDayMs = toolkit::kDayMs;
  const TempDir dir_;
  const std::string folder_ = dir_.path().string();
};

TEST_F(LakeCursorTest, M17_4_ReadsBackByTimeTypeAndEntityInOrder) {
  const UnixMillis day = 20'000 * kDayMs;
  EXPECT_EQ(read({}), "adebc");
  EXPECT_EQ(read({.from_ms = day + 10, .to_ms = day + 20}), "de");
  EXPECT_EQ(read({.from_ms = day + kDayMs}), "c");
  EXPECT_EQ(read({.types = {"Placed", "Paid"}}), "adb");
  EXPECT_EQ(read({.keys = {"o-1"}}), "ac");
  EXPECT_EQ(read({.topics = {"mai*"}}), "e");
  EXPECT_EQ(read({.topics = {"events.orders"}, .partition = 0, .first = 1}), "bc");
  EXPECT_EQ(read({.types = {"Placed"}, .keys = {"o-3"}}), "");
}

TEST_F(LakeCursorTest, ADamagedFileIsToldAgainAndNeverTheEnd) {
  const auto files = toolkit::LakeFolder{folder_}.files();
  ASSERT_TRUE(files);
  for (const toolkit::LakeFile& file : *files)
    if (file.first == 2) put_bytes(file.path, "damage");
  auto cursor = toolkit::LakeCursor::open(folder_);
  ASSERT_TRUE(cursor);
  const auto read_on = [&] {
    auto next = cursor->next();
    while (next && *next != nullptr) next = cursor->next();
    return next ? ErrorCode::kNone : next.error().code;
  };
  EXPECT_EQ(read_on(), ErrorCode::kCorrupt);
  EXPECT_EQ(read_on(), ErrorCode::kCorrupt);
}

TEST_F(LakeCursorTest, M17_3_TypesThatNobodyKnowsAreKept) {
  EXPECT_EQ(read({.types = {"Unheard"}}), "c");
}

TEST(LakeReading, AFolderThatIsNotThereIsSaid) {
  EXPECT_NE(lake_texts("/nowhere").at(0).find("there is no such folder"), std::string::npos);
}

// --- Views from the lake

struct Paid {
  static constexpr auto kMessage = toolkit::event("Paid", 1);
  std::string invoice;
  std::int64_t cents = 0;
  static constexpr auto fields() {
    return std::tuple{toolkit::field("invoice", &Paid::invoice),
                      toolkit::field("cents", &Paid::cents)};
  }
};

/// A log that retention has taken the beginning of.
class ShortLog final : public toolkit::TopicReader {
 public:
  ShortLog(toolkit::InProcessBus& bus, Offset start) : reader_(bus, {"events"}), start_(start) {}
  Result<std::vector<client::TopicPartition>> partitions() override { return reader_.partitions(); }
  Result<void> seek(const client::TopicPartition& partition, Offset next) override {
    return reader_.seek(partition, std::max(next, start_));
  }
  Result<std::span<const client::Message>> read(Deadline deadline, std::size_t max) override {
    return reader_.read(deadline, max);
  }
  Result<Offset> end(const client::TopicPartition& partition) override {
    return reader_.end(partition);
  }

 private:
  BusReader reader_;
  Offset start_;
};

class LakeReaderTest : public testing::Test {
 protected:
  void pay(int from, int to) {
    const toolkit::EventBus events{names_};
    for (int i = from; i < to; ++i)
      ASSERT_TRUE(events.publish(service_.bus, Paid{"i-" + std::to_string(i % 3), i}));
  }
  /// Into the lake, from the log.
  void archive(Offset first, Offset next) {
    const toolkit::LakeFolder lake{folder_};
    ASSERT_TRUE(lake.lock());
    const auto records = service_.bus.records("events");
    const auto file =
        toolkit::LakeFileWriter::create(lake.writing_path(0), records.at(first).view()).value();
    for (Offset i = first; i < next; ++i) ASSERT_TRUE(file->append(records.at(i).view()));
    ASSERT_TRUE(file->finish());
    ASSERT_TRUE(lake.publish(
        lake.writing_path(0),
        {.topic = "events", .log = 9, .first = first, .next = next, .records = next - first}));
  }
  std::unique_ptr<toolkit::ViewRunner> runner(Offset log_start) {
    const toolkit::View paid =
        toolkit::View{"paid", 1, "create table {paid} (invoice text primary key, cents integer);",
                      names_}
            .on<Paid>([](toolkit::ViewWork& work, const Paid& event) -> toolkit::Handled {
              const auto done = work.run(
                  "insert into {paid} values (?, ?)"
                  " on conflict (invoice) do update set cents = cents + excluded.cents",
                  {event.invoice, event.cents});
              if (!done) return std::unexpected(toolkit::HandlerFailure{done.error()});
              return {};
            });
    auto made = std::make_unique<toolkit::ViewRunner>(
        std::vector{paid}, service_.store(),
        [this, log_start]() -> Result<std::unique_ptr<toolkit::TopicReader>> {
          return std::make_unique<toolkit::LakeReader>(
              folder_, std::map<std::string, std::uint64_t>{{"events", 9}},
              std::make_unique<ShortLog>(service_.bus, log_start));
        },
        toolkit::ViewOptions{.batch = 7, .retry_ms = 1});
    EXPECT_TRUE(made->open());
    return made;
  }
  static void catch_up(toolkit::ViewRunner& runner) {
    for (;;) {
      const auto applied = runner.run_once();
      ASSERT_TRUE(applied) << applied.error().sentence();
      if (*applied == 0) return;
    }
  }
  std::int64_t sum() {
    return service_.database->read("select sum(cents) from paid")->front().integer(0);
  }
  const toolkit::TopicNames names_{.service = "billing",
                                   .event_topic = [](const auto&) { return "events"; }};
  Service service_;
  const TempDir dir_;
  const std::string folder_ = dir_.path().string();
};

TEST_F(LakeReaderTest, M18_AViewIsBuiltFromTheLakeAndGoesOnWithTheLog) {
  pay(0, 60);
  archive(0, 25);
  archive(25, 50);
  const auto view = runner(40);  // 0 to 39 are only in the lake, 50 on only in the log
  catch_up(*view);
  EXPECT_EQ(sum(), 60 * 59 / 2);
  pay(60, 70);
  archive(50, 65);  // while it reads the log
  catch_up(*view);
  EXPECT_EQ(sum(), 70 * 69 / 2);
}

TEST_F(LakeReaderTest, M18_ARebuildBesideTheLiveOneEndsTheSame) {
  pay(0, 60);
  archive(0, 30);
  const auto view = runner(20);
  catch_up(*view);
  const auto build = view->rebuild();
  ASSERT_TRUE(build);
  ASSERT_TRUE(view->run_once());
  pay(60, 80);  // arrive meanwhile
  archive(30, 55);
  catch_up(*view);
  EXPECT_EQ(view->builds()->at(1).state, toolkit::BuildState::kLive);
  EXPECT_EQ(sum(), 80 * 79 / 2);
  const auto old = service_.database->read("select sum(cents) from paid_b1");
  EXPECT_EQ(old->front().integer(0), sum());
}

}  // namespace
}  // namespace mallbots::test
