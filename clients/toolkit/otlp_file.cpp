#include "clients/toolkit/otlp_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

namespace mallbots::toolkit {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kStatusError = 2;

Json attributes_of(const std::vector<std::pair<std::string, std::string>>& attributes) {
  Json list = Json::array();
  for (const auto& [key, value] : attributes)
    list.push_back({{"key", key}, {"value", {{"stringValue", value}}}});
  return list;
}

}  // namespace

/// 64-bit numbers are strings, ids hexadecimal (opentelemetry.io/docs/specs/otlp, "JSON Protobuf
/// Encoding").
std::string otlp_line(const OtlpFileOptions& options, const Span& span) {
  std::vector<std::pair<std::string, std::string>> resource{{"service.name", options.service}};
  resource.insert(resource.end(), options.resource.begin(), options.resource.end());
  Json one{{"traceId", span.context.trace_id}, {"spanId", span.context.span_id}};
  if (!span.parent_id.empty()) one["parentSpanId"] = span.parent_id;
  one["flags"] = span.context.flags;
  one["name"] = span.name;
  one["kind"] = static_cast<int>(span.kind);
  one["startTimeUnixNano"] = std::to_string(span.start_ns);
  one["endTimeUnixNano"] = std::to_string(span.start_ns + span.duration_ns);
  one["attributes"] = attributes_of(span.attributes);
  one["status"] =
      span.failed ? Json{{"message", span.problem}, {"code", kStatusError}} : Json::object();
  Json scope{{"scope", {{"name", "mallbots.toolkit"}}}};
  scope["spans"] = Json::array({std::move(one)});
  Json of_resource{{"resource", {{"attributes", attributes_of(resource)}}}};
  of_resource["scopeSpans"] = Json::array({std::move(scope)});
  const Json request{{"resourceSpans", Json::array({std::move(of_resource)})}};
  return request.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::unique_ptr<OtlpFile>> OtlpFile::open(OtlpFileOptions options) {
  const int fd = ::open(options.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return fail(ErrorCode::kIo, "spans to " + options.path + ": " + std::strerror(errno));
  return std::unique_ptr<OtlpFile>{new OtlpFile{std::move(options), fd}};
}

OtlpFile::~OtlpFile() { ::close(fd_); }

void OtlpFile::record(Span span) {
  const std::string line = otlp_line(options_, span) + "\n";
  const ssize_t written = ::write(fd_, line.data(), line.size());
  (written == static_cast<ssize_t>(line.size()) ? recorded_ : lost_).fetch_add(1);
}

}  // namespace mallbots::toolkit
