// AllowList: who may use a topic: the settings produce.allow and consume.allow as user ids. The
// broker's own user and root always may. Names are looked up when the setting is made or first
// needed; a name that no longer exists lets nobody in. Control thread.
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::broker {

class AllowList {
 public:
  /// `text`: user names or ids with commas, `*` for everybody, empty for nobody else.
  /// BadSetting if `strict` and a name is unknown.
  [[nodiscard]] static Result<AllowList> parse(std::string_view text, bool strict);

  [[nodiscard]] bool allows(uid_t user) const;

 private:
  std::vector<uid_t> users_;
  bool everybody_ = false;
};

/// Root, or the user that the broker runs as.
[[nodiscard]] bool is_administrator(uid_t user) noexcept;

}  // namespace mallbots::broker
