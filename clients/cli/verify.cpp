#include "clients/cli/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "clients/cli/command.h"
#include "clients/cli/directories.h"
#include "clients/cli/segment_file.h"

namespace mallbots::client::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = "MALLBOTS";

/// Names in `folder`, numbers in the order of numbers; empty if it cannot be listed.
std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder, error}) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.filename().string();
    const std::string y = b.filename().string();
    const bool numbers = x.find_first_not_of("0123456789") == std::string::npos &&
                         y.find_first_not_of("0123456789") == std::string::npos;
    return numbers && x.size() != y.size() ? x.size() < y.size() : x < y;
  });
  return entries;
}

std::string state_of(const SegmentFile& file, const SegmentFindings& findings) {
  if (!findings.damages.empty()) {
    const DamageFound& first = findings.damages.front();
    std::string state =
        fmt::format("bytes {} to {}: {}", first.byte, first.end_byte, shm::fault_name(first.fault));
    if (first.end_offset > first.first_offset)
      state += fmt::format(", offsets {} to {} lost", first.first_offset, first.end_offset - 1);
    if (findings.damages.size() > 1)
      state += fmt::format("; and {} more places", findings.damages.size() - 1);
    return state;
  }
  if (!findings.footer_faults.empty()) return "footer: " + findings.footer_faults.front();
  if (findings.dirty_fill)
    return fmt::format("byte {}: it fills a gap and should be zero; no record is lost",
                       *findings.dirty_fill);
  return file.closed ? "ok" : "open";
}

VerifiedFile verify_file(const fs::path& path, bool deep) {
  VerifiedFile row;
  row.segment = path.filename().string();
  const auto file = open_segment(path.string());
  if (!file) {
    row.damaged = true;
    row.state = file.error().detail;
    return row;
  }
  if (file->unborn) {
    row.state = "spare";
    return row;
  }
  row.bytes = file->file_bytes;
  const auto findings =
      scan_segment(*file, deep ? shm::BodyCheck::kVerify : shm::BodyCheck::kSkip, {});
  if (!findings) {
    row.damaged = true;
    row.state = findings.error().detail;
    return row;
  }
  row.records = findings->records;
  row.damaged = findings->damaged();
  row.state = state_of(*file, *findings);
  return row;
}

Result<ExitCode> show(const Context& context, const std::vector<VerifiedFile>& files) {
  const std::vector<Column> columns = {{"TOPIC", "topic"},
                                       {"PARTITION", "partition", Align::kRight},
                                       {"SEGMENT", "segment"},
                                       {"RECORDS", "records", Align::kRight},
                                       {"BYTES", "bytes", Align::kRight},
                                       {"STATE", "state"}};
  Table all{columns};
  Table damaged{columns};
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bad = 0;
  for (const VerifiedFile& file : files) {
    std::vector<Cell> row = {text_cell(file.topic),   text_cell(file.partition),
                             text_cell(file.segment), number_cell(file.records),
                             size_cell(file.bytes),   text_cell(file.state)};
    if (file.damaged) damaged.add(row);
    all.add(std::move(row));
    records += file.records;
    bytes += file.bytes;
    bad += file.damaged ? 1 : 0;
  }
  Facts summary;
  summary.add("segments", "segments", number_cell(files.size()));
  summary.add("records", "records", number_cell(records));
  summary.add("bytes", "bytes", size_cell(bytes));
  summary.add("damaged", "damaged", number_cell(bad));
  const std::string text = (damaged.empty() ? "" : damaged.text()) +
                           fmt::format("{} segments, {} records, {}, {} damaged\n", files.size(),
                                       records, size_cell(bytes).text, bad);
  return context.show(Json{{"files", all.json()}, {"summary", summary.json()}}, text,
                      bad == 0 ? ExitCode::kDone : ExitCode::kCorruption);
}

}  // namespace

Result<std::vector<VerifiedFile>> verify(const VerifyRequest& request) {
  const fs::path data_dir{request.data_dir};
  std::error_code error;
  if (!fs::is_directory(data_dir, error))
    return fail(ErrorCode::kIo, fmt::format("{} is no directory", request.data_dir));
  if (!fs::exists(data_dir / kMarker, error))
    return fail(ErrorCode::kNoMarker, fmt::format("{} has no file {}", request.data_dir, kMarker));
  std::vector<VerifiedFile> files;
  for (const fs::path& topic : sorted_entries(data_dir / "topics")) {
    const std::string id = topic.filename().string();
    for (const fs::path& partition : sorted_entries(topic)) {
      for (const fs::path& segment : sorted_entries(partition)) {
        if (segment.extension() != ".seg") continue;
        VerifiedFile row = verify_file(segment, request.deep);
        row.topic = id;
        row.partition = partition.filename().string();
        // Retention or a topic's end may have removed it since the folder was listed.
        if (row.damaged && !fs::exists(segment, error)) continue;
        files.push_back(std::move(row));
      }
    }
  }
  return files;
}

void add_verify(CLI::App& root, Context& context) {
  CLI::App* command = add_command(root, "verify", "Read every record of a data directory",
                                  "  mallbots verify\n"
                                  "  mallbots verify --deep\n"
                                  "  mallbots verify --deep --data-dir /srv/mallbots\n");
  struct Options {
    bool deep = false;
    std::string data_dir;
  };
  auto options = std::make_shared<Options>();
  command->add_flag("--deep", options->deep, "Also the checksum of every payload");
  command
      ->add_option("--data-dir", options->data_dir, "The data directory (default: the instance's)")
      ->type_name("DIR");
  set_action(command, context, [options, &context]() -> Result<ExitCode> {
    const std::string& given = options->data_dir;
    const auto files =
        verify({given.empty() ? default_data_dir(context.instance) : given, options->deep});
    if (!files) return std::unexpected(files.error());
    return show(context, *files);
  });
}

}  // namespace mallbots::client::cli
