// Where an instance keeps its data if nobody says otherwise (docs/CLI.md), and small files read
// whole. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mallbots::client::cli {

/// /var/lib/mallbots/NAME for root, else $XDG_STATE_HOME/mallbots/NAME or ~/.local/state/....
[[nodiscard]] std::string default_data_dir(const std::string& instance);

/// `directory` or its nearest parent that exists.
[[nodiscard]] std::string nearest_existing(const std::string& directory);

/// All of a small file (at most 64 KiB, e.g. of /proc or /sys) without the final line end; nothing
/// if it cannot be read.
[[nodiscard]] std::optional<std::string> read_small_file(const std::string& path);

}  // namespace mallbots::client::cli
