// The promises of disk.h, held by both engines.
#include "broker/io/disk.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::test {
namespace {

using broker::AlignedBuffer;
using broker::Disk;
using broker::DiskOptions;
using broker::EngineChoice;
using broker::File;
using broker::FlushChoice;
using broker::IoKind;
using broker::OpenMode;

class Done final : public broker::IoHandler {
 public:
  void io_done(std::uint64_t tag, int error) override { results[tag] = error; }
  std::map<std::uint64_t, int> results;
};

bool wait_for(Disk& disk, const Done& done, std::size_t count) {
  disk.kick();
  for (int i = 0; i < 300'000 && done.results.size() < count; ++i) {
    pollfd wait{disk.completion_fd(), POLLIN, 0};
    ::poll(&wait, 1, 100);
    disk.reap();
  }
  return done.results.size() == count;
}

struct Engine {
  const char* name;
  EngineChoice engine;
  FlushChoice flush;
  bool direct;
};

class EachEngine : public testing::TestWithParam<Engine> {
 protected:
  std::unique_ptr<Disk> open() {
    auto disk = broker::open_disk({.engine = GetParam().engine,
                                   .flush = GetParam().flush,
                                   .probe_folder = dir.path(),
                                   .direct = GetParam().direct});
    EXPECT_TRUE(disk) << disk.error().sentence();
    return std::move(*disk);
  }
  TempDir dir;
};
INSTANTIATE_TEST_SUITE_P(
    Disk, EachEngine,
    testing::Values(Engine{"UringDsync", EngineChoice::kUring, FlushChoice::kDsync, true},
                    Engine{"UringFdatasync", EngineChoice::kUring, FlushChoice::kFdatasync, true},
                    Engine{"UringCached", EngineChoice::kUring, FlushChoice::kFdatasync, false},
                    Engine{"ThreadDsync", EngineChoice::kThread, FlushChoice::kDsync, true},
                    Engine{"ThreadFdatasync", EngineChoice::kThread, FlushChoice::kFdatasync, true},
                    Engine{"ThreadCached", EngineChoice::kThread, FlushChoice::kFdatasync, false}),
    [](const auto& info) { return info.param.name; });

TEST_P(EachEngine, GathersPiecesIntoOneWriteAndTellsWhenItIsFlushed) {
  auto disk = open();
  auto file = disk->open(dir / "file", OpenMode::kCreateWrite);
  ASSERT_TRUE(file) << file.error().sentence();
  AlignedBuffer a{4096};
  AlignedBuffer b{8192};
  std::memset(a.data(), 'a', a.size());
  std::memset(b.data(), 'b', b.size());
  Done done;
  const iovec pieces[] = {{a.data(), a.size()}, {b.data(), b.size()}};
  disk->submit({IoKind::kWriteFlush, &*file, 4096, pieces, &done, 7});
  EXPECT_EQ(disk->in_flight(), 1U);
  ASSERT_TRUE(wait_for(*disk, done, 1));
  EXPECT_EQ(done.results.at(7), 0);
  EXPECT_EQ(disk->in_flight(), 0U);
  EXPECT_EQ(text_of(dir / "file"),
            std::string(4096, '\0') + std::string(4096, 'a') + std::string(8192, 'b'));
}

TEST_P(EachEngine, MorePiecesThanTheKernelTakesAtOnceAreOneWrite) {
  constexpr std::size_t kPieces = 1500;
  auto disk = open();
  auto file = disk->open(dir / "file", OpenMode::kCreateWrite);
  ASSERT_TRUE(file) << file.error().sentence();
  AlignedBuffer blocks{kPieces * 4096};
  std::vector<iovec> pieces;
  std::string expected;
  // From the back, so that no two pieces can be told as one.
  for (std::size_t i = kPieces; i-- > 0;) {
    std::memset(blocks.data() + i * 4096, static_cast<int>('a' + i % 26), 4096);
    pieces.push_back({blocks.data() + i * 4096, 4096});
    expected.append(4096, static_cast<char>('a' + i % 26));
  }
  Done done;
  disk->submit({IoKind::kWriteFlush, &*file, 0, pieces, &done, 1});
  disk->submit({IoKind::kWrite, &*file, blocks.size(), pieces, &done, 2});
  ASSERT_TRUE(wait_for(*disk, done, 2));
  EXPECT_EQ(done.results, (std::map<std::uint64_t, int>{{1, 0}, {2, 0}}));
  EXPECT_TRUE(text_of(dir / "file") == expected + expected);
}

TEST_P(EachEngine, ManyRequestsOfManyFilesEachCompleteOnce) {
  auto disk = open();
  AlignedBuffer block{4096};
  Done done;
  std::vector<File> files;
  for (int i = 0; i < 40; ++i) {
    files.push_back(std::move(*disk->open(dir / std::to_string(i), OpenMode::kCreateWrite)));
  }
  std::uint64_t tag = 0;
  for (int round = 0; round < 30; ++round) {
    for (auto& file : files) {
      const iovec piece{block.data(), block.size()};
      const auto kind = round % 10 == 9 ? IoKind::kWriteFlush : IoKind::kWrite;
      disk->submit(
          {kind, &file, static_cast<std::uint64_t>(round) * 4096, {&piece, 1}, &done, tag++});
    }
  }
  ASSERT_TRUE(wait_for(*disk, done, 1200));
  for (const auto& [one, error] : done.results) EXPECT_EQ(error, 0) << one;
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(std::filesystem::file_size(dir / std::to_string(i)), 30U * 4096);
  }
}

TEST_P(EachEngine, AWriteBeyondTheDurableSizeIsFollowedByAFlush) {
  auto disk = open();
  auto file = disk->open(dir / "file", OpenMode::kCreateWrite);
  ASSERT_TRUE(file);
  AlignedBuffer blocks{8 * 4096};
  Done done;
  std::uint64_t tag = 0;
  const auto submit = [&](IoKind kind, std::uint64_t first, std::uint64_t count) {
    const iovec piece{blocks.data(), count * 4096};
    disk->submit({kind, &*file, first * 4096, {&piece, 1}, &done, tag++});
  };
  // Only a flush of its own moves the durable size; a write with O_DSYNC leaves it where it is.
  const auto durable = [&] {
    EXPECT_TRUE(wait_for(*disk, done, tag));
    return file->size().durable / 4096;
  };
  submit(IoKind::kWriteFlush, 0, 2);
  EXPECT_EQ(durable(), 2U) << "a new file";
  submit(IoKind::kWrite, 2, 8);
  EXPECT_EQ(durable(), 2U) << "zeros ahead are not flushed";
  submit(IoKind::kWriteFlush, 1, 1);
  EXPECT_EQ(durable(), GetParam().flush == FlushChoice::kDsync ? 2U : 10U) << "inside";
  submit(IoKind::kWriteFlush, 1, 2);
  EXPECT_EQ(durable(), 10U) << "across its end";
  submit(IoKind::kWrite, 12, 8);
  submit(IoKind::kWriteFlush, 10, 1);
  EXPECT_EQ(durable(), 11U) << "the flush may have missed what was in flight beside it";
  submit(IoKind::kWriteFlush, 11, 1);
  EXPECT_EQ(durable(), 20U);
  ASSERT_TRUE(disk->truncate(*file, 4096));
  submit(IoKind::kWriteFlush, 1, 1);
  EXPECT_EQ(durable(), 2U) << "what was cut off is not there any more";
}

TEST_P(EachEngine, FlushesAndFolderSyncsComplete) {
  auto disk = open();
  auto file = disk->open(dir / "file", OpenMode::kCreateWrite);
  auto folder = disk->open(dir.path(), OpenMode::kFolder);
  ASSERT_TRUE(file && folder);
  Done done;
  disk->submit({IoKind::kFlush, &*file, 0, {}, &done, 1});
  disk->submit({IoKind::kSyncFolder, &*folder, 0, {}, &done, 2});
  ASSERT_TRUE(wait_for(*disk, done, 2));
  EXPECT_EQ(done.results, (std::map<std::uint64_t, int>{{1, 0}, {2, 0}}));
}

TEST_P(EachEngine, AnErrorComesBackAsItsErrno) {
  auto disk = open();
  std::ofstream(dir / "file") << std::string(8192, 'x');
  auto file = disk->open(dir / "file", OpenMode::kReadOnly);
  ASSERT_TRUE(file);
  AlignedBuffer block{4096};
  Done done;
  const iovec piece{block.data(), block.size()};
  disk->submit({IoKind::kWrite, &*file, 0, {&piece, 1}, &done, 1});
  disk->submit({IoKind::kWriteFlush, &*file, 0, {&piece, 1}, &done, 2});
  ASSERT_TRUE(wait_for(*disk, done, 2));
  EXPECT_EQ(done.results, (std::map<std::uint64_t, int>{{1, EBADF}, {2, EBADF}}));
}

TEST_P(EachEngine, AShortWriteGoesOnAndAFullFileIsAnError) {
  // A size limit makes the kernel write a part, then refuse the rest.
  auto disk = open();
  auto file = disk->open(dir / "file", OpenMode::kCreateWrite);
  ASSERT_TRUE(file);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = 8192;
  auto* const handler = ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  AlignedBuffer blocks{16384};
  Done done;
  const iovec piece{blocks.data(), blocks.size()};
  disk->submit({IoKind::kWriteFlush, &*file, 0, {&piece, 1}, &done, 1});
  const bool told = wait_for(*disk, done, 1);
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, handler);
  ASSERT_TRUE(told);
  EXPECT_EQ(done.results.at(1), EFBIG);
}

TEST_P(EachEngine, GoingAwayWaitsForWhatIsInFlight) {
  AlignedBuffer block{1 << 20};
  std::memset(block.data(), 'z', block.size());
  Done done;
  {
    auto disk = open();
    auto file = disk->open(dir / "file", OpenMode::kCreateWrite);
    ASSERT_TRUE(file);
    const iovec piece{block.data(), block.size()};
    for (std::uint64_t i = 0; i < 8; ++i) {
      disk->submit({IoKind::kWriteFlush, &*file, i << 20, {&piece, 1}, &done, i});
    }
    disk->kick();
    disk.reset();
  }
  EXPECT_TRUE(done.results.empty()) << "nobody is told any more";
  EXPECT_EQ(text_of(dir / "file"), std::string(8 << 20, 'z'));
}

TEST_P(EachEngine, ControlOperationsDoWhatTheySay) {
  auto disk = open();
  EXPECT_TRUE(disk->make_folder(dir / "sub"));
  EXPECT_TRUE(disk->make_folder(dir / "sub")) << "it is there already";
  const std::string content = "content";
  ASSERT_TRUE(disk->replace_file(dir / "sub/a", std::as_bytes(std::span(content))));
  EXPECT_EQ(text_of(dir / "sub/a"), content);
  EXPECT_FALSE(disk->exists(dir / "sub/a.tmp"));
  EXPECT_EQ(disk->list(dir / "sub").value(), (std::vector<std::string>{"a"}));
  EXPECT_TRUE(disk->list(dir / "absent")->empty());
  EXPECT_EQ(disk->read_file(dir / "sub/a", 100)->size(), 7U);
  EXPECT_EQ(disk->read_file(dir / "sub/a", 3).error().code, ErrorCode::kBadArgument);
  const auto missing = disk->read_file(dir / "sub/b", 100);
  EXPECT_TRUE(broker::missing_file(missing.error()));
  EXPECT_NE(missing.error().detail.find(dir / "sub/b"), std::string::npos);
  EXPECT_EQ(disk->open(dir / "sub/a", OpenMode::kCreateWrite).error().code, ErrorCode::kIo);
  ASSERT_TRUE(disk->rename(dir / "sub/a", dir / "sub/c"));
  EXPECT_FALSE(disk->remove_folder(dir / "sub")) << "not empty";
  EXPECT_TRUE(disk->remove(dir / "sub/c"));
  EXPECT_TRUE(disk->remove(dir / "sub/c")) << "gone already";
  EXPECT_TRUE(disk->sync_folder(dir / "sub"));
  EXPECT_TRUE(disk->remove_folder(dir / "sub"));
  EXPECT_GT(disk->space(dir.path())->total_bytes, 0U);
}

TEST_P(EachEngine, ReadsEndWhereTheFileEnds) {
  auto disk = open();
  std::ofstream(dir / "file") << std::string(10'000, 'x');
  for (const auto mode : {OpenMode::kReadOnly, OpenMode::kReadDirect}) {
    auto file = disk->open(dir / "file", mode);
    ASSERT_TRUE(file);
    EXPECT_TRUE(disk->flush_and_forget(*file));
    AlignedBuffer into{16384};
    EXPECT_EQ(disk->read(*file, 0, into.span()).value(), 10'000U);
    EXPECT_EQ(disk->read(*file, 8192, into.span()).value(), 1808U);
    EXPECT_EQ(disk->read(*file, 12288, into.span()).value(), 0U);
  }
}

TEST(OpenDisk, SaysWhichEngineItChoseAndHowItFlushes) {
  TempDir dir;
  const auto disk = broker::open_disk({.probe_folder = dir.path()});
  ASSERT_TRUE(disk);
  EXPECT_FALSE((*disk)->engine().empty());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path())) << "the measurement leaves nothing";
  const auto thread = broker::open_disk({.engine = EngineChoice::kThread});
  ASSERT_TRUE(thread);
  EXPECT_NE((*thread)->engine().find("as configured"), std::string::npos);
}

/// Runs `body` without root's powers; the folder belongs to that user.
void as_nobody(const TempDir& dir, const std::function<int()>& body) {
  const uid_t nobody = ::geteuid() == 0 ? 65534 : 0;  // 0: unprivileged already
  ASSERT_TRUE(nobody == 0 || ::chown(dir.path().c_str(), nobody, nobody) == 0);
  auto child = Process::call(body, {.limit_s = 30, .run_as = nobody});
  const Ended ended = child.wait();
  EXPECT_EQ(ended.exit_code, 0) << child.errors();
}

TEST(Unprivileged, AFlushThatTheKernelCancelsIsAnError) {
  TempDir dir;
  as_nobody(dir, [&dir] {
    auto disk = broker::open_disk({.engine = EngineChoice::kUring});
    auto writer = broker::open_disk({.engine = EngineChoice::kThread});
    if (!disk && disk.error().code == ErrorCode::kUnsupported) return 0;  // nothing to cancel
    if (!disk || !writer) return 1;
    auto file = (*disk)->open(dir / "file", OpenMode::kCreateWrite);
    if (!file) return 2;
    AlignedBuffer block{4096};
    Done done;
    const iovec piece{block.data(), block.size()};
    (*writer)->submit({IoKind::kWriteFlush, &*file, 0, {&piece, 1}, &done, 0});
    if (!wait_for(**writer, done, 1)) return 3;
    // io_uring overwrites without a worker thread, and cannot flush without one.
    rlimit old{};
    if (::getrlimit(RLIMIT_NPROC, &old) != 0) return 4;
    const rlimit none{0, old.rlim_max};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return 5;
    (*disk)->submit({IoKind::kFlush, &*file, 0, {}, &done, 1});
    (*disk)->submit({IoKind::kWriteFlush, &*file, 0, {&piece, 1}, &done, 2});
    (*disk)->kick();
    (void)eventually([&] { return (*disk)->reap(), done.results.size() == 3; }, 2);
    for (const auto& [tag, error] : done.results) {
      if (tag != 0 && error == 0) return 6 + static_cast<int>(tag);
    }
    ::setrlimit(RLIMIT_NPROC, &old);  // some kernels try until they may
    return wait_for(**disk, done, 3) ? 0 : 6;
  });
}

TEST(Unprivileged, BothEnginesWriteAndTheRefusalsOfOthersFilesAreNamed) {
  TempDir dir;
  as_nobody(dir, [&dir] {
    for (const auto engine : {EngineChoice::kAuto, EngineChoice::kThread}) {
      auto disk = broker::open_disk({.engine = engine, .probe_folder = dir.path()});
      if (!disk) return 1;
      auto file = (*disk)->open(dir / ("file" + std::to_string(static_cast<int>(engine))),
                                OpenMode::kCreateWrite);
      if (!file) return 2;
      AlignedBuffer block{4096};
      Done done;
      const iovec piece{block.data(), block.size()};
      (*disk)->submit({IoKind::kWriteFlush, &*file, 0, {&piece, 1}, &done, 1});
      if (!wait_for(**disk, done, 1) || done.results.at(1) != 0) return 3;
      const auto refused = (*disk)->open("/etc/mallbots-test", OpenMode::kCreateWrite);
      if (refused || refused.error().code != ErrorCode::kNotPermitted) return 4;
    }
    return 0;
  });
}

}  // namespace
}  // namespace mallbots::test
