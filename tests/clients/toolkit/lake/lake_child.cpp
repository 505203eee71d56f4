// lake_child RUNTIME_DIR LAKE RECORDS: archives into the lake until its files hold so many records.
#include <cstdio>
#include <cstdlib>

#include "clients/toolkit/lake/archiver.h"

int main(int count, char** arguments) {
  using namespace mallbots;
  if (count != 4) return 2;
  const std::string lake = arguments[2];
  const auto wanted = std::strtoull(arguments[3], nullptr, 10);
  const auto archiver = toolkit::Archiver::open({.runtime_dir = arguments[1], .name = "lake"},
                                                {.folder = lake, .roll_ms = 0, .look_ms = 50});
  if (!archiver) {
    std::fprintf(stderr, "%s\n", archiver.error().sentence().c_str());
    return 3;
  }
  for (;;) {
    const auto read = (*archiver)->run_once(Deadline::after_ms(10));
    if (!read) std::fprintf(stderr, "%s\n", read.error().sentence().c_str());
    std::uint64_t kept = 0;
    const auto files = toolkit::LakeFolder{lake}.files();
    if (files)
      for (const toolkit::LakeFile& file : *files) kept += file.records;
    if (kept >= wanted) return 0;
  }
}
