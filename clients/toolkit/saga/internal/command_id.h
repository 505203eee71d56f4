// CommandId: the id of a command that a saga sends. Used by the saga runner only; values.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mallbots::toolkit {

/// What names a command for ever: saga/NAME/STEP/do|undo/ROUND/PLACE/INSTANCE. Replies bring it
/// back, and say by it what they answer. The instance stands last: it may hold anything.
struct CommandId {
  std::size_t step = 0;
  bool is_undo = false;
  std::int64_t round = 0;
  std::string instance;

  [[nodiscard]] std::string text(const std::string& saga, std::size_t place) const {
    return "saga/" + saga + "/" + std::to_string(step) + (is_undo ? "/undo/" : "/do/") +
           std::to_string(round) + "/" + std::to_string(place) + "/" + instance;
  }
  [[nodiscard]] static std::optional<CommandId> parse(std::string_view text,
                                                      const std::string& saga) {
    const std::string start = "saga/" + saga + "/";
    if (!text.starts_with(start)) return std::nullopt;
    text.remove_prefix(start.size());
    std::string_view parts[4];
    for (std::string_view& part : parts) {
      const auto slash = text.find('/');
      if (slash == std::string_view::npos) return std::nullopt;
      part = text.substr(0, slash);
      text.remove_prefix(slash + 1);
    }
    CommandId id{.is_undo = parts[1] == "undo", .instance = std::string{text}};
    std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), id.step);
    std::from_chars(parts[2].data(), parts[2].data() + parts[2].size(), id.round);
    return id;
  }
};

}  // namespace mallbots::toolkit
