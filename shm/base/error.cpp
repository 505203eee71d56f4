#include "shm/base/error.h"

#include <array>
#include <cstddef>

namespace mallbots {
namespace {

constexpr std::array kCatalogue = {
#define MALLBOTS_ERROR_ROW(name, exit, what, remedy) \
  ErrorEntry{ErrorCode::k##name, #name, ExitCode::exit, what, remedy},
    MALLBOTS_ERRORS(MALLBOTS_ERROR_ROW)
#undef MALLBOTS_ERROR_ROW
};

}  // namespace

std::span<const ErrorEntry> error_catalogue() noexcept { return kCatalogue; }

const ErrorEntry& error_entry(ErrorCode code) noexcept {
  const auto index = static_cast<std::size_t>(code);
  if (index == 0 || index > kCatalogue.size()) return error_entry(ErrorCode::kBadMessage);
  return kCatalogue[index - 1];
}

std::string Error::sentence() const {
  const ErrorEntry& entry = error_entry(code);
  std::string text{entry.what};
  if (!detail.empty()) text.append(": ").append(detail);
  text.append("; ").append(entry.remedy);
  return text;
}

}  // namespace mallbots
