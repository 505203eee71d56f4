// OtlpFile: spans as OTLP/JSON lines, in the form of OpenTelemetry's file exporter
// (opentelemetry.io/docs/specs/otel/protocol/file-exporter): one line, one
// ExportTraceServiceRequest. A collector with the receiver `otlpjsonfile` takes it from there.
//
//   const auto spans = OtlpFile::open({.path = "/var/log/mall/orders.traces.jsonl", .service =
//   "orders"}); Router router{bus, {.middlewares = {tracing(**spans)}}}; Relay relay{*database,
//   *outbox, bus, {.spans = &**spans}};
//
// Nothing exports unless it is asked to. Who calls: record() from any thread; it appends the line
// with one write: a recorded span survives the death of the process. What cannot be written is
// counted and disturbs nobody. Errors of open(): Io.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/toolkit/middleware/tracing.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

struct OtlpFileOptions {
  std::string path;     ///< appended to; several processes may share it
  std::string service;  ///< service.name
  /// More of the resource: e.g. {"service.instance.id", "2"}.
  std::vector<std::pair<std::string, std::string>> resource{};
};

/// The line of one span, without its end.
[[nodiscard]] std::string otlp_line(const OtlpFileOptions& options, const Span& span);

class OtlpFile final : public SpanRecorder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<OtlpFile>> open(OtlpFileOptions options);
  OtlpFile(const OtlpFile&) = delete;
  OtlpFile& operator=(const OtlpFile&) = delete;
  ~OtlpFile() override;

  void record(Span span) override;
  [[nodiscard]] std::uint64_t recorded() const noexcept { return recorded_.load(); }
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.load(); }

 private:
  OtlpFile(OtlpFileOptions options, int fd) : options_(std::move(options)), fd_(fd) {}
  OtlpFileOptions options_;
  int fd_;
  std::atomic<std::uint64_t> recorded_{0};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace mallbots::toolkit
