// `mallbots verify`: every segment of a data directory, read and judged, nothing changed. Works on
// the files alone, so with a running broker as without; the segment it writes is read up to what is
// whole. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::client::cli {

struct VerifiedFile {
  std::string topic;      ///< its id as the folder spells it
  std::string partition;  ///< the folder's name
  std::string segment;    ///< the file's name
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  bool damaged = false;
  std::string state;  ///< `ok`, `open`, or what is damaged
};

struct VerifyRequest {
  std::string data_dir;
  bool deep = false;  ///< payload checksums, too
};

/// Every segment in the order of topic, partition, number. Errors: NoMarker (no data directory),
/// Io (cannot be listed). A file that cannot be read is a damaged row.
[[nodiscard]] Result<std::vector<VerifiedFile>> verify(const VerifyRequest& request);

}  // namespace mallbots::client::cli
