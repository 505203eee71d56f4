// Spans: the setting `traces.file` (a path; none: nothing is traced). Each call of a gateway, each
// try of a handler, each step of a saga and each hop of an outbox becomes a line of OTLP/JSON there
// (clients/toolkit/otlp_file.h), one trace from the call on. All services of a mall may have the
// same file.
//
// Who calls: a service when it is made, each with its own name. Errors: Io, with the path.
#pragma once

#include <memory>
#include <string>

#include "clients/toolkit/otlp_file.h"
#include "services/runtime/host.h"

namespace mallbots {

inline constexpr const char* kTracesFile = "traces.file";

/// Null: the setting is not there.
[[nodiscard]] inline Result<std::unique_ptr<toolkit::OtlpFile>> open_spans(
    const HostOptions& options, const std::string& service) {
  const auto path = options.settings.find(kTracesFile);
  if (path == options.settings.end() || path->second.empty()) return nullptr;
  return toolkit::OtlpFile::open({.path = path->second, .service = service});
}

}  // namespace mallbots
