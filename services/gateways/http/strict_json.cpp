#include "services/gateways/http/strict_json.h"

#include <set>
#include <vector>

namespace mallbots::gateways {

using nlohmann::json;

StrictJson parse_strictly(std::string_view text) {
  constexpr std::size_t kShown = 100;
  StrictJson strict;
  std::vector<std::set<std::string>> names;  // of each object that is open
  const auto see = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event != json::parse_event_t::key || strict.repeated) return true;
    const auto& name = parsed.get_ref<const std::string&>();
    if (!names.back().insert(name).second) strict.repeated = name.substr(0, kShown);
    return true;
  };
  strict.value = json::parse(text, see, false);
  // The parser takes a NUL for the end of what it is given.
  if (text.find('\0') != std::string_view::npos) strict.value = json(json::value_t::discarded);
  return strict;
}

}  // namespace mallbots::gateways
