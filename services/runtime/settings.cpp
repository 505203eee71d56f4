#include "services/runtime/settings.h"

#include <string_view>
#include <utility>

namespace mallbots {

Result<void> refuse_old_names(const std::map<std::string, std::string, std::less<>>& settings) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"fleet.tls.certificate", "fleet.tls_certificate"},
      {"fleet.tls.key", "fleet.tls_key"},
      {"bots.tls.roots", "bots.tls_roots"}};
  for (const auto& [old, now] : kNames) {
    if (settings.contains(old))
      return fail(ErrorCode::kBadConfig,
                  "the setting " + std::string{old} + " is called " + std::string{now} + " now");
  }
  return {};
}

}  // namespace mallbots
