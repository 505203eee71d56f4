#include "bench/limits/fio.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/harness/child_process.h"
#include "bench/limits/scratch_file.h"

namespace mallbots::bench {
namespace {

using nlohmann::json;

/// Runs fio over a file that is laid out already; the "write" part of its one job.
Result<json> run_fio(const RunContext& run, std::size_t file_bytes,
                     std::vector<std::string> job_options) {
  auto file = ScratchFile::create(run.scratch_dir, file_bytes);
  if (!file) return std::unexpected(std::move(file).error());
  std::vector<std::string> arguments{"fio",
                                     "--name=limit",
                                     "--output-format=json",
                                     "--rw=write",
                                     "--direct=1",
                                     "--overwrite=1",
                                     "--time_based=1",
                                     "--filename=" + file->path().string(),
                                     fmt::format("--size={}", file_bytes),
                                     fmt::format("--runtime={}ms", run.times(500, 50))};
  arguments.insert(arguments.end(), job_options.begin(), job_options.end());
  auto fio = ChildProcess::start(arguments);
  if (!fio) return std::unexpected(std::move(fio).error());
  const auto code = fio->wait(30.0);
  if (!code && code.error().code == ErrorCode::kUnsupported) {
    return fail(ErrorCode::kUnsupported, "fio is not installed (package fio)");
  }
  if (!code) return fail(ErrorCode::kUnsupported, "fio: " + code.error().detail);
  const std::string output = fio->output();
  // fio may print notes before the object.
  const auto start = output.find('{');
  const json parsed = start == std::string::npos
                          ? json{}
                          : json::parse(output.substr(start), nullptr, /*allow_exceptions=*/false);
  const json::json_pointer write{"/jobs/0/write"};
  if (*code != 0 || !parsed.is_object() || !parsed.contains(write)) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("fio ended with code {}: {}", *code, output.substr(0, 200)));
  }
  return parsed.at(write);
}

}  // namespace

Result<Figures> fio_flush(const RunContext& run) {
  const auto write =
      run_fio(run, std::size_t{16} << 20, {"--bs=4k", "--ioengine=pvsync2", "--sync=dsync"});
  if (!write) return std::unexpected(write.error());
  const json latency = write->value("lat_ns", json::object());
  // fio keeps percentiles of the completion time; what stands before it (submission) is added.
  const json completion = write->value("clat_ns", json::object());
  const json percentiles = completion.value("percentile", json::object());
  const double submission = write->value("slat_ns", json::object()).value("mean", 0.0);
  if (!percentiles.contains("50.000000") || !latency.contains("mean")) {
    return fail(ErrorCode::kUnsupported, "fio printed no percentiles");
  }
  return Figures{{"p50", percentiles.value("50.000000", 0.0) + submission},
                 {"p99", percentiles.value("99.000000", 0.0) + submission},
                 {"p99.9", percentiles.value("99.900000", 0.0) + submission},
                 {"max", latency.value("max", 0.0)},
                 {"rate", write->value("iops", 0.0)}};
}

Result<Figures> fio_stream(const RunContext& run) {
  const std::size_t size = run.times(std::size_t{512} << 20, std::size_t{16} << 20);
  const auto write =
      run_fio(run, size, {"--bs=1m", "--ioengine=io_uring", "--iodepth=8", "--end_fsync=1"});
  if (!write) return std::unexpected(write.error());
  return Figures{{"bytes", write->value("bw_bytes", 0.0)}};
}

}  // namespace mallbots::bench
