#include "broker/control/allow_list.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "broker/units.h"

namespace mallbots::broker {
namespace {

std::optional<uid_t> user_of(const std::string& name) {
  if (const auto number = parse_number(name); number && *number < 0xFFFF'FFFF)
    return static_cast<uid_t>(*number);
  std::array<char, 16'384> scratch{};
  passwd entry{};
  passwd* found = nullptr;
  getpwnam_r(name.c_str(), &entry, scratch.data(), scratch.size(), &found);
  if (found == nullptr) return std::nullopt;
  return found->pw_uid;
}

}  // namespace

Result<AllowList> AllowList::parse(std::string_view text, bool strict) {
  AllowList list;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string name{text.substr(0, comma)};
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (name == "*") {
      list.everybody_ = true;
    } else if (const auto user = user_of(name)) {
      list.users_.push_back(*user);
    } else if (strict) {
      return fail(ErrorCode::kBadSetting,
                  fmt::format("there is no user '{}' on this machine", name));
    }
  }
  return list;
}

bool AllowList::allows(uid_t user) const {
  return everybody_ || is_administrator(user) || std::ranges::find(users_, user) != users_.end();
}

bool is_administrator(uid_t user) noexcept { return user == 0 || user == geteuid(); }

}  // namespace mallbots::broker
