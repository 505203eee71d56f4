#include <fmt/format.h>

#include <array>
#include <memory>

#include "clients/cli/command.h"
#include "clients/cli/segment_file.h"
#include "clients/cli/units.h"

namespace mallbots::client::cli {
namespace {

using shm::WalkStep;

std::string_view type_name(shm::RecordType type) {
  switch (type) {
    case shm::RecordType::kPad:
      return "pad";
    case shm::RecordType::kData:
      return "data";
    case shm::RecordType::kDamaged:
      return "damaged";
    case shm::RecordType::kTombstone:
      return "tombstone";
    case shm::RecordType::kControl:
      return "control";
  }
  return "unknown";
}

Cell time_cell(UnixMillis time_ms) {
  if (time_ms == shm::kNoTimestamp) return empty_cell();
  return {Json(time_ms), format_time(time_ms)};
}

Cell id_cell(std::uint64_t id) { return text_cell(fmt::format("{:016x}", id)); }

Facts header_facts(const shm::SegmentHeader& header) {
  Facts facts;
  facts.add("segment", "segment", number_cell(header.number));
  facts.add("topic id", "topic_id", id_cell(header.topic_id));
  facts.add("partition", "partition", number_cell(header.partition_index));
  facts.add("partition id", "partition_id", id_cell(header.partition_id));
  facts.add("format version", "version", number_cell(header.version));
  facts.add("log epoch", "log_epoch", number_cell(header.log_epoch));
  facts.add("base offset", "base_offset", offset_cell(header.base_offset));
  facts.add("base time", "base_timestamp_ms", time_cell(header.base_timestamp_ms));
  facts.add("created", "created_ms", time_cell(header.created_ms));
  facts.add("predecessor", "predecessor",
            header.predecessor == shm::kNoSegment ? empty_cell() : number_cell(header.predecessor));
  facts.add("ends at byte", "predecessor_end", number_cell(header.predecessor_end));
  facts.add("ends at offset", "predecessor_end_offset", offset_cell(header.predecessor_end_offset));
  return facts;
}

Facts footer_facts(const SegmentFile& file) {
  const shm::SegmentTrailer& trailer = file.footer->trailer;
  Facts facts;
  facts.add("footer", "source",
            text_cell((trailer.flags & shm::kRebuilt) != 0 ? "rebuilt" : "own"));
  facts.add("end offset", "end_offset", offset_cell(trailer.end_offset));
  facts.add("records", "records", number_cell(trailer.records));
  facts.add("data end byte", "data_end", number_cell(trailer.data_end));
  facts.add("oldest", "min_timestamp_ms", time_cell(trailer.min_timestamp_ms));
  facts.add("newest", "running_max_ms", time_cell(trailer.running_max_ms));
  facts.add("closed", "closed_ms", time_cell(trailer.closed_ms));
  facts.add("runs", "runs", number_cell(trailer.runs));
  facts.add("index entries", "index_entries", number_cell(trailer.index_entries));
  facts.add("damages", "damages", number_cell(trailer.damages));
  return facts;
}

/// A segment has hundreds of thousands of records: lines of fixed widths, printed as they come.
class RecordLines {
 public:
  explicit RecordLines(bool json) : json_(json) {}

  void title() { line({"OFFSET", "BYTE", "TYPE", "TIME", "BATCH", "KEY", "SIZE", "STATE"}); }
  void add(const WalkStep& step) {
    const bool good = step.kind == WalkStep::kRecord;
    const shm::RecordHeader* header = good ? step.view.header : nullptr;
    const std::string state = good ? "ok" : fmt::format("damaged: {}", shm::fault_name(step.fault));
    if (json_) {
      Json record = {{"offset", step.first_offset},
                     {"byte", step.byte},
                     {"type", good ? Json(type_name(header->type)) : Json(nullptr)},
                     {"timestamp_ms", good ? Json(header->timestamp_ms) : Json(nullptr)},
                     {"batch_position", good ? Json(header->batch_position) : Json(nullptr)},
                     {"key_bytes", good ? Json(step.view.key.size()) : Json(nullptr)},
                     {"payload_bytes", good ? Json(step.view.payload.size()) : Json(nullptr)},
                     {"state", state}};
      out_ += (first_ ? "\n    " : ",\n    ") + record.dump();
      first_ = false;
    } else {
      line({fmt::format("{}", step.first_offset), fmt::format("{}", step.byte),
            good ? std::string{type_name(header->type)} : "-",
            good ? format_time(header->timestamp_ms) : "-",
            good ? fmt::format("{}{}", header->batch_position,
                               (header->flags & shm::kLastOfBatch) != 0 ? "." : "")
                 : "-",
            good ? fmt::format("{}", step.view.key.size()) : "-",
            good ? fmt::format("{}", step.view.payload.size())
                 : fmt::format("{}", step.end_byte - step.byte),
            state});
    }
    if (out_.size() > 64 * 1024) flush();
  }
  void write(std::string_view text) { out_ += text; }
  bool flush() {
    good_ = print(out_) && good_;
    out_.clear();
    return good_;
  }

 private:
  void line(const std::array<std::string, 8>& c) {
    out_ += fmt::format("{:>12}  {:>12}  {:<9}  {:<24}  {:>6}  {:>8}  {:>10}  {}\n", c[0], c[1],
                        c[2], c[3], c[4], c[5], c[6], c[7]);
  }
  bool json_;
  bool first_ = true;
  bool good_ = true;
  std::string out_;
};

void text_tail(const SegmentFindings& findings, RecordLines& lines) {
  if (findings.torn_at)
    lines.write(fmt::format("torn at byte {}: what lies behind was never acknowledged\n",
                            *findings.torn_at));
  for (const std::string& fault : findings.footer_faults)
    lines.write(fmt::format("footer: {}\n", printable(fault)));
  lines.write(fmt::format("{} records, next offset {}, {} damaged\n", findings.records,
                          findings.end_offset, findings.damages.size()));
}

Result<ExitCode> dump(const Context& context, const std::string& path) {
  const auto file = open_segment(path);
  if (!file) return std::unexpected(file.error());
  if (file->unborn)
    return context.show(Json{{"header", nullptr}, {"footer", nullptr}, {"records", Json::array()}},
                        "a spare: no header, no records\n");
  RecordLines lines{context.json()};
  const Facts header = header_facts(file->header);
  if (context.json()) {
    lines.write("{\n  \"header\": " + header.json().dump() +
                ",\n  \"footer\": " + (file->footer ? footer_facts(*file).json().dump() : "null") +
                ",\n  \"records\": [");
  } else {
    lines.write(header.text() + "\n");
    lines.write(file->footer ? footer_facts(*file).text() : "no footer\n");
    lines.write("\n");
    lines.title();
  }
  const auto findings = scan_segment(*file, shm::BodyCheck::kVerify,
                                     [&lines](const WalkStep& step) { lines.add(step); });
  if (!findings) return std::unexpected(findings.error());
  if (context.json()) {
    const Json torn = findings->torn_at ? Json(*findings->torn_at) : Json(nullptr);
    lines.write(fmt::format("\n  ],\n  \"torn_at\": {},\n  \"footer_faults\": {}\n}}\n",
                            torn.dump(), Json(findings->footer_faults).dump()));
  } else {
    text_tail(*findings, lines);
  }
  if (!lines.flush()) return fail(ErrorCode::kIo, "stdout does not take the output");
  return findings->damaged() ? ExitCode::kCorruption : ExitCode::kDone;
}

}  // namespace

void add_dump(CLI::App& root, Context& context) {
  CLI::App* command = add_command(root, "dump", "What one segment file holds",
                                  "  mallbots dump topics/00000000000004be/0/0000000001.seg\n"
                                  "  mallbots dump --format json 0000000001.seg | jq .header\n");
  auto path = std::make_shared<std::string>();
  command->add_option("SEGMENT", *path, "A segment file of a data directory")->required();
  set_action(command, context, [path, &context] { return dump(context, *path); });
}

}  // namespace mallbots::client::cli
