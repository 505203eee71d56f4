#include "shm/region/memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using shm::Access;
using shm::Mapping;

TEST(Memory, IsPrivateSealedAndZero) {
  const auto fd = shm::create_memory("test", 8192);
  ASSERT_TRUE(fd.has_value());
  struct stat info{};
  ASSERT_EQ(fstat(fd->get(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(info.st_size, 8192);
  EXPECT_EQ(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_NE(ftruncate(fd->get(), 4096), 0);
  EXPECT_NE(ftruncate(fd->get(), 16384), 0);
  EXPECT_NE(fcntl(fd->get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  const auto mapping = Mapping::of(fd->get(), 8192, Access::kRead);
  ASSERT_TRUE(mapping.has_value());
  for (std::size_t i = 0; i < 8192; ++i) ASSERT_EQ(mapping->data()[i], std::byte{0});
}

TEST(Memory, IsOneForAllItsMappings) {
  const auto fd = shm::create_memory("test", 4096);
  auto writer = Mapping::of(fd->get(), 4096, Access::kReadWrite);
  const auto reader = Mapping::of(fd->get(), 4096, Access::kRead);
  ASSERT_TRUE(writer && reader);
  EXPECT_NE(writer->data(), reader->data());
  writer->data()[7] = std::byte{42};
  EXPECT_EQ(reader->data()[7], std::byte{42});
}

TEST(Memory, DescriptorReopenedReadOnlyCannotBeMappedWritable) {
  const auto fd = shm::create_memory("test", 4096);
  const auto read_only = shm::reopen_read_only(fd->get());
  ASSERT_TRUE(read_only.has_value());
  EXPECT_TRUE(Mapping::of(read_only->get(), 4096, Access::kRead).has_value());
  const auto refused = Mapping::of(read_only->get(), 4096, Access::kReadWrite);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
}

TEST(Memory, ShorterThanPromisedIsCorruptAndNeverAFault) {
  const auto fd = shm::create_memory("test", 4096);
  EXPECT_EQ(Mapping::of(fd->get(), 8192, Access::kRead).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(shm::check_memory(fd->get(), 8192).error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(shm::check_memory(fd->get(), 4096).has_value());
}

TEST(Memory, WhatAPeerPassesMustBeSealedMemory) {
  const TempDir dir;
  const shm::UniqueFd file{open((dir / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  ASSERT_EQ(ftruncate(file.get(), 4096), 0);
  EXPECT_EQ(shm::check_memory(file.get(), 4096).error().code, ErrorCode::kCorrupt);
  const shm::UniqueFd unsealed{memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  ASSERT_EQ(ftruncate(unsealed.get(), 4096), 0);
  EXPECT_EQ(shm::check_memory(unsealed.get(), 4096).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(shm::check_memory(-1, 4096).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Mapping::of(-1, 4096, Access::kRead).error().code, ErrorCode::kIo);
}

TEST(Memory, IsNotInheritedByAForkedChild) {
  const auto fd = shm::create_memory("test", 4096);
  auto mapping = Mapping::of(fd->get(), 4096, Access::kReadWrite);
  ASSERT_TRUE(mapping.has_value());
  Process child = Process::call([&] {
    unsigned char there = 0;
    return mincore(mapping->data(), 4096, &there) != 0 && errno == ENOMEM ? 0 : 1;
  });
  EXPECT_EQ(child.wait().exit_code, 0);
}

TEST(Memory, PopulatedPagesAreThere) {
  const auto fd = shm::create_memory("test", 64 * 1024);
  const auto mapping = Mapping::of(fd->get(), 64 * 1024, Access::kReadWrite);
  ASSERT_TRUE(mapping.has_value());
  struct stat before{}, after{};
  ASSERT_EQ(fstat(fd->get(), &before), 0);
  ASSERT_TRUE(mapping->populate(4096, 8192).has_value());
  ASSERT_EQ(fstat(fd->get(), &after), 0);
  EXPECT_EQ(after.st_blocks - before.st_blocks, 16);
  const auto reader = Mapping::of(fd->get(), 64 * 1024, Access::kRead);
  EXPECT_TRUE(reader->populate(0, 64 * 1024).has_value());
}

TEST(UniqueFd, HasOneOwner) {
  shm::UniqueFd first{dup(STDERR_FILENO)};
  const int number = first.get();
  shm::UniqueFd second{std::move(first)};
  EXPECT_FALSE(first);
  EXPECT_EQ(second.get(), number);
  second.reset();
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

}  // namespace
}  // namespace mallbots::test
