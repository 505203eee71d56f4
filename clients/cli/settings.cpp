#include "clients/cli/settings.h"

#include <fmt/format.h>

#include <algorithm>

namespace mallbots::client::cli {

Result<std::pair<std::string, std::string>> split_pair(std::string_view text,
                                                       std::string_view what) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return fail(ErrorCode::kBadArgument, fmt::format("{} '{}' is not NAME=VALUE", what, text));
  return std::pair{std::string{text.substr(0, equals)}, std::string{text.substr(equals + 1)}};
}

Result<std::vector<TopicSetting>> parse_settings(const std::vector<std::string>& texts) {
  std::vector<TopicSetting> settings;
  for (const std::string& text : texts) {
    auto pair = split_pair(text, "setting");
    if (!pair) return std::unexpected(pair.error());
    if (std::ranges::find(settings, pair->first, &TopicSetting::key) != settings.end())
      return fail(ErrorCode::kBadArgument, fmt::format("setting '{}' is given twice", pair->first));
    settings.push_back({std::move(pair->first), std::move(pair->second), false});
  }
  return settings;
}

}  // namespace mallbots::client::cli
